"""``gemini-workshop data tasks``: what a multimodal model is trained on and asked, with examples."""

from enum import StrEnum
from typing import Annotated

import typer


class Split(StrEnum):
    """A split of a task."""

    train = "train"
    heldout = "heldout"


Name = Annotated[str, typer.Argument(help="Name of a task; without one, all are listed.")]


def tasks(
    name: Name = "",
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many examples to show.")] = 1,
    split: Annotated[Split, typer.Option(help="Which examples to show.")] = Split.train,
    seed: Annotated[int, typer.Option(help="Random seed of training examples.")] = 0,
) -> None:
    """List the multimodal tasks, or show examples of one.

    The list has the number of held-out examples, how many tokens the images, audio and videos of an example take, what
    is asked, and the corpora with their licences. An example is shown with marks such as [image 28x28] for its media.

    Examples:

        gemini-workshop data tasks

        gemini-workshop data tasks arithmetic -n 3
    """
    from gemini_workshop.data.tasks import find_task
    from gemini_workshop.data.tasks.cards import show

    if not name:
        typer.echo(_table())
        return
    task = find_task(name)
    typer.echo("\n\n".join(show(task.example(i, split.value, seed)) for i in range(count)))


def _table() -> str:
    from gemini_workshop.data import tasks as registry
    from gemini_workshop.data.tasks.cards import tasks_table

    here = registry.tasks()
    absent = [name for name in registry.task_names() if name not in here]
    return tasks_table(here.values()) + (f"\n\nnot on this machine: {', '.join(absent)}" if absent else "")
