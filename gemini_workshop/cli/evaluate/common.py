"""What the commands of ``evaluate`` have in common: options, documents, and what happens to a measurement."""

import functools
import inspect
import itertools
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from gemini_workshop.files import check_picture, check_target
from gemini_workshop.reading import shortened

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gemini_workshop.evaluation.results import Result

Checkpoint = Annotated[str, typer.Argument(help="A checkpoint that ships, or the folder of a run or checkpoint.")]
Size = Annotated[str, typer.Option(help="How much of the corpus, if it comes in several sizes.")]
Seed = Annotated[int, typer.Option(help="Random seed for the selection.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of the table.")]
ResultPath = Annotated[Path | None, typer.Option("--result", help="Save the measurement as this JSON file.")]
Picture = Annotated[Path | None, typer.Option(help="Draw the measurement into this file, PNG or SVG.")]


MOST = 10**9  # of a number in a list


class Split(StrEnum):
    """A split of a text."""

    validation = "validation"
    train = "train"
    all = "all"


SplitName = Annotated[Split, typer.Option("--split", help="Which split to use; validation was not trained on.")]


class Measurement(NamedTuple):
    """What a command measured: for programs, for people, and a function that draws it."""

    result: "Result"
    text: str
    draw: "Callable[[], Figure] | None" = None


def measurement(has_picture: bool = True) -> Callable[[Callable[..., Measurement]], Callable[..., None]]:
    """Give a command that returns a measurement the options --json, --result and --picture, and do as they ask."""
    options = {"as_json": (AsJson, False), "result": (ResultPath, None)}
    if has_picture:
        options["picture"] = (Picture, None)
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, (kind, default) in options.items()
    ]

    def with_options(command: Callable[..., Measurement]) -> Callable[..., None]:
        @functools.wraps(command)
        def run(*, as_json: bool, result: Path | None, picture: Path | None = None, **arguments: Any) -> None:
            if result:
                check_target(result)
            if picture:
                check_picture(picture)
            deliver(command(**arguments), as_json, result, picture)

        signature = inspect.signature(command)
        parameters = [*signature.parameters.values(), *added]
        run.__signature__ = signature.replace(parameters=parameters, return_annotation=None)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        del run.__wrapped__
        return run

    return with_options


def deliver(measured: Measurement, as_json: bool, path: Path | None, picture: Path | None) -> None:
    """Print a measurement; save and draw it where that was asked for."""
    typer.echo(measured.result.to_json() if as_json else measured.text)
    if path:
        measured.result.save(path)
    if picture and measured.draw:
        save_figure(measured.draw, picture)


def save_figure(draw: "Callable[[], Figure]", path: Path) -> None:
    """Draw in the house style, and save, whole or not at all; the ending of the file says as what."""
    from gemini_workshop.visualization.showing import save_figure
    from gemini_workshop.visualization.theme import use_theme

    use_theme()
    save_figure(draw(), path)


def documents_of(corpus: str, size: str, split: Split, validation_fraction: float) -> "Iterator[str]":
    """The documents of a split of a text, one at a time.

    Raises:
        DataError: there are none.
    """
    from gemini_workshop.data.batches.reading import parts_of, stream_split
    from gemini_workshop.errors import DataError

    documents = stream_split(parts_of(corpus), size, split.value, validation_fraction)
    first = next(documents, None)
    if first is None:
        raise DataError(f"The {split} split of {corpus} has no documents. Choose --split all, or another corpus.")
    return itertools.chain([first], documents)


def read_numbers(text: str) -> list[int]:
    """Numbers with commas between them.

    Raises:
        ConfigError: it is something else.
    """
    from gemini_workshop.errors import ConfigError

    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 1 or max(numbers) > MOST:
        raise ConfigError(
            f"{shortened(text)!r} is not a list of positive whole numbers up to {MOST:,}. "
            "Separate them by commas: 1,10,100."
        )
    return numbers
