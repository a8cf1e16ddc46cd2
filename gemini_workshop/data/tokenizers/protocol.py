"""What the rest of the workshop needs of a tokenizer, and reading any of them from its file."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from gemini_workshop.data.tokenizers.byte_pairs import BPETokenizer
from gemini_workshop.data.tokenizers.characters import CharTokenizer
from gemini_workshop.data.tokenizers.checks import damaged, read_json
from gemini_workshop.data.tokenizers.imported import ImportedTokenizer
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


def start_ids(tokenizer: Tokenizer) -> list[int]:
    """What a model has read before every text: the end of another, or what the tokenizer of its makers puts there."""
    return tokenizer.start_ids if isinstance(tokenizer, ImportedTokenizer) else [tokenizer.end_of_text_id]


def stop_ids(tokenizer: Tokenizer) -> set[int]:
    """The ids after which a model writes no more."""
    return tokenizer.stop_ids if isinstance(tokenizer, ImportedTokenizer) else {tokenizer.end_of_text_id}


def prompt_ids(tokenizer: Tokenizer, text: str) -> list[int]:
    """The ids of a text as a model reads it from its beginning; at least one, also of an empty text."""
    return [*start_ids(tokenizer), *tokenizer.encode(text)] or [tokenizer.end_of_text_id]


def load_tokenizer(
    path: str | Path,
) -> CharTokenizer | BPETokenizer | SentencePieceTokenizer | ImportedTokenizer:
    """Read a tokenizer that ``save`` wrote, or the tokenizer.json of a published model, with its neighbours.

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
    if kind == "imported":
        return ImportedTokenizer.from_json(path, content)
    if kind is None and isinstance(content, dict) and isinstance(content.get("model"), dict):
        return ImportedTokenizer.from_folder(Path(path).parent)
    raise damaged(path, f"its kind is {kind!r}, not 'char', 'bpe', 'sentencepiece' or 'imported'")
