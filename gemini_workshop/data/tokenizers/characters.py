"""One id per character: the simplest tokenizer."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gemini_workshop.data.tokenizers.checks import (
    END_OF_TEXT,
    allowed_tokens,
    check_documents,
    check_ids,
    damaged,
    write_json,
)
from gemini_workshop.errors import DataError

UNKNOWN = "\N{REPLACEMENT CHARACTER}"


class CharTokenizer:
    """One id per character, in the order of Unicode; then one for all unknown characters, and the end of text."""

    def __init__(self, characters: Sequence[str]) -> None:
        self.characters = list(characters)
        self._ids = {character: i for i, character in enumerate(self.characters)}

    @classmethod
    def train(cls, documents: Iterable[str], vocab_size: int | None = None) -> "CharTokenizer":
        """Give an id to each character that occurs.

        Args:
            vocab_size: keep no more than the most frequent characters that fit.

        Raises:
            DataError: the documents hold no text, or are one text instead of a list; or no character fits.
        """
        counts: Counter[str] = Counter()
        for document in check_documents(documents):
            counts.update(document)
        if not counts:
            raise DataError("The documents hold no text. Give at least one character to learn from.")
        del counts[UNKNOWN]
        if vocab_size is None:
            return cls(sorted(counts))
        if vocab_size < 3:
            raise DataError(
                f"vocab_size={vocab_size} is below 3. The vocabulary needs a character, the unknown one and the end of "
                "text. Choose vocab_size >= 3."
            )
        return cls(sorted(sorted(counts, key=lambda character: (-counts[character], character))[: vocab_size - 2]))

    @property
    def vocab_size(self) -> int:
        """The characters, the unknown one and the end of text."""
        return len(self.characters) + 2

    @property
    def unknown_id(self) -> int:
        """The id of every character that was not in the training text; it decodes to ``�``."""
        return len(self.characters)

    @property
    def end_of_text_id(self) -> int:
        """The id that ends a document."""
        return len(self.characters) + 1

    @property
    def special_tokens(self) -> Mapping[str, int]:
        """The end of text alone."""
        return {END_OF_TEXT: self.end_of_text_id}

    def encode(self, text: str, allowed_special: str | Collection[str] = ()) -> list[int]:
        """One id per character. Special tokens in the text count as such only if allowed: "all", or those named."""
        allowed = allowed_tokens(allowed_special, self.special_tokens)
        if allowed and END_OF_TEXT in text:
            parts = map(self.encode, text.split(END_OF_TEXT))
            return [i for part in parts for i in (*part, self.end_of_text_id)][:-1]
        return [self._ids.get(character, self.unknown_id) for character in text]

    def decode(self, ids: Sequence[int]) -> str:
        """The characters of the ids.

        Raises:
            DataError: an id is outside the vocabulary.
        """
        check_ids(ids, self.vocab_size)
        pieces = [*self.characters, UNKNOWN, END_OF_TEXT]
        return "".join(pieces[i] for i in ids)

    def save(self, path: str | Path) -> None:
        """Write one JSON file for :func:`~gemini_workshop.data.tokenizers.load_tokenizer`."""
        write_json(path, {"kind": "char", "characters": self.characters})

    @classmethod
    def from_json(cls, path: str | Path, content: dict[str, Any]) -> "CharTokenizer":
        """The tokenizer of a file that :meth:`save` wrote.

        Raises:
            DataError: the content is not what :meth:`save` writes.
        """
        characters = content.get("characters")
        if not isinstance(characters, list) or not all(isinstance(c, str) and len(c) == 1 for c in characters):
            raise damaged(path, "its characters are not a list of single characters")
        if len(set(characters)) != len(characters):
            raise damaged(path, "a character is in it twice")
        return cls(characters)
