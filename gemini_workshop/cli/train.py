"""gemini-workshop train: from a text to a model that one can talk to."""

import math
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gemini_workshop.data.batches.text import Text
    from gemini_workshop.data.conversations.folder import Conversations
    from gemini_workshop.data.tasks.mixture import TaskMixture
    from gemini_workshop.training.endings import Outcome
    from gemini_workshop.training.run import Run
    from gemini_workshop.training.watching.monitoring import HardwareMonitor

SAMPLE_PROMPT = "Once upon a time"
SAMPLE_TOKENS = 60

CORPUS_HELP = (
    "Name of a corpus, several joined by +, a .txt or .jsonl file, a folder of `data tokenize`, tasks, or "
    "tasks:NAME,NAME."
)
Beginning = Annotated[
    str | None,
    typer.Option("--from", help="Begin with this checkpoint's weights, tokenizer and settings, not a preset's."),
]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="Change one setting: --set steps=500. Can be repeated.")
]


def check_minutes(minutes: float | None) -> float | None:
    """Refuse a time that no run can take, such as "nan", at which none would ever end.

    Raises:
        TrainingError: it is one.
    """
    from gemini_workshop.errors import TrainingError

    if minutes is not None and not 0 <= minutes < math.inf:
        raise TrainingError(f"--minutes {minutes} is not a time. Choose for example --minutes 5, or leave it out.")
    return minutes


Minutes = Annotated[
    float | None,
    typer.Option(callback=check_minutes, help="Stop after this many minutes, even if the schedule is not finished."),
]
Processes = Annotated[int, typer.Option(min=1, max=1024, help="Processes on this machine that split each batch.")]
Threads = Annotated[int | None, typer.Option(min=1, max=4096, help="CPU threads. Default: PyTorch's choice.")]


def train(
    preset: Annotated[str, typer.Option(help="tiny, small, medium, large, mini-gemini, or a YAML file.")] = "tiny",
    beginning: Beginning = None,
    corpus: Annotated[str, typer.Option(help=CORPUS_HELP)] = "stories",
    size: Annotated[str, typer.Option(help="How much of the corpus, if it comes in several sizes.")] = "all",
    settings: Settings = None,
    minutes: Minutes = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run. Default: runs/PRESET-CORPUS.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume the run in --out.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    threads: Threads = None,
    track: Annotated[list[str] | None, typer.Option(help="Log to tensorboard or wandb. Can be repeated.")] = None,
    processes: Processes = 1,
) -> None:
    """Train a model on a corpus or on your own text.

    The run's folder gets a loss curve, samples and checkpoints. Ctrl-C stops the run after the current step and saves
    it. A run that was stopped, or killed, resumes with --resume and ends with the same weights as one that was not.
    Several processes compute what one would; on several machines, start this command with torchrun on each.
    --set strategy=zero1 or fsdp saves memory.

    Examples:

        gemini-workshop train --minutes 2

        gemini-workshop train --corpus my-text.txt --out runs/mine

        gemini-workshop train --from stories-small --corpus my-text.txt

        gemini-workshop train --preset mini-gemini --corpus tasks --processes 2
    """
    import torch

    from gemini_workshop.checkpoint import find_checkpoint
    from gemini_workshop.config import load_config, override
    from gemini_workshop.devices import pick_device
    from gemini_workshop.errors import TrainingError
    from gemini_workshop.training.parallel.distributed import is_launched, joined, launch, own_device
    from gemini_workshop.training.run import resume_run, start_run
    from gemini_workshop.training.watching.tracking import check_trackers

    check_trackers(track or [])
    if processes > 1 and not is_launched():
        launch(processes, [sys.executable, "-m", "gemini_workshop.cli.main", *sys.argv[1:]])
        return
    if threads is not None:
        torch.set_num_threads(threads)
    folder = out or Path("runs") / f"{Path(beginning or preset).stem}-{_name_of(corpus)}"
    if resume and (settings or beginning):
        extra = f"--set {settings[0]}" if settings else f"--from {beginning}"
        raise TrainingError(f"--resume reuses the settings and weights of {folder}. Remove {extra}.")
    where = own_device(pick_device(device))
    with joined(where) as together:
        if resume:
            run = resume_run(folder, where, together)
        else:
            start = None if beginning is None else find_checkpoint(beginning)
            config = override(load_config(preset) if start is None else start.config, settings or [])
            run = start_run(folder, config, corpus, size, where, together, beginning=start)
        train_and_report(run, minutes, track or [] if together.is_first else [])


def _name_of(corpus: str) -> str:
    """A corpus as a part of the name of a folder."""
    return re.sub("[:,]", "-", Path(corpus).stem)


def train_and_report(run: "Run", minutes: float | None, trackers: Sequence[str] = ()) -> None:
    """Train a prepared run, show its progress, and end with what to do next."""
    from gemini_workshop.data.batches.text import Text
    from gemini_workshop.evaluation.floors import entropy_floors
    from gemini_workshop.training.run import train_run
    from gemini_workshop.training.watching import callbacks
    from gemini_workshop.training.watching.monitoring import ConsoleLines
    from gemini_workshop.training.watching.resources import ResourceLog
    from gemini_workshop.training.watching.tracking import make_tracker
    from gemini_workshop.visualization.showing import save_figure
    from gemini_workshop.visualization.training import loss_curve

    floors = entropy_floors(run.text.validation) if isinstance(run.text, Text) else {}
    monitor = hardware_monitor(run)
    tracking = [make_tracker(name, run.folder, run.config.to_dict(), monitor.latest) for name in trackers]
    echo_start(run, floors, monitor.peak_flops)
    bar: callbacks.ProgressBar | ConsoleLines
    if sys.stderr.isatty():
        bar = callbacks.ProgressBar(monitor.tokens_per_step)
        show: Callable[[str], object] = bar.write
    else:
        show, bar = typer.echo, ConsoleLines(typer.echo, monitor.latest)
    history = run.folder / "history.jsonl"
    outcome = train_run(
        run,
        [
            monitor,
            callbacks.History(history),
            ResourceLog(run.folder / "resources.jsonl", monitor.device, monitor.latest),
            callbacks.LossCurve(
                history, lambda entries: save_figure(loss_curve(entries, floors), run.folder / "loss.png")
            ),
            *tracking,
            bar,
            callbacks.Samples(
                lambda: write_sample(run), run.folder / "samples.txt", show, is_first=run.state.processes.is_first
            ),
        ],
        minutes,
    )
    echo_end(run, outcome, minutes)


def hardware_monitor(run: "Run") -> "HardwareMonitor":
    """A monitor that knows what a step costs, and what this machine can do."""
    from gemini_workshop.models.accounting import training_flops
    from gemini_workshop.training.watching.monitoring import HardwareMonitor, matrix_product_flops

    model, training = run.config.model, run.config.training
    device = next(run.state.model.parameters()).device
    return HardwareMonitor(
        training.batch_size * run.config.row_tokens,
        training.batch_size * training_flops(model, run.config.row_tokens),
        matrix_product_flops(device, training.precision),
        device,
    )


def echo_end(run: "Run", outcome: "Outcome", minutes: float | None) -> None:
    """Why the run ended, what it leaves, and what to do next."""
    from gemini_workshop.data.conversations.templates import template_of
    from gemini_workshop.training.resume import best_checkpoint

    again, folder = f"gemini-workshop train --out {run.folder} --resume", run.folder
    if outcome.ending == "finished":
        typer.echo(f"Done: {outcome.step} steps. The loss curve is {run.folder / 'loss.png'}. Talk to the model:")
    elif outcome.ending == "no progress":
        typer.echo(
            f"Stopped at step {outcome.step}: {run.state.patience.since} measurements in a row were not below "
            f"{run.state.patience.best:.3f} nats per token. Talk to the best checkpoint, or continue anyway:"
        )
        typer.echo(f"  {again}")
        folder = best_checkpoint(run.folder / "checkpoints") or run.folder
    else:
        why = "interrupted" if outcome.ending == "interrupted" else f"out of time after {minutes:g} minutes"
        typer.echo(f"Saved at step {outcome.step}, {why}. Resume it, or talk to the model as it is:")
        typer.echo(f"  {again}")
    was_taught_to_chat = template_of(run.text.tokenizer) is not None
    talk = f"chat {folder}" if was_taught_to_chat else f'generate "{SAMPLE_PROMPT}" --checkpoint {folder}'
    typer.echo(f"  gemini-workshop {talk}")


def echo_start(run: "Run", floors: dict[str, float], peak_flops: float) -> None:
    """What is going to be trained on what, how, and the losses to beat."""
    training = run.config.training
    planned = (training.steps - run.state.step) * training.batch_size * run.config.row_tokens
    typer.echo(f"{run.state.model.num_parameters():,} parameters on {next(run.state.model.parameters()).device}")
    typer.echo(
        f"Matrix products in {run.measured or training.precision}; "
        f"a large one reaches {peak_flops / 1e9:,.0f} GFLOP/s, measured now"
    )
    typer.echo("\n".join(about_text(run.text, planned)))
    if floors:
        typer.echo("Baselines (nats per token): " + ", ".join(f"{name} {nats:.2f}" for name, nats in floors.items()))


def about_text(text: "Text | TaskMixture | Conversations", planned: int) -> list[str]:
    """What is trained on, and how often it is read."""
    from gemini_workshop.data.batches.text import Text
    from gemini_workshop.data.conversations.folder import Conversations

    if isinstance(text, Conversations):
        return [f"{len(text.train):,} conversations to train on, {len(text.validation):,} for validation"]

    if isinstance(text, Text):
        num_tokens = text.train.num_tokens
        return [
            f"{num_tokens:,} tokens to train on, {text.validation.num_tokens:,} for validation",
            f"{planned:,} tokens planned: {planned / num_tokens:.1f} times through the text",
        ]
    shares = ", ".join(f"{name} {weight:.0%}" for name, weight in text.weights.items())
    return [f"Examples of {len(text.weights)} tasks: {shares}", f"{planned:,} tokens planned; no example comes twice"]


def write_sample(run: "Run") -> str:
    """The start of a story by the model as it is now."""
    from gemini_workshop.generation.decode import generate_text

    generation = replace(run.config.generation, max_new_tokens=SAMPLE_TOKENS)
    model, average = run.state.model, run.state.average
    with nullcontext() if average is None else average.in_place_of_weights(model):
        return SAMPLE_PROMPT + "".join(generate_text(model, run.text.tokenizer, SAMPLE_PROMPT, generation))
