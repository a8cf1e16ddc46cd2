"""All tasks of this machine as something to train on: a tokenizer learned from their texts, and batches of their rows.

FOLDER/tokenizer.json and FOLDER/mixture.json, which records the stages of the run and the weights of their tasks.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from gemini_workshop.config import WorkshopConfig
from gemini_workshop.data.batches.batch import Batch
from gemini_workshop.data.media.documents import TextPart
from gemini_workshop.data.media.encoding import MARKS, MediaEncoder
from gemini_workshop.data.tasks import find_task, tasks
from gemini_workshop.data.tasks.example import Task
from gemini_workshop.data.tasks.rows import TaskRows
from gemini_workshop.data.tasks.stages import Stage, overall, stages_of
from gemini_workshop.data.tokenizers import BPETokenizer, Tokenizer, load_tokenizer
from gemini_workshop.errors import DataError
from gemini_workshop.files import write_atomically
from gemini_workshop.reading import read_json

MIXTURE_FILE = "mixture.json"
NUM_VALIDATION_ROWS = 64
TEXTS_PER_TASK, NUM_STORIES = 400, 4000
NUM_PROBED = 2  # rows whose content is part of the checksum


@dataclass(frozen=True, kw_only=True)
class TaskSource:
    """Batches of rows of tasks; the training rows never repeat.

    Args:
        batch_size: rows of one step, all processes together.
    """

    train_rows: TaskRows
    validation_rows: TaskRows
    batch_size: int

    @property
    def sha256(self) -> str:
        """Of the stages, and of the first rows."""
        content = hashlib.sha256()
        for rows in (self.train_rows, self.validation_rows):
            content.update(repr(rows.stages).encode())
            for number in range(NUM_PROBED):
                content.update(np.asarray(rows[number].inputs).tobytes())
        return content.hexdigest()

    def batch(self, step: int) -> Batch:
        """The batch of a step, counting from 0; always the same one."""
        first = step * self.batch_size
        return self.train_rows.batch(range(first, first + self.batch_size))

    def validation(self, max_batches: int | None = None) -> Iterator[Batch]:
        """Held-out examples, the same in every measurement."""
        return self.validation_rows.in_order(self.batch_size, max_batches)


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskMixture:
    """The tasks that a run is trained on, and the tokenizer of their texts."""

    folder: Path
    tokenizer: Tokenizer
    stages: tuple[Stage, ...]

    @property
    def weights(self) -> dict[str, float]:
        """How often each task is drawn in the whole run."""
        return overall(self.stages)

    @classmethod
    def open(cls, folder: str | Path) -> "TaskMixture":
        """The mixture that was written to a folder.

        Raises:
            DataError: there is none, or a task of it cannot be had on this machine.
        """
        path = Path(folder) / MIXTURE_FILE
        try:
            stages = tuple(Stage(**stage) for stage in read_json(path)["stages"])
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path} cannot be read: {error}. Start the run again with --corpus tasks.") from None
        return cls(folder=Path(folder), tokenizer=load_tokenizer(Path(folder) / "tokenizer.json"), stages=stages)

    def source(self, config: WorkshopConfig) -> TaskSource:
        """Its batches, as a configuration asks for them.

        Raises:
            DataError: the model takes text alone, its vocabulary is another, or a task cannot be had.
        """
        if config.model.media is None:
            raise DataError("The model takes text alone. Train on tasks with --preset mini-gemini.")
        if self.tokenizer.vocab_size != config.model.vocab_size:
            raise DataError(
                f"The tokenizer of {self.folder} has vocab_size={self.tokenizer.vocab_size}, but the model has "
                f"vocab_size={config.model.vocab_size}. Begin with a checkpoint of the same tokenizer."
            )
        encoder, training = MediaEncoder(self.tokenizer, config.model.media), config.training
        found = {name: find_task(name) for name in self.weights}

        everything = Stage(name="validation", share=1.0, weights=self.weights)
        return TaskSource(
            train_rows=TaskRows(
                encoder,
                found,
                self.stages,
                config.row_tokens,
                training.steps * training.batch_size,
                seed=training.seed,
            ),
            validation_rows=TaskRows(
                encoder, found, [everything], config.row_tokens, NUM_VALIDATION_ROWS, split="heldout"
            ),
            batch_size=training.batch_size,
        )


def open_mixture(
    folder: Path, config: WorkshopConfig, tokenizer: Tokenizer | None = None, names: Sequence[str] = ()
) -> TaskMixture:
    """Write the mixture of tasks to a folder.

    Args:
        tokenizer: to encode their texts; one is learned from them, if left out.
        names: the tasks; all of this machine, if left out.

    Raises:
        DataError: the vocabulary is too small, or a task is unknown or not on this machine.
    """
    chosen = {name: find_task(name) for name in names} or tasks()
    stages = stages_of(chosen)
    tokenizer = learn_tokenizer(config.model.vocab_size, chosen) if tokenizer is None else tokenizer
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(folder / "tokenizer.json")
    content = {"stages": [asdict(stage) for stage in stages]}
    write_atomically(folder / MIXTURE_FILE, json.dumps(content, indent=1).encode())
    return TaskMixture(folder=folder, tokenizer=tokenizer, stages=stages)


def learn_tokenizer(vocab_size: int, chosen: Mapping[str, Task]) -> BPETokenizer:
    """A tokenizer of the tasks' texts, with the marks of media, whose ids are the last of the vocabulary."""
    return BPETokenizer.train(_texts(chosen), vocab_size, progress=True, special_tokens=MARKS)


def _texts(chosen: Mapping[str, Task]) -> Iterator[str]:
    for name, task in chosen.items():
        for index in range(NUM_STORIES if name == "stories" else TEXTS_PER_TASK):
            example = task.example(index, "train")
            yield from (part.text for part in example.prompt if isinstance(part, TextPart))
            yield example.answer
