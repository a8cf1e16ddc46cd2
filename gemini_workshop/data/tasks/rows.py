"""Rows of examples, drawn from a mixture of tasks; each example is a segment of its own.

a question   end of text, prompt with its media, end of turn, answer, end of text      only the answer is predicted
two          the same, another question about the same media, end of turn, answer, ... only the answers
a story      end of text, story, end of text                                           all of it is predicted
"""

import random
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from gemini_workshop.data.batches.batch import IGNORE_INDEX, Row
from gemini_workshop.data.batches.rows import Rows
from gemini_workshop.data.media.documents import TextPart
from gemini_workshop.data.media.encoding import Encoded, MediaEncoder
from gemini_workshop.data.tasks.example import Example, Split, Task
from gemini_workshop.data.tasks.stages import Stage, stage_of
from gemini_workshop.errors import DataError

FEWEST_PAIRS = 24  # a shorter rest of a row stays empty
DRAWS = 3  # until an example fits into the rest of a row
DRAWS_OF_THE_FIRST = 200  # which must be found


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
        documents: list[Document] = []
        room = self.row_tokens
        while room >= FEWEST_PAIRS and (document := self._that_fits(draw, weights, room, is_first=not documents)):
            documents.append(document)
            room -= len(document.ids) - 1
        return row_of(documents)

    def _that_fits(
        self, draw: random.Random, weights: Mapping[str, float], room: int, is_first: bool
    ) -> "Document | None":
        """A document; the first of a row is cut if it is a long story."""
        for _ in range(DRAWS_OF_THE_FIRST if is_first else DRAWS):
            [name] = draw.choices(list(weights), list(weights.values()))
            task = self.tasks[name]
            number = draw.randrange(2**31 if self.split == "train" else len(task))
            document = document_of(task.example(number, self.split, self.seed), self.encoder)
            if len(document.ids) - 1 <= room:
                return document
            if document.is_story:  # any stretch of it teaches
                return Document(document.encoded._replace(ids=document.ids[: room + 1]), document.is_given[: room + 1])
        if is_first:
            raise DataError(
                f"Examples of {', '.join(weights)} do not fit into rows of {room} tokens. "
                f"Choose a larger context_tokens, or shorter examples."
            )
        return None


class Document(NamedTuple):
    """An example as tokens with media, and which of the tokens are given rather than predicted."""

    encoded: Encoded
    is_given: list[bool]

    @property
    def ids(self) -> list[int]:
        """Its tokens."""
        return self.encoded.ids

    @property
    def is_story(self) -> bool:
        """Whether all of it is predicted, but for the end of the text before it."""
        return sum(self.is_given) == 1


def document_of(example: Example, encoder: MediaEncoder) -> Document:
    """An example as a document."""
    tokenizer = encoder.tokenizer
    if not example.prompt:
        return _joined([Encoded([tokenizer.end_of_text_id], encoder.nothing), _answer(example.answer, encoder)])
    pieces = [encoder.question(example.prompt), _answer(example.answer, encoder)]
    for question, answer in example.more:
        asked = encoder.question([TextPart(text=question)])
        pieces += [asked._replace(ids=asked.ids[1:]), _answer(answer, encoder)]  # the answer before it ends the text
    return _joined(pieces)


def _answer(answer: str, encoder: MediaEncoder) -> Encoded:
    return Encoded([*encoder.tokenizer.encode(answer), encoder.tokenizer.end_of_text_id], encoder.nothing)


def _joined(pieces: list[Encoded]) -> Document:
    """What is given and what is predicted, in turn."""
    is_given = [i % 2 == 0 for i, piece in enumerate(pieces) for _ in piece.ids]
    return Document(Encoded.joined(pieces), is_given)


def row_of(documents: Sequence[Document]) -> Row:
    """Documents one after the other as a row; what is given in each is not predicted."""
    targets = [
        np.where(document.is_given[1:], IGNORE_INDEX, np.array(document.ids[1:], np.int64)) for document in documents
    ]
    return Row(
        inputs=np.concatenate([np.array(document.ids[:-1], np.int64) for document in documents]),
        targets=np.concatenate(targets),
        segment_ids=np.repeat(np.arange(1, len(documents) + 1), [len(target) for target in targets]),
        media=Encoded.joined([document.encoded for document in documents]).media,
    )
