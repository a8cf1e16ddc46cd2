"""An example, and what a task is: a prompt of text, images, audio and videos, and the text that is to be predicted."""

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from gemini_workshop.data.media.documents import Part

Split = Literal["train", "heldout"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Example:
    """A question and its answer.

    Args:
        task: the name of the task that it belongs to.
        prompt: what is given, in reading order.
        answer: what is to be predicted, without white space around it.
        more: further questions about the same media with their answers; in training only.
    """

    task: str
    prompt: tuple[Part, ...]
    answer: str
    more: tuple[tuple[str, str], ...] = ()


@runtime_checkable
class Task(Protocol):
    """A source of examples.

    Args:
        about: one line.
        source: the corpora with their licences, or "generated".
    """

    name: str
    about: str
    source: str

    def __len__(self) -> int:
        """Number of held-out examples."""

    def example(self, index: int, split: Split, seed: int = 0) -> Example:
        """The same arguments give the same example.

        Args:
            index: for training, any number from 0; for held-out examples, below ``len(self)``.
            seed: for other training examples. The held-out ones are the same for every seed, and never augmented.

        Raises:
            DataError: there is no such index.
        """
