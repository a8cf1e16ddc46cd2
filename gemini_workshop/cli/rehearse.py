"""``gemini-workshop rehearse``: before a long run: which learning rate, which batch size, does the model learn?"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gemini_workshop.training.run import Run

app = typer.Typer(
    no_args_is_help=True,
    help="Try a training before it runs: which learning rate, which batch size, and does the model learn at all?",
)

Preset = Annotated[str, typer.Option(help="tiny, small, medium, large, or the path of a YAML file.")]
Corpus = Annotated[str, typer.Option(help="The text to learn from: stories, tinystories, ...")]
Size = Annotated[str, typer.Option(help="How much of the corpus, if it comes in several sizes.")]
Settings = Annotated[list[str] | None, typer.Option("--set", help="Change one setting. Can be repeated.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]


@app.command("learning-rate")
def learning_rate(
    preset: Preset = "tiny",
    corpus: Corpus = "stories",
    size: Size = "all",
    settings: Settings = None,
    device: Device = "auto",
    lowest: Annotated[float, typer.Option(min=0, help="The rate to begin with.")] = 1e-5,
    highest: Annotated[float, typer.Option(help="The rate to end with, if the loss does not explode before.")] = 1.0,
    steps: Annotated[int, typer.Option(min=10, help="Steps from the lowest to the highest.")] = 100,
    picture: Annotated[Path, typer.Option(help="Where the curve goes, as PNG or SVG.")] = Path("learning-rate.png"),
) -> None:
    """Raise the learning rate step by step until the loss explodes, and suggest one.

    Example: gemini-workshop rehearse learning-rate --preset tiny
    """
    from gemini_workshop.training.finders import draw_rate_test, find_learning_rate

    with prepared(preset, corpus, size, settings, device) as run:
        test = find_learning_rate(
            run.model, run.train_windows, run.config.training, lowest=lowest, highest=highest, steps=steps
        )
    draw_rate_test(test, picture)
    typer.echo(f"{test.in_words()}\nThe curve is {picture}.")


@app.command("batch-size")
def batch_size(
    preset: Preset = "tiny",
    corpus: Corpus = "stories",
    size: Size = "all",
    settings: Settings = None,
    device: Device = "auto",
) -> None:
    """Find the largest batch that fits into memory: by trial on a GPU, by the memory of small steps on a CPU.

    Example: gemini-workshop rehearse batch-size --preset small
    """
    from gemini_workshop.training.finders import find_batch_size

    with prepared(preset, corpus, size, settings, device) as run:
        largest = find_batch_size(run.model, run.config.training)
        wanted = run.config.training.batch_size
    typer.echo(f"{largest} sequences of {run.config.model.context_tokens} tokens fit into memory at a time.")
    if largest >= wanted:
        typer.echo(f"batch_size={wanted} fits as it is.")
    else:
        parts = next(n for n in range(1, wanted + 1) if wanted % n == 0 and wanted // n <= largest)
        typer.echo(f"batch_size={wanted} fits in parts: --set accumulation_steps={parts}")


@app.command("one-batch")
def one_batch(
    preset: Preset = "tiny",
    corpus: Corpus = "stories",
    size: Size = "all",
    settings: Settings = None,
    device: Device = "auto",
    steps: Annotated[int, typer.Option(min=1, help="The most steps to learn it in.")] = 200,
    sequences: Annotated[int, typer.Option(min=1, help="Sequences in the batch.")] = 4,
) -> None:
    """Learn one small batch by heart. A model that cannot has a fault; then it says what to suspect, with exit code 1.

    Example: gemini-workshop rehearse one-batch --preset tiny
    """
    from gemini_workshop.training.finders import LEARNED_NATS, diagnosis, overfit_one_batch

    with prepared(preset, corpus, size, settings, device) as run:
        training = run.config.training
        batch = run.train_windows.batch(0, sequences, training.seed)
        losses = overfit_one_batch(run.model, *batch, training, steps)
    typer.echo(diagnosis(losses, training.learning_rate))
    raise typer.Exit(0 if losses[-1] < LEARNED_NATS else 1)


@contextmanager
def prepared(preset: str, corpus: str, size: str, settings: list[str] | None, device: str) -> "Iterator[Run]":
    """A run in a folder that is thrown away."""
    from tempfile import TemporaryDirectory

    from gemini_workshop.config import load_config, override
    from gemini_workshop.devices import pick_device
    from gemini_workshop.training.run import start_run

    config = override(load_config(preset), settings or [])
    with TemporaryDirectory() as folder:
        yield start_run(Path(folder), config, corpus, size, pick_device(device))
