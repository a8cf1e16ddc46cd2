"""Text to token ids and back: one protocol, three kinds of tokenizer.

    CharTokenizer           one id a character
    BPETokenizer            byte pairs learned from text, or those of GPT-2 and GPT-4 (load_vocabulary)
    SentencePieceTokenizer  the library's BPE and unigram

How pairs are counted and merged is in :mod:`gemini_workshop.data.tokenizers`, first in the form that is taught.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from gemini_workshop.data.tokenizers.bpe import NUM_BYTES, Pair, apply_merges, count_pairs, merge_pair, train_bpe
from gemini_workshop.data.tokenizers.byte_pairs import BPETokenizer
from gemini_workshop.data.tokenizers.characters import UNKNOWN, CharTokenizer
from gemini_workshop.data.tokenizers.checks import END_OF_TEXT, check_documents, check_ids, damaged, read_json
from gemini_workshop.data.tokenizers.counting import count_words
from gemini_workshop.data.tokenizers.normalization import normalize
from gemini_workshop.data.tokenizers.pretrained import load_vocabulary, write_gpt2_files
from gemini_workshop.data.tokenizers.sentencepieces import SentencePieceTokenizer
from gemini_workshop.data.tokenizers.splitting import PATTERNS, split_words
from gemini_workshop.data.tokenizers.training import train_bpe_fast

__all__ = [
    "END_OF_TEXT",
    "NUM_BYTES",
    "PATTERNS",
    "UNKNOWN",
    "BPETokenizer",
    "CharTokenizer",
    "Pair",
    "SentencePieceTokenizer",
    "Tokenizer",
    "apply_merges",
    "check_documents",
    "check_ids",
    "count_pairs",
    "count_words",
    "load_tokenizer",
    "load_vocabulary",
    "merge_pair",
    "normalize",
    "split_words",
    "train_bpe",
    "train_bpe_fast",
    "write_gpt2_files",
]


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
