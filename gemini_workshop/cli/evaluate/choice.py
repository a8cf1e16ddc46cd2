"""gemini-workshop evaluate choice: multiple choice by likelihood."""

from pathlib import Path
from typing import Annotated

import typer

from gemini_workshop.cli.evaluate.common import (
    AsJson,
    Checkpoint,
    Device,
    Documents,
    Picture,
    ResultPath,
    Seed,
    Share,
    Size,
    deliver,
    documents_of,
)


def choice(
    checkpoint: Checkpoint = "stories-small",
    questions: Annotated[
        Path | None, typer.Option(help='JSON lines: {"context": ..., "choices": [...], "answer": 0}.')
    ] = None,
    corpus: Annotated[
        str, typer.Option(help="Without --questions: which last sentence belongs to this text of the corpus?")
    ] = "stories",
    size: Size = "all",
    share: Documents = Share.validation,
    choices: Annotated[int, typer.Option(min=2, help="Last sentences to choose from.")] = 4,
    limit: Annotated[int, typer.Option(min=1, help="The most questions to ask.")] = 100,
    seed: Seed = 0,
    as_json: AsJson = False,
    result: ResultPath = None,
    picture: Picture = None,
    device: Device = "auto",
) -> None:
    """Ask a model which of several continuations is the likeliest, by four ways to make lengths comparable.

    Examples:

        gemini-workshop evaluate choice stories-small --limit 20

        gemini-workshop evaluate choice --questions questions.jsonl
    """
    from gemini_workshop.devices import pick_device
    from gemini_workshop.evaluation.choice import answer_questions, ending_questions, load_questions
    from gemini_workshop.evaluation.results import Result, model_facts, text_facts
    from gemini_workshop.evaluation.scores import name_of
    from gemini_workshop.training.checkpointing import find_checkpoint, load_pretrained
    from gemini_workshop.visualization.evaluation import choice_bars

    model, tokenizer = load_pretrained(checkpoint, pick_device(device))
    if questions:
        asked, source = load_questions(questions)[:limit], str(questions)
    else:
        fraction = find_checkpoint(checkpoint).config.training.validation_fraction
        documents = documents_of(corpus, size, share, fraction)
        asked, source = ending_questions(documents, choices, seed)[:limit], f"endings of {corpus} ({share} share)"
    answered, name = answer_questions(model, tokenizer, asked), name_of(checkpoint)
    lines = [f"{name}: {answered.num_questions:,} questions, {source}", "", f"{'normalization':<16}{'right':>8}"]
    lines += [f"{kind:<16}{share:>8.1%}" for kind, share in {**answered.accuracy, "chance": answered.chance}.items()]
    deliver(
        Result(
            kind="choice",
            model=model_facts(name, model),
            data=text_facts(source, [repr(question) for question in asked]),
            settings={},
            scores={**answered.accuracy, "chance": answered.chance},
            details={"picks": answered.picks, "answers": [question.answer for question in asked]},
        ),
        "\n".join(lines),
        lambda: choice_bars({name: answered}),
        as_json=as_json,
        path=result,
        picture=picture,
    )
