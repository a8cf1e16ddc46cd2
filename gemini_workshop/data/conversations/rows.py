"""Conversations in rows: several to a row, each a segment of its own; what the user says is read and never predicted.

    ids        <|endoftext|> <turn> user  Hi  <end> ⏎  <turn> model  Hello  <end>  ⏎
    targets       -100        -100  -100 -100 -100 -100 -100  Hello  <end>  -100

Where the target is -100, nothing is predicted.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from gemini_workshop.data.batches.batch import IGNORE_INDEX, Batch, Row
from gemini_workshop.data.batches.packing import best_fit
from gemini_workshop.data.batches.rows import Rows
from gemini_workshop.data.batches.source import rows_of_step
from gemini_workshop.data.conversations.reading import Conversation
from gemini_workshop.data.conversations.templates import ChatTemplate
from gemini_workshop.data.tokenizers import Tokenizer
from gemini_workshop.errors import DataError


def chat_labels(ids: Int[np.ndarray, " N"], is_answer: Bool[np.ndarray, " N"]) -> Int[np.ndarray, " N-1"]:
    """The targets of a conversation: of each token the next one, where the model is the one who says it.

    Example:
        >>> chat_labels(np.array([5, 6, 7, 8]), np.array([False, False, True, False]))
        array([-100,    7, -100])
    """
    return np.where(is_answer[1:], ids[1:], IGNORE_INDEX)


class ConversationRows(Rows):
    """Rows of ``context_tokens`` pairs of whole conversations. One that is longer is cut at its end.

    Raises:
        DataError: of no conversation an answer begins within the first ``context_tokens`` pairs.
    """

    def __init__(
        self, conversations: Sequence[Conversation], tokenizer: Tokenizer, template: ChatTemplate, context_tokens: int
    ) -> None:
        self.row_tokens, self.pad_id = context_tokens, tokenizer.end_of_text_id
        encoded = (template.encode(conversation, tokenizer) for conversation in conversations)
        cut = ((np.array(ids[: context_tokens + 1]), np.array(said[: context_tokens + 1])) for ids, said in encoded)
        self.documents = [(ids, chat_labels(ids, said)) for ids, said in cut if said[1:].any()]
        self.num_left_out = len(conversations) - len(self.documents)
        if not self.documents:
            raise DataError(
                f"None of the {len(conversations)} conversations has an answer within context_tokens={context_tokens}. "
                "Choose longer rows, or shorter conversations."
            )
        row_of = best_fit(np.array([len(targets) for _, targets in self.documents]), context_tokens)
        self._in_row = [np.flatnonzero(row_of == row).tolist() for row in range(row_of.max() + 1)]

    def __len__(self) -> int:
        return len(self._in_row)

    def __getitem__(self, index: int) -> Row:
        documents = [self.documents[i] for i in self._in_row[index]]
        return Row(
            inputs=np.concatenate([ids[:-1] for ids, _ in documents]),
            targets=np.concatenate([targets for _, targets in documents]),
            segment_ids=np.repeat(np.arange(1, len(documents) + 1), [len(targets) for _, targets in documents]),
        )

    @property
    def sha256(self) -> str:
        """Of all tokens and targets."""
        content = hashlib.sha256()
        for ids, targets in self.documents:
            content.update(ids.tobytes() + targets.tobytes())
        return content.hexdigest()


@dataclass(frozen=True, kw_only=True)
class ConversationSource:
    """Batches of conversations; each row is read once before any is read again.

    Args:
        batch_size: rows of one step, all processes together.
        seed: decides the order of the rows.
    """

    train_rows: ConversationRows
    validation_rows: ConversationRows
    batch_size: int
    seed: int = 0

    @property
    def sha256(self) -> str:
        """Of the conversations of both splits."""
        return hashlib.sha256((self.train_rows.sha256 + self.validation_rows.sha256).encode("ascii")).hexdigest()

    def batch(self, step: int) -> Batch:
        """The batch of a step, counting from 0; always the same one."""
        return self.train_rows.batch(rows_of_step(step, len(self.train_rows), self.batch_size, self.seed).tolist())

    def validation(self, max_batches: int | None = None) -> Iterator[Batch]:
        """The conversations to measure on, in their order, or ``max_batches`` of rows spread evenly over them."""
        return self.validation_rows.in_order(self.batch_size, max_batches)
