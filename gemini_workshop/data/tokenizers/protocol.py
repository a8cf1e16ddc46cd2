"""What the rest of the workshop needs of a tokenizer, and reading any of them from its file."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from gemini_workshop.data.tokenizers.byte_pairs import BPETokenizer
from gemini_workshop.data.tokenizers.characters import CharTokenizer
from gemini_workshop.data.tokenizers.checks import damaged, read_json
from gemini_workshop.data.tokenizers.sentencepieces import SentencePieceTokenizer


@runtime_checkable
class Tokenizer(Protocol):
    """What the rest of the workshop needs of a tokenizer. Ids run from 0 to ``vocab_size - 1``."""

    @classmethod
    def train(cls, documents: Iterable[str], vocab_size: int) -> "Tokenizer":
        """Learn a vocabulary from documents, each read once."""
        ...

    @property
    def vocab_size(self) -> int:
        """Number of ids, the special ones included."""
        ...

    @property
    def end_of_text_id(self) -> int:
        """The id that ends a document."""
        ...

    @property
    def special_tokens(self) -> Mapping[str, int]:
        """The ids that no text yields unless :meth:`encode` is told so, by name; the end of text is one."""
        ...

    def encode(self, text: str, allowed_special: str | Collection[str] = ()) -> list[int]:
        """The text as ids, without an end-of-text id.

        Args:
            allowed_special: special tokens to be recognised in the text, "all" or those named; others are plain text.
        """
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the ids."""
        ...

    def save(self, path: str | Path) -> None:
        """Write one JSON file for :func:`load_tokenizer`."""
        ...


def load_tokenizer(path: str | Path) -> CharTokenizer | BPETokenizer | SentencePieceTokenizer:
    """Read a tokenizer that ``save`` wrote.

    Raises:
        DataError: the file is missing, damaged, or of a kind that this version does not know.
    """
    content = read_json(path)
    kind = content.get("kind") if isinstance(content, dict) else None
    if kind == "char":
        return CharTokenizer.from_json(path, content)
    if kind == "bpe":
        return BPETokenizer.from_json(path, content)
    if kind == "sentencepiece":
        return SentencePieceTokenizer.from_json(path, content)
    raise damaged(path, f"its kind is {kind!r}, not 'char', 'bpe' or 'sentencepiece'")
