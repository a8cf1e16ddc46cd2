"""gemini-workshop evaluate instructions: does a model do as it is told?"""

from typing import TYPE_CHECKING, Annotated

import typer

from gemini_workshop.cli.evaluate.common import Checkpoint, Device, Measurement, measurement

if TYPE_CHECKING:
    from gemini_workshop.evaluation.instructions import Asked


@measurement(has_picture=False)
def instructions(
    checkpoint: Checkpoint = "stories-small",
    count: Annotated[int, typer.Option(min=1, help="Number of instructions.")] = 200,
    device: Device = "auto",
) -> Measurement:
    """Measure whether a model follows instructions.

    The storyteller's held-out instructions, answered with the most likely tokens and judged by programs: the hero
    named, the words used, the ending told, the question answered. A model that was never taught to chat gets each as
    the beginning of a text. With --json or --result, all answers can be read.

    Examples:

        gemini-workshop evaluate instructions --count 20

        gemini-workshop evaluate instructions runs/stories-small-sft
    """
    from tqdm import tqdm

    from gemini_workshop.authoring.instructions import heldout_instructions
    from gemini_workshop.checkpoint import load_pretrained
    from gemini_workshop.config import GenerationConfig
    from gemini_workshop.data.conversations.templates import template_of
    from gemini_workshop.devices import pick_device
    from gemini_workshop.evaluation.instructions import ask_all
    from gemini_workshop.evaluation.results import Result, model_facts
    from gemini_workshop.evaluation.scores import name_of

    model, tokenizer = load_pretrained(checkpoint, pick_device(device))
    name, asked = name_of(checkpoint), heldout_instructions(count)
    config = GenerationConfig(temperature=0.0, max_new_tokens=model.config.context_tokens)
    questions = tqdm([(each.prompt, each.check) for each in asked], unit="answer", delay=2, disable=None)
    answered = ask_all(model, tokenizer, questions, template_of(tokenizer), config)
    kinds = [each.kind for each in asked]
    return Measurement(
        Result(
            kind="instructions",
            model=model_facts(name, model),
            data={"name": "instructions"},
            settings={"count": count},
            scores={kind: _share(answered, kinds, kind) for kind in ["all", *dict.fromkeys(kinds)]},
            details={"answers": [[each.prompt, each.answer, each.is_right] for each in answered]},
        ),
        _table(name, answered, kinds),
    )


def _share(answered: "list[Asked]", kinds: list[str], kind: str) -> float:
    right = [each.is_right for each, own in zip(answered, kinds, strict=True) if kind in (own, "all")]
    return sum(right) / len(right)


def _table(name: str, answered: "list[Asked]", kinds: list[str]) -> str:
    """One line a kind: how often obeyed, and the first instruction."""
    from gemini_workshop.tables import table

    rows = []
    for kind in ["all", *dict.fromkeys(kinds)]:
        own = [each for each, other in zip(answered, kinds, strict=True) if kind in (other, "all")]
        example = "" if kind == "all" else own[0].prompt.split("\n")[-1][:60]
        rows.append(
            [
                kind,
                f"{sum(each.is_right for each in own)} of {len(own)}",
                f"{_share(answered, kinds, kind):.0%}",
                example,
            ]
        )
    return table([["", "obeyed", "", "such as"], *rows], f"{name}, instructions that no training saw")
