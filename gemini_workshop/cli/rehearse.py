"""``gemini-workshop rehearse``: check a configuration before a long run."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gemini_workshop.cli.options import AsJson, Commands, print_json
from gemini_workshop.cli.train import CORPUS_HELP

if TYPE_CHECKING:
    from gemini_workshop.training.run import Run

app = Commands(
    no_args_is_help=True,
    help="Check a configuration before a long run.",
)

Preset = Annotated[str, typer.Option(help="tiny, small, medium, large, or the path of a YAML file.")]
Corpus = Annotated[str, typer.Option(help=CORPUS_HELP)]
Size = Annotated[str, typer.Option(help="How much of the corpus, if it comes in several sizes.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="Change one setting: --set steps=500. Can be repeated.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]


@app.command("learning-rate")
def learning_rate(
    preset: Preset = "tiny",
    corpus: Corpus = "stories",
    size: Size = "all",
    settings: Settings = None,
    device: Device = "auto",
    lowest: Annotated[float, typer.Option(min=0, help="First learning rate.")] = 1e-5,
    highest: Annotated[float, typer.Option(help="Last learning rate, if the loss does not explode before.")] = 1.0,
    steps: Annotated[int, typer.Option(min=10, help="Number of steps from the lowest to the highest rate.")] = 100,
    picture: Annotated[Path, typer.Option(help="File of the curve: PNG or SVG.")] = Path("learning-rate.png"),
    as_json: AsJson = False,
) -> None:
    """Find a learning rate: raise it until the loss explodes.

    Example: gemini-workshop rehearse learning-rate --preset tiny
    """
    from gemini_workshop.files import check_picture
    from gemini_workshop.training.rehearsal.finders import find_learning_rate
    from gemini_workshop.visualization.showing import save_figure
    from gemini_workshop.visualization.training import rate_curve

    check_picture(picture)
    with prepared(preset, corpus, size, settings, device) as run:
        test = find_learning_rate(
            run.state.model, run.source, run.config.training, lowest=lowest, highest=highest, steps=steps
        )
    save_figure(rate_curve(test), picture)
    if as_json:
        print_json(dataclasses.asdict(test) | {"picture": str(picture)})
    else:
        typer.echo(f"{test.in_words()}\nThe curve is {picture}.")


@app.command("batch-size")
def batch_size(
    preset: Preset = "tiny",
    corpus: Corpus = "stories",
    size: Size = "all",
    settings: Settings = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Find the largest batch that fits in memory.

    On a GPU by trial; on a CPU by extrapolation from two small steps.

    Example: gemini-workshop rehearse batch-size --preset small
    """
    from gemini_workshop.training.rehearsal.finders import find_batch_size

    with prepared(preset, corpus, size, settings, device) as run:
        largest = find_batch_size(run.state.model, run.config.training)
        wanted = run.config.training.batch_size
    parts = next(n for n in range(1, wanted + 1) if wanted % n == 0 and wanted // n <= largest)
    if as_json:
        print_json({"largest": largest, "batch_size": wanted, "accumulation_steps": parts})
        return
    typer.echo(f"{largest} sequences of {run.config.model.context_tokens} tokens fit in memory at once.")
    if largest >= wanted:
        typer.echo(f"batch_size={wanted} fits as it is.")
    else:
        typer.echo(f"batch_size={wanted} fits in parts: --set accumulation_steps={parts}")


@app.command("one-batch")
def one_batch(
    preset: Preset = "tiny",
    corpus: Corpus = "stories",
    size: Size = "all",
    settings: Settings = None,
    device: Device = "auto",
    steps: Annotated[int, typer.Option(min=1, help="Maximum number of steps.")] = 200,
    sequences: Annotated[int, typer.Option(min=1, max=65_536, help="Number of sequences in the batch.")] = 4,
    as_json: AsJson = False,
) -> None:
    """Overfit one small batch, to check that the model can learn.

    A model that cannot is broken; the command then prints what to suspect and exits with code 1.

    Example: gemini-workshop rehearse one-batch --preset tiny
    """
    from gemini_workshop.training.rehearsal.finders import LEARNED_NATS, diagnosis, overfit_one_batch

    small = [*(settings or []), f"batch_size={sequences}", "accumulation_steps=1"]
    with prepared(preset, corpus, size, small, device) as run:
        training = run.config.training
        losses = overfit_one_batch(run.state.model, run.source.batch(0), training, steps)
    has_learned, said = losses[-1] < LEARNED_NATS, diagnosis(losses, training.learning_rate)
    if as_json:
        print_json({"has_learned": has_learned, "losses": losses, "diagnosis": said})
    else:
        typer.echo(said)
    raise typer.Exit(0 if has_learned else 1)


@contextmanager
def prepared(preset: str, corpus: str, size: str, settings: list[str] | None, device: str) -> "Iterator[Run]":
    """A run in a temporary folder."""
    from tempfile import TemporaryDirectory

    from gemini_workshop.config import load_config, override
    from gemini_workshop.devices import pick_device
    from gemini_workshop.training.run import start_run

    config = override(load_config(preset), settings or [])
    with TemporaryDirectory() as folder:
        yield start_run(Path(folder), config, corpus, size, pick_device(device))
