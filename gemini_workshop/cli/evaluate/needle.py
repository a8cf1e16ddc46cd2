"""gemini-workshop evaluate needle: one sentence hidden in a long text."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gemini_workshop.cli.evaluate.common import Checkpoint, Device, Measurement, Seed, Size, measurement, read_numbers

if TYPE_CHECKING:
    from gemini_workshop.evaluation.needle import NeedleResult


class Retriever(StrEnum):
    """Who looks for the needle."""

    model = "model"
    oracle = "oracle"
    blind = "blind"


@measurement()
def needle(
    checkpoint: Checkpoint = "stories-small",
    book: Annotated[str, typer.Option(help="The haystack: a text corpus, or a text file.")] = "stories",
    size: Size = "all",
    lengths: Annotated[str, typer.Option(help="Tokens per text, with commas. Default: quarters of the context.")] = "",
    depths: Annotated[int, typer.Option(min=2, max=1000, help="Number of depths, from the beginning to the end.")] = 5,
    trials: Annotated[int, typer.Option(min=1, help="Texts per length and depth.")] = 10,
    retriever: Annotated[
        Retriever, typer.Option(help="model; or, to check the test itself, oracle (reads the text) or blind (guesses).")
    ] = Retriever.model,
    seed: Seed = 0,
    device: Device = "auto",
) -> Measurement:
    """Test whether a model finds a sentence in a long text.

    The sentence is hidden at several depths of texts of several lengths. The model chooses its last word among ten, so
    guessing finds one in ten.

    Examples:

        gemini-workshop evaluate needle --trials 2 --picture needle.png

        gemini-workshop evaluate needle --book moby-dick --lengths 64,128
    """
    from gemini_workshop.checkpoint import load_pretrained
    from gemini_workshop.data.corpora import load_documents
    from gemini_workshop.devices import pick_device
    from gemini_workshop.evaluation.needle import Haystack, blind, most_likely, needle_grid, oracle
    from gemini_workshop.evaluation.results import Result, model_facts, text_facts
    from gemini_workshop.evaluation.scores import name_of
    from gemini_workshop.reading import read_text
    from gemini_workshop.visualization.evaluation import needle_heat_map

    model, tokenizer = load_pretrained(checkpoint, pick_device(device))
    window = model.config.context_tokens
    columns = read_numbers(lengths) if lengths else [window * part // 4 for part in (1, 2, 3, 4)]
    rows = [row / (depths - 1) for row in range(depths)]
    documents = [read_text(book)] if Path(book).is_file() else load_documents(book, size)
    searchers = {"model": most_likely(model, tokenizer), "oracle": oracle, "blind": blind(seed)}
    grid = needle_grid(searchers[retriever], Haystack("\n".join(documents), tokenizer), columns, rows, trials, seed)
    name = name_of(checkpoint) if retriever is Retriever.model else str(retriever)
    return Measurement(
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
    )


def grid_table(name: str, grid: "NeedleResult") -> str:
    """The grid as plain text."""
    from gemini_workshop.tables import table

    rows = [["depth / tokens", *(f"{length:,}" for length in grid.lengths)]]
    for depth, fractions in zip(grid.depths, grid.found, strict=True):
        rows.append([f"{depth:.0%}", *(f"{fraction:.0%}" for fraction in fractions)])
    title = f"{name}: needles found, of {grid.trials} per cell; chance {grid.chance:.0%}\n"
    return f"{table(rows, title)}\n\n{grid.mean:.0%} found in all"
