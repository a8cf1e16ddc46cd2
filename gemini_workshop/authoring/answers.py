"""A figure of what a model answers to the first held-out example of some tasks, right or wrong, none selected.

    python -m gemini_workshop.authoring.answers CHECKPOINT FIGURE --picture digit.png

It also prints the answers as Markdown, and writes the digit of the figure as a file of its own, to ask about.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gemini_workshop.checkpoint import load_pretrained
from gemini_workshop.data.media.documents import ImagePart, TextPart
from gemini_workshop.data.media.images import encode_png
from gemini_workshop.data.tasks import find_task, tasks
from gemini_workshop.data.tasks.example import Example
from gemini_workshop.evaluation.abilities import answer
from gemini_workshop.files import write_atomically
from gemini_workshop.visualization.answers import asked_and_answered
from gemini_workshop.visualization.theme import use_theme

SHOWN = ("digits", "mnist", "fashion-mnist", "emoji-names", "spoken-digits", "dial-tones", "image-sound", "films")


@dataclass(frozen=True, kw_only=True, slots=True)
class Answered:
    """An example and what a model answered."""

    example: Example
    given: str


def first_answers(checkpoint: str, index: int = 0) -> list[Answered]:
    """The model's answer to the held-out example of that index of each task that is shown and is on this machine."""
    model, tokenizer = load_pretrained(checkpoint)
    here = tasks()
    examples = [here[name].example(index, "heldout") for name in SHOWN if name in here]
    return [Answered(example=each, given=answer(model, tokenizer, [each])[0]) for each in examples]


def markdown(answers: Sequence[Answered]) -> str:
    """One line per task: what was asked, what was answered, and what is right where that differs."""
    lines = ["| task | question | answer |", "|---|---|---|"]
    for each in answers:
        question = " ".join(part.text for part in each.example.prompt if isinstance(part, TextPart))
        is_right = each.given == each.example.answer
        note = "" if is_right else f" (wrong: {each.example.answer})"
        lines.append(f"| {each.example.task} | {question} | {each.given}{note} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", help="a checkpoint that ships, or the folder of a run")
    parser.add_argument("figure", type=Path, help="where to draw")
    parser.add_argument("--picture", type=Path, help="where to write the digit that is asked about first")
    parser.add_argument("--index", type=int, default=0, help="of the held-out examples; 0 is the first")
    values = parser.parse_args(arguments)
    answers = first_answers(values.checkpoint, values.index)
    use_theme()
    asked_and_answered([(each.example, each.given) for each in answers], Path(values.checkpoint).name).savefig(
        values.figure
    )
    if values.picture:
        [image] = [
            part for part in find_task("digits").example(values.index, "heldout").prompt if isinstance(part, ImagePart)
        ]
        write_atomically(values.picture, encode_png(image.image))
    print(markdown(answers))  # noqa: T201


if __name__ == "__main__":
    main()
