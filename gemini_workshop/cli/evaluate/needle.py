"""gemini-workshop evaluate needle: one sentence hidden in a book."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gemini_workshop.cli.evaluate.common import AsJson, Checkpoint, Device, Picture, ResultPath, Seed, Size, deliver

if TYPE_CHECKING:
    from gemini_workshop.evaluation.needle import NeedleResult


class Retriever(StrEnum):
    """Who looks for the needle."""

    model = "model"
    oracle = "oracle"
    blind = "blind"


def needle(
    checkpoint: Checkpoint = "stories-small",
    book: Annotated[str, typer.Option(help="The haystack: a text corpus, or a text file.")] = "stories",
    size: Size = "all",
    lengths: Annotated[str, typer.Option(help="Tokens of the texts, with commas. Default: parts of the context.")] = "",
    depths: Annotated[int, typer.Option(min=2, help="How many depths, from the beginning to the end.")] = 5,
    trials: Annotated[int, typer.Option(min=1, help="Texts for each length and depth.")] = 10,
    retriever: Annotated[
        Retriever, typer.Option(help="model; or oracle, which reads, or blind, which guesses: what the test can show.")
    ] = Retriever.model,
    seed: Seed = 0,
    as_json: AsJson = False,
    result: ResultPath = None,
    picture: Picture = None,
    device: Device = "auto",
) -> None:
    """Hide one sentence in a book, at several depths of texts of several lengths; does the model find its last word?

    It chooses among ten words, so guessing finds one in ten.

    Examples:

        gemini-workshop evaluate needle --trials 2 --picture needle.png

        gemini-workshop evaluate needle --book moby-dick --lengths 64,128
    """
    from gemini_workshop.data.corpora import load_documents
    from gemini_workshop.devices import pick_device
    from gemini_workshop.evaluation.needle import Haystack, blind, likeliest, needle_grid, oracle
    from gemini_workshop.evaluation.results import Result, model_facts, text_facts
    from gemini_workshop.evaluation.scores import name_of
    from gemini_workshop.training.checkpointing import load_pretrained
    from gemini_workshop.visualization.evaluation import needle_heat_map

    model, tokenizer = load_pretrained(checkpoint, pick_device(device))
    window = model.config.context_tokens
    columns = read_numbers(lengths) if lengths else [window * part // 4 for part in (1, 2, 3, 4)]
    rows = [row / (depths - 1) for row in range(depths)]
    documents = [Path(book).read_text("utf-8")] if Path(book).is_file() else load_documents(book, size)
    searchers = {"model": likeliest(model, tokenizer), "oracle": oracle, "blind": blind(seed)}
    grid = needle_grid(searchers[retriever], Haystack("\n".join(documents), tokenizer), columns, rows, trials, seed)
    name = name_of(checkpoint) if retriever is Retriever.model else str(retriever)
    deliver(
        Result(
            kind="needle",
            model=model_facts(name, model),
            data=text_facts(book, documents),
            settings={"lengths": columns, "depths": rows, "trials": trials, "seed": seed},
            scores={"found": grid.mean, "chance": grid.chance},
            details={"found": grid.found},
        ),
        grid_table(name, grid),
        lambda: needle_heat_map(grid, f"{name}: needles in {book}"),
        as_json=as_json,
        path=result,
        picture=picture,
    )


def grid_table(name: str, grid: "NeedleResult") -> str:
    """The grid as plain text."""
    lines = [f"{name}: share of {grid.trials} needles found, chance {grid.chance:.0%}", ""]
    lines.append("depth / tokens" + "".join(f"{length:>8,}" for length in grid.lengths))
    for depth, shares in zip(grid.depths, grid.found, strict=True):
        lines.append(f"{depth:>14.0%}" + "".join(f"{share:>8.0%}" for share in shares))
    return "\n".join([*lines, "", f"{grid.mean:.0%} found in all"])


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
    if not numbers or min(numbers) < 1:
        raise ConfigError(f"{text!r} are no positive whole numbers. Write them with commas: 1,10,100.")
    return numbers
