"""gemini-workshop evaluate choice: multiple choice by likelihood."""

from pathlib import Path
from typing import Annotated

import typer

from gemini_workshop.cli.evaluate.common import (
    Checkpoint,
    Device,
    Measurement,
    Seed,
    Size,
    Split,
    SplitName,
    documents_of,
    measurement,
)


@measurement()
def choice(
    checkpoint: Checkpoint = "stories-small",
    questions: Annotated[
        Path | None, typer.Option(help='JSON lines: {"context": ..., "choices": [...], "answer": 0}.')
    ] = None,
    corpus: Annotated[
        str, typer.Option(help="Without --questions, ask which last sentence belongs to a text of this corpus.")
    ] = "stories",
    size: Size = "all",
    split: SplitName = Split.validation,
    choices: Annotated[int, typer.Option(min=2, help="Choices per question.")] = 4,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of questions.")] = 100,
    seed: Seed = 0,
    device: Device = "auto",
) -> Measurement:
    """Ask a model multiple-choice questions.

    The most likely continuation is its answer, by four ways to make lengths comparable. Nothing is generated.

    Examples:

        gemini-workshop evaluate choice stories-small --limit 20

        gemini-workshop evaluate choice --questions questions.jsonl
    """
    from gemini_workshop.checkpoint import find_checkpoint, load_pretrained
    from gemini_workshop.devices import pick_device
    from gemini_workshop.evaluation.choice import answer_questions, ending_questions, load_questions
    from gemini_workshop.evaluation.results import Result, model_facts, text_facts
    from gemini_workshop.evaluation.scores import name_of
    from gemini_workshop.tables import table
    from gemini_workshop.visualization.evaluation import choice_bars

    given = load_questions(questions)[:limit] if questions else []
    model, tokenizer = load_pretrained(checkpoint, pick_device(device))
    if questions:
        asked, source = given, str(questions)
    else:
        fraction = find_checkpoint(checkpoint).config.training.validation_fraction
        documents = list(documents_of(corpus, size, split, fraction))
        asked, source = ending_questions(documents, choices, seed)[:limit], f"endings of {corpus} ({split} split)"
    answered, name = answer_questions(model, tokenizer, asked), name_of(checkpoint)
    scores = {**answered.accuracy, "chance": answered.chance}
    rows = [["normalization", "right"], *([kind, f"{score:.1%}"] for kind, score in scores.items())]
    return Measurement(
        Result(
            kind="choice",
            model=model_facts(name, model),
            data=text_facts(source, [repr(question) for question in asked]),
            settings={},
            scores=scores,
            details={"picks": answered.picks, "answers": [question.answer for question in asked]},
        ),
        table(rows, f"{name}: {answered.num_questions:,} questions, {source}\n"),
        lambda: choice_bars({name: answered}),
    )
