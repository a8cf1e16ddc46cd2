"""gemini-workshop train: from a corpus to a model that one can talk to."""

import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gemini_workshop.training.monitoring import HardwareMonitor
    from gemini_workshop.training.run import Run
    from gemini_workshop.training.trainer import Outcome

SAMPLE_PROMPT = "Once upon a time"
SAMPLE_TOKENS = 60


def train(
    preset: Annotated[str, typer.Option(help="tiny, small, medium, large, or the path of a YAML file.")] = "tiny",
    corpus: Annotated[str, typer.Option(help="The text to learn from: stories, tinystories, ...")] = "stories",
    size: Annotated[str, typer.Option(help="How much of the corpus, if it comes in several sizes.")] = "all",
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Change one setting: --set steps=500. Can be repeated.")
    ] = None,
    minutes: Annotated[float | None, typer.Option(help="Stop after this time, the schedule unfinished.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run. Default: runs/PRESET-CORPUS.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    threads: Annotated[int | None, typer.Option(help="CPU threads. Default: what PyTorch chooses.")] = None,
    track: Annotated[list[str] | None, typer.Option(help="Curves in tensorboard or wandb. Can be repeated.")] = None,
    processes: Annotated[int, typer.Option(min=1, help="Processes of this machine that share each batch.")] = 1,
) -> None:
    """Train a model on a corpus, with a loss curve, samples and checkpoints.

    Ctrl-C ends the run after the step at hand and saves it. A run that was stopped, or killed, goes on with
    --resume and ends with the same weights as one that was not. Several processes compute what one would; on
    several machines, start this command by torchrun on each. --set strategy=zero1 or fsdp saves memory.

    Examples:

        gemini-workshop train --minutes 2

        gemini-workshop train --corpus tinystories --out runs/tales

        gemini-workshop train --out runs/tales --resume

        gemini-workshop train --preset medium --processes 2
    """
    import torch

    from gemini_workshop.config import load_config, override
    from gemini_workshop.devices import pick_device
    from gemini_workshop.errors import TrainingError
    from gemini_workshop.training.distributed import is_launched, joined, launch, own_device
    from gemini_workshop.training.run import resume_run, start_run
    from gemini_workshop.training.tracking import check_trackers

    check_trackers(track or [])
    if processes > 1 and not is_launched():
        launch(processes, [sys.executable, "-m", "gemini_workshop.cli.main", *sys.argv[1:]])
        return
    if threads is not None:
        torch.set_num_threads(threads)
    folder = out or Path("runs") / f"{Path(preset).stem}-{corpus}"
    if resume and settings:
        raise TrainingError(f"--resume goes on with the settings of {folder}. Leave --set {settings[0]} away.")
    where = own_device(pick_device(device))
    with joined(where) as together:
        if resume:
            run = resume_run(folder, where, together)
        else:
            config = override(load_config(preset), settings or [])
            run = start_run(folder, config, corpus, size, where, together)
        train_and_tell(run, minutes, track or [] if together.is_first else [])


def train_and_tell(run: "Run", minutes: float | None, trackers: Sequence[str] = ()) -> None:
    """Train a prepared run, show what happens, and end with what to do next."""
    from gemini_workshop.evaluation.floors import entropy_floors
    from gemini_workshop.training import callbacks
    from gemini_workshop.training.monitoring import ConsoleLines
    from gemini_workshop.training.run import train_run
    from gemini_workshop.training.tracking import make_tracker

    floors = entropy_floors(run.text.validation_ids, run.config.model.vocab_size)
    monitor = hardware_monitor(run)
    tracking = [make_tracker(name, run.folder, run.config.to_dict(), monitor.latest) for name in trackers]
    echo_start(run, floors, monitor.peak_flops)
    bar: callbacks.ProgressBar | ConsoleLines
    if sys.stderr.isatty():
        bar = callbacks.ProgressBar(monitor.tokens_per_step)
        show: Callable[[str], object] = bar.write
    else:
        show, bar = typer.echo, ConsoleLines(typer.echo, monitor.latest)
    samples = callbacks.Samples(lambda: write_sample(run), run.folder / "samples.txt", show)
    history = run.folder / "history.jsonl"
    outcome = train_run(
        run,
        [
            monitor,
            callbacks.History(history),
            callbacks.SaveCheckpoints(run.save, run.config.training.checkpoint_every_steps),
            callbacks.LossCurve(history, run.folder / "loss.png", floors),
            *tracking,
            bar,
            samples if run.processes.is_first else callbacks.Quietly(lambda: write_sample(run)),
        ],
        minutes,
    )
    echo_end(run, outcome, minutes)


def hardware_monitor(run: "Run") -> "HardwareMonitor":
    """A monitor that knows what a step takes, and what this machine could do."""
    from gemini_workshop.models.accounting import training_flops
    from gemini_workshop.training.monitoring import HardwareMonitor, matrix_product_flops

    model, training = run.config.model, run.config.training
    device = next(run.model.parameters()).device
    return HardwareMonitor(
        training.batch_size * model.context_tokens,
        training.batch_size * training_flops(model, model.context_tokens),
        matrix_product_flops(device, training.precision),
        device,
    )


def echo_end(run: "Run", outcome: "Outcome", minutes: float | None) -> None:
    """Why the run ended, what it leaves, and what to do next."""
    from gemini_workshop.training.checkpointing import best_checkpoint

    again, folder = f"gemini-workshop train --out {run.folder} --resume", run.folder
    if outcome.ending == "finished":
        typer.echo(f"Done: {outcome.step} steps. The loss curve is {run.folder / 'loss.png'}. Talk to the model:")
    elif outcome.ending == "no progress":
        typer.echo(
            f"Stopped at step {outcome.step}: {run.patience.since} measurements in a row were not below "
            f"{run.patience.best:.3f} nats a token. Talk to the best checkpoint, or go on all the same:"
        )
        typer.echo(f"  {again}")
        folder = best_checkpoint(run.folder / "checkpoints") or run.folder
    else:
        why = "interrupted" if outcome.ending == "interrupted" else f"out of time after {minutes:g} minutes"
        typer.echo(f"Saved at step {outcome.step}, {why}. Go on with it, or talk to it as it is:")
        typer.echo(f"  {again}")
    typer.echo(f'  gemini-workshop generate "{SAMPLE_PROMPT}" --checkpoint {folder}')


def echo_start(run: "Run", floors: dict[str, float], peak_flops: float) -> None:
    """What is going to be trained on what, how, and the losses to beat."""
    text, training = run.text, run.config.training
    planned = (training.steps - run.first_step) * training.batch_size * run.config.model.context_tokens
    typer.echo(f"{run.model.num_parameters():,} parameters on {next(run.model.parameters()).device}")
    typer.echo(
        f"Matrix products in {run.measured or training.precision}; "
        f"a large one reaches {peak_flops / 1e9:,.0f} GFLOP/s, measured now"
    )
    typer.echo(f"{len(text.train_ids):,} tokens to learn from, {len(text.validation_ids):,} to validate on")
    typer.echo(f"{planned:,} tokens planned: {planned / len(text.train_ids):.1f} times through the text")
    typer.echo("To beat, in nats a token: " + ", ".join(f"{name} {nats:.2f}" for name, nats in floors.items()))


def write_sample(run: "Run") -> str:
    """The start of a story by the model as it is now."""
    from gemini_workshop.generation.decode import generate_text

    generation = replace(run.config.generation, max_new_tokens=SAMPLE_TOKENS)
    with nullcontext() if run.average is None else run.average.in_place_of_weights(run.model):
        return SAMPLE_PROMPT + "".join(generate_text(run.model, run.text.tokenizer, SAMPLE_PROMPT, generation))
