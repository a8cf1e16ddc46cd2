"""gemini-workshop evaluate curve: right answers against training tokens, from the checkpoints of a run."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gemini_workshop.cli.evaluate.common import Device, Measurement, measurement

if TYPE_CHECKING:
    from gemini_workshop.data.tasks import Task
    from gemini_workshop.evaluation.report import Line

Run = Annotated[Path, typer.Argument(help="The folder of a run that kept several checkpoints.")]
TaskNames = Annotated[
    list[str] | None, typer.Option(help="Only this task; see `data tasks`. Can be repeated. Default: all with a must.")
]
Limit = Annotated[int, typer.Option(min=1, help="Maximum number of examples per task and checkpoint.")]
Newest = Annotated[int, typer.Option(min=2, help="Newest checkpoints that the line is fitted to.")]


@measurement()
def curve(
    run: Run, task: TaskNames = None, limit: Limit = 100, newest: Newest = 4, device: Device = "auto"
) -> Measurement:
    """Measure how right answers grow with training.

    Every checkpoint of the run is asked the same held-out examples. A power law, error = a * tokens^-b, is fitted to
    the newest checkpoints, and says at how many tokens each must would be reached if nothing else changed. The
    interval is that of the few questions asked; a learning rate that falls to 0 bends the curve, and so does a limit
    of the model. Tokens are those of this run. Keep checkpoints with --set keep_checkpoints=40.

    Example: gemini-workshop evaluate curve runs/mini-gemini-tasks --limit 50 --picture curve.png
    """
    from dataclasses import asdict

    from tqdm import tqdm

    from gemini_workshop.checkpoint import checkpoint_paths, load_pretrained
    from gemini_workshop.data.tasks import find_task, tasks
    from gemini_workshop.errors import CheckpointError
    from gemini_workshop.evaluation.curves import curve_table, curves_of, extrapolated
    from gemini_workshop.evaluation.goals import RIGHT_ANSWERS
    from gemini_workshop.evaluation.results import Result, model_facts, text_facts
    from gemini_workshop.evaluation.scores import name_of
    from gemini_workshop.visualization.curves import ability_curves

    paths = checkpoint_paths(run / "checkpoints")[::-1]
    if len(paths) < 2:
        raise CheckpointError(
            f"{run} has {len(paths)} checkpoints, and a curve needs two at least. Train with "
            "--set keep_checkpoints=40 --set checkpoint_every_steps=200."
        )
    chosen = {each: find_task(each) for each in task} if task else tasks()
    chosen = {name: each for name, each in chosen.items() if name in RIGHT_ANSWERS}
    if not chosen:
        raise CheckpointError(f"None of these tasks has a must. Those that have one: {', '.join(RIGHT_ANSWERS)}.")
    examined = [_examined(path, chosen, limit, device) for path in tqdm(paths, unit="checkpoint", disable=None)]
    curves, name = curves_of([tokens for tokens, _ in examined], [lines for _, lines in examined]), name_of(run)
    missed = [each for each in curves if each.accuracy[-1] < each.goal.must]
    title = f"{name}: right answers to held-out examples, by training tokens"
    return Measurement(
        Result(
            kind="ability curve",
            model=model_facts(name, load_pretrained(paths[-1])[0]),
            data=text_facts("held-out examples", [each.example(0, "heldout").answer for each in chosen.values()]),
            settings={"limit": limit, "newest": newest},
            scores={each.name: each.accuracy[-1] for each in curves},
            details={each.name: asdict(each) for each in curves}
            | {"tokens for the must": {each.name: extrapolated(each, newest).to_dict() for each in missed}},
        ),
        curve_table(title, curves, newest),
        lambda: ability_curves(curves, title, newest),
    )


def _examined(path: Path, tasks: "Mapping[str, Task]", limit: int, device: str) -> "tuple[int, tuple[Line, ...]]":
    """The tokens that a checkpoint was trained on, and what it can do."""
    from gemini_workshop.checkpoint import find_checkpoint, load_pretrained
    from gemini_workshop.devices import pick_device
    from gemini_workshop.evaluation.report import Examiner

    checkpoint = find_checkpoint(path)
    config = checkpoint.config
    model, tokenizer = load_pretrained(path, pick_device(device))
    examiner = Examiner(model=model, tokenizer=tokenizer, row_tokens=config.row_tokens, limit=limit)
    tokens = checkpoint.step * config.training.batch_size * config.row_tokens
    return tokens, examiner.answers(tasks).lines
