"""What all tasks share: an example is drawn at random, and its task, split, index and seed decide the draw."""

import functools
import random
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch

from gemini_workshop.data.corpora import find_corpus, find_here
from gemini_workshop.data.media.documents import Part
from gemini_workshop.data.tasks.example import Example, Split
from gemini_workshop.errors import DataError

NUM_GENERATED = 500


class Draw:
    """Everything that is random about one example.

    Args:
        task: the name of the task; two tasks draw differently.
        seed: for training only.
    """

    def __init__(self, task: str, index: int, split: Split, seed: int = 0) -> None:
        self.index = index
        self.split = split
        self.is_training = split == "train"
        self.random = random.Random(f"{task} {split} {index} {seed if self.is_training else 0}")
        self.more: list[tuple[str, str]] = []

    @functools.cached_property
    def generator(self) -> torch.Generator:
        """The same chances, for tensors."""
        return torch.Generator().manual_seed(self.random.getrandbits(63))

    def phrase(self, phrases: Sequence[str]) -> str:
        """One of them in training; the first in a held-out example, so that all of those ask alike."""
        return self.random.choice(phrases) if self.is_training else phrases[0]

    def ask_more(self, *questions: tuple[Sequence[str], str]) -> None:
        """In training, ask these too, each in one of its phrases, in any order: the media are encoded only once."""
        if self.is_training:
            self.more += [(self.phrase(phrases), answer) for phrases, answer in questions]
            self.random.shuffle(self.more)

    def is_likely(self, probability: float) -> bool:
        """True with a probability."""
        return self.random.random() < probability


class DrawnTask(ABC):
    """A task that turns a draw into an example.

    Args:
        corpora: what its examples are made of.
        beside: corpora that decide what is held out. All of both must be on this machine.
    """

    def __init__(self, name: str, about: str, corpora: Sequence[str] = (), beside: Sequence[str] = ()) -> None:
        self.name = name
        self.about = about
        self.corpora = tuple(corpora)
        self.needs = (*corpora, *beside)
        papers = [f"{corpus}: {find_corpus(corpus).licence}" for corpus in corpora]
        self.source = "; ".join(papers) or "generated"

    def __len__(self) -> int:
        """Number of held-out examples."""
        return NUM_GENERATED

    def example(self, index: int, split: Split, seed: int = 0) -> Example:
        """The example of that index. Raises as :meth:`Task.example`."""
        self._check(index, split)
        draw = Draw(self.name, index, split, seed)
        prompt, answer = self.drawn(draw)
        return Example(task=self.name, prompt=tuple(prompt), answer=answer, more=tuple(draw.more))

    @abstractmethod
    def drawn(self, draw: Draw) -> tuple[Sequence[Part], str]:
        """The prompt and the answer."""

    def _check(self, index: int, split: Split) -> None:
        if index < 0:
            raise DataError(f"index={index} of the task {self.name} is negative. Choose 0 or more.")
        if split == "heldout" and index >= len(self):
            raise DataError(
                f"index={index} is beyond the {len(self)} held-out examples of the task {self.name}. "
                f"Choose 0 to {len(self) - 1}."
            )


def is_here(corpus: str) -> bool:
    """Whether a corpus is on this machine, in both sizes."""
    found = find_corpus(corpus)
    return all(find_here(found, size) for size in found.sizes)
