"""The card of a model that was trained on tasks; every number is measured here, on what it was not trained on."""

from pathlib import Path

from gemini_workshop.checkpoint import Checkpoint, load_pretrained
from gemini_workshop.data.tasks import Task, find_task
from gemini_workshop.data.tasks.mixture import TaskMixture
from gemini_workshop.evaluation.abilities import TEXT_ONLY
from gemini_workshop.evaluation.report import COLUMNS, Examiner, Line, cells

NUM_ASKED = 1000  # of each task, at most


def task_card(checkpoint: Checkpoint, folder: Path, mixture: TaskMixture, source: dict[str, str], command: str) -> str:
    """The card of an exported checkpoint, in Markdown.

    Args:
        source: what ``run.json`` says.
        command: the command lines of the run and of those before it.
    """
    config = checkpoint.config
    model, tokenizer = load_pretrained(folder)
    tasks = {name: find_task(name) for name in mixture.weights}
    examiner = Examiner(model=model, tokenizer=tokenizer, row_tokens=config.row_tokens, limit=NUM_ASKED)
    seen = checkpoint.step * config.training.batch_size * config.row_tokens
    return "\n".join(
        [
            f"# {folder.name}",
            "",
            f"A multimodal decoder of {model.num_parameters():,} parameters that reads text, small images, audio and "
            "short videos, and answers in text. It was made for teaching.",
            "",
            "## Data",
            "",
            "| task | drawn | asks for | source |",
            "|---|---|---|---|",
            *(
                f"| {name} | {mixture.weights[name]:.0%} | {task.about} | {task.source} |"
                for name, task in tasks.items()
            ),
            "",
            "## Recipe",
            "",
            *(line for each in command.splitlines() for line in (f"`{each}`", "")),
            *beginning(source),
            f"{checkpoint.step:,} steps of {config.training.batch_size} rows of {config.row_tokens} tokens: {seen:,} "
            "tokens. Every setting is in `config.yaml`; the weights are stored in float16.",
            "",
            "## Measured on what it was not trained on",
            "",
            _row("", *COLUMNS),
            "|---" * (1 + len(COLUMNS)) + "|",
            *(_row(*cells(line)) for line in _measured(examiner, tasks)),
            "",
            "An answer counts if it is the right one, word for word. No held-out image, voice or pair of numbers was "
            "trained on. A needle is hidden in a text of up to four times the length of the training rows, in tokens. "
            "All numbers of this card: `python -m gemini_workshop.authoring.publish RUN FOLDER`.",
            "",
            "## Limits",
            "",
            "It knows its tasks and nothing else: digits, clothes, drawings, tones, spoken and moving digits, sums. "
            "Asked anything else, it answers all the same. Use it to learn how such models work, for nothing else.",
            "",
        ]
    )


def beginning(source: dict[str, str]) -> list[str]:
    """Which weights a run began with, if they were another model's."""
    if "from" not in source:
        return []
    return [f"The last of these runs began with weights of sha256 `{source['from_sha256']}`, and took:", ""]


def _measured(examiner: Examiner, tasks: dict[str, Task]) -> list[Line]:
    """The answers to all tasks with questions, the busiest expert, and what a byte of a story costs."""
    stories = examiner.stories(tasks[TEXT_ONLY], {}) if TEXT_ONLY in tasks else []
    return [*examiner.answers(tasks).lines, *examiner.experts(tasks), *stories]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
