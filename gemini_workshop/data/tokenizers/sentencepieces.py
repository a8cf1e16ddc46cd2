"""SentencePiece, by its library: BPE or unigram on characters, and bytes for what it never saw.

Where byte-level BPE merges bytes, these pieces are characters; a character without a piece falls back to its bytes.

    bpe      merges as in :mod:`~gemini_workshop.data.tokenizers.bpe`
    unigram  starts from many pieces with probabilities, and drops those that the text's likelihood misses least;
             a text is encoded by its most likely pieces

Source: Kudo and Richardson 2018, arXiv:1808.06226; unigram: Kudo 2018, arXiv:1804.10959.
Differs: no space is added at the beginning, none is removed and nothing is normalized, so that text comes back as it
was; "▁" (U+2581) alone does not: SentencePiece writes a space by it, and it comes back as one.
"""

import base64
import io
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import sentencepiece

from gemini_workshop.data.tokenizers.checks import (
    END_OF_TEXT,
    allowed_tokens,
    check_documents,
    check_ids,
    damaged,
    write_json,
)
from gemini_workshop.data.tokenizers.splitting import to_utf8
from gemini_workshop.errors import DataError

MAX_PIECE_CHARACTERS = 2000  # the library skips longer sentences


class SentencePieceTokenizer:
    """A SentencePiece model with byte fallback.

    Args:
        model: the content of a ``.model`` file.
    """

    def __init__(self, model: bytes) -> None:
        self.model = model
        self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)

    @classmethod
    def train(
        cls, documents: Iterable[str], vocab_size: int, *, model: Literal["bpe", "unigram"] = "bpe"
    ) -> "SentencePieceTokenizer":
        """Learn pieces from the documents; the library keeps all of the text in memory.

        Raises:
            DataError: the library cannot make a vocabulary of this size from the documents; it says why.
        """
        content = io.BytesIO()
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=_sentences(check_documents(documents)),
                model_writer=content,
                model_type=model,
                vocab_size=vocab_size,
                byte_fallback=True,
                normalization_rule_name="identity",
                add_dummy_prefix=False,
                remove_extra_whitespaces=False,
                allow_whitespace_only_pieces=True,
                unk_id=0,
                eos_id=1,
                eos_piece=END_OF_TEXT,
                bos_id=-1,
                pad_id=-1,
                num_threads=1,
                minloglevel=2,
            )
        except (RuntimeError, OSError) as error:
            raise DataError(
                f"SentencePiece made no vocabulary of vocab_size={vocab_size}: {str(error).rstrip('. ')}. "
                "Choose another size, or give more text."
            ) from None
        return cls(content.getvalue())

    @property
    def vocab_size(self) -> int:
        """The pieces, the 256 bytes, the unknown one and the end of text."""
        return self._processor.vocab_size()

    @property
    def end_of_text_id(self) -> int:
        """The id that ends a document."""
        return self._processor.eos_id()

    @property
    def special_tokens(self) -> Mapping[str, int]:
        """The end of text alone, by the name that the model gives it."""
        return {self._processor.id_to_piece(self.end_of_text_id): self.end_of_text_id}

    def encode(self, text: str, allowed_special: str | Collection[str] = ()) -> list[int]:
        """The text as ids. Special tokens in the text count as such only if allowed: "all", or those named."""
        text = to_utf8(text).decode()
        ids: list[int] = []
        allowed = allowed_tokens(allowed_special, self.special_tokens)
        parts = text.split(allowed[0]) if allowed else [text]
        for part in parts:
            ids += [*self._processor.encode(part), self.end_of_text_id]
        return ids[:-1]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the ids; incomplete characters become ``�``.

        Raises:
            DataError: an id is outside the vocabulary.
        """
        check_ids(ids, self.vocab_size)
        text = ""
        (name,) = self.special_tokens
        part: list[int] = []
        for i in [*ids, self.end_of_text_id]:
            if i == self.end_of_text_id:
                text += self._processor.decode(part) + name
                part = []
            else:
                part.append(int(i))
        return text[: -len(name)]

    def save(self, path: str | Path) -> None:
        """Write one JSON file for :func:`~gemini_workshop.data.tokenizers.load_tokenizer`."""
        write_json(path, {"kind": "sentencepiece", "model": base64.b64encode(self.model).decode()})

    @classmethod
    def from_json(cls, path: str | Path, content: dict[str, Any]) -> "SentencePieceTokenizer":
        """The tokenizer of a file that :meth:`save` wrote.

        Raises:
            DataError: the content is not what :meth:`save` writes.
        """
        try:
            return cls(base64.b64decode(content["model"], validate=True))
        except (KeyError, TypeError, ValueError, RuntimeError):
            raise damaged(path, "it holds no model that SentencePiece can read") from None


def _sentences(documents: Iterable[str]) -> Iterator[str]:
    for document in documents:
        text = to_utf8(document).decode()
        yield from (text[i : i + MAX_PIECE_CHARACTERS] for i in range(0, len(text), MAX_PIECE_CHARACTERS))
