"""Rows of examples, drawn from a mixture of tasks; each example is a segment of its own.

a question   end of text, prompt with its media, end of turn, answer, end of text      only the answer is predicted
a story      end of text, story, end of text                                           all of it is predicted
"""

import random
from collections.abc import Mapping, Sequence

import numpy as np

from gemini_workshop.data.batches.batch import IGNORE_INDEX, Row
from gemini_workshop.data.batches.rows import Rows
from gemini_workshop.data.media.encoding import Encoded, MediaEncoder
from gemini_workshop.data.tasks.example import Example, Split, Task
from gemini_workshop.data.tasks.stages import Stage, stage_of
from gemini_workshop.errors import DataError

FEWEST_PAIRS = 24  # a shorter rest of a row stays empty
DRAWS = 3  # until an example fits into the rest of a row


class TaskRows(Rows):
    """Rows of ``context_tokens`` pairs. Row i depends on the seed and i alone.

    Args:
        tasks: all that the stages draw from, by name.
        num_rows: how many rows the stages share; rows of another seed hold other examples.
    """

    def __init__(
        self,
        encoder: MediaEncoder,
        tasks: Mapping[str, Task],
        stages: Sequence[Stage],
        context_tokens: int,
        num_rows: int,
        split: Split = "train",
        seed: int = 0,
    ) -> None:
        self.encoder, self.tasks, self.stages = encoder, dict(tasks), tuple(stages)
        self.row_tokens: int = context_tokens
        self.num_rows, self.split, self.seed = num_rows, split, seed
        self.pad_id = encoder.tokenizer.end_of_text_id

    def __len__(self) -> int:
        return self.num_rows

    def __getitem__(self, index: int) -> Row:
        if not 0 <= index < self.num_rows:
            raise IndexError(f"row {index} of {self.num_rows}")
        draw = random.Random(f"{self.split} {self.seed} {index}")
        weights = stage_of(self.stages, index, self.num_rows).weights
        documents: list[tuple[Encoded, int]] = []
        room = self.row_tokens
        while room >= FEWEST_PAIRS and (document := self._that_fits(draw, weights, room, is_first=not documents)):
            documents.append(document)
            room -= len(document[0].ids) - 1
        return row_of(documents)

    def _that_fits(
        self, draw: random.Random, weights: Mapping[str, float], room: int, is_first: bool
    ) -> tuple[Encoded, int] | None:
        """A document and how many of its tokens are only given; the first of a row is cut if it is a long story."""
        for _ in range(DRAWS):
            [name] = draw.choices(list(weights), list(weights.values()))
            task = self.tasks[name]
            number = draw.randrange(2**31 if self.split == "train" else len(task))
            document, num_given = document_of(task.example(number, self.split, self.seed), self.encoder)
            if len(document.ids) - 1 <= room:
                return document, num_given
            if num_given == 1:  # any stretch of a story teaches
                return document._replace(ids=document.ids[: room + 1]), num_given
        if is_first:
            raise DataError(
                f"Examples of {', '.join(weights)} do not fit into rows of {room} tokens. "
                f"Choose a larger context_tokens, or shorter examples."
            )
        return None


def document_of(example: Example, encoder: MediaEncoder) -> tuple[Encoded, int]:
    """An example as tokens with media, and how many of them are given rather than predicted."""
    tokenizer = encoder.tokenizer
    answer = [*tokenizer.encode(example.answer), tokenizer.end_of_text_id]
    if not example.prompt:
        return Encoded([tokenizer.end_of_text_id, *answer], encoder.nothing), 1
    question = encoder.question(example.prompt)
    return Encoded.joined([question, Encoded(answer, encoder.nothing)]), len(question.ids)


def row_of(documents: list[tuple[Encoded, int]]) -> Row:
    """Documents one after the other as a row; what is given in each is not predicted."""
    targets = []
    for document, num_given in documents:
        following = np.array(document.ids[1:], np.int64)
        following[: num_given - 1] = IGNORE_INDEX
        targets.append(following)
    return Row(
        inputs=np.concatenate([np.array(document.ids[:-1], np.int64) for document, _ in documents]),
        targets=np.concatenate(targets),
        segment_ids=np.repeat(np.arange(1, len(documents) + 1), [len(target) for target in targets]),
        media=Encoded.joined([document for document, _ in documents]).media,
    )
