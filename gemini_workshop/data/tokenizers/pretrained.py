"""The vocabularies of GPT-2 and of tiktoken, from their published files.

    encoder.json     each token of GPT-2 and its id
    vocab.bpe        GPT-2's merges, one per line, in the order learned
    *.tiktoken       a token in base64, a space and its id, one per line

GPT-2's files write every byte as a visible letter: "Ġ" is the space, "Ċ" the line end.
"""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gemini_workshop.data.tokenizers.byte_pairs import BPETokenizer
from gemini_workshop.data.tokenizers.checks import END_OF_TEXT
from gemini_workshop.errors import DataError, unknown_name


@dataclass(frozen=True, kw_only=True, slots=True)
class Vocabulary:
    """What the files of a published vocabulary do not state: how it splits words, and its special tokens."""

    pattern: str
    special_tokens: dict[str, int]


VOCABULARIES = {
    "gpt2": Vocabulary(pattern="gpt2", special_tokens={END_OF_TEXT: 50256}),
    "cl100k_base": Vocabulary(
        pattern="cl100k",
        special_tokens={
            END_OF_TEXT: 100257,
            "<|fim_prefix|>": 100258,
            "<|fim_middle|>": 100259,
            "<|fim_suffix|>": 100260,
            "<|endofprompt|>": 100276,
        },
    ),
    "o200k_base": Vocabulary(pattern="o200k", special_tokens={END_OF_TEXT: 199999, "<|endofprompt|>": 200018}),
}


def read_vocabulary(name: str, files: Sequence[str | Path]) -> BPETokenizer:
    """A published tokenizer from its files; its ids equal tiktoken's on every text.

    Args:
        name: gpt2, cl100k_base or o200k_base.
        files: encoder.json and vocab.bpe for gpt2, one file of tiktoken for the others.

    Raises:
        DataError: there is no such vocabulary, or a file is missing or damaged.
    """
    if name not in VOCABULARIES:
        raise DataError(unknown_name("vocabulary", name, VOCABULARIES))
    vocabulary = VOCABULARIES[name]
    tokens = read_gpt2_files(*files) if len(files) == 2 else read_tiktoken_file(*files)
    return BPETokenizer(tokens=tokens, pattern=vocabulary.pattern, special_tokens=vocabulary.special_tokens)


def read_tiktoken_file(path: str | Path) -> list[bytes]:
    """The bytes of each id, from lines of base64 and rank.

    Raises:
        DataError: the file is missing, or a line is not of that form.
    """
    tokens: list[bytes] = []
    for number, line in enumerate(_read(path).splitlines(), start=1):
        try:
            token, rank = line.split()
            tokens.append(base64.b64decode(token, validate=True))
        except (ValueError, binascii.Error):
            raise DataError(f"{path}, line {number}: {line!r} is not a token in base64 and its rank.") from None
        if rank != str(len(tokens) - 1):
            raise DataError(f"{path}, line {number}: rank {rank} is where {len(tokens) - 1} should be.")
    return tokens


def read_gpt2_files(encoder: str | Path, merges: str | Path) -> list[bytes]:
    """The bytes of each id, from GPT-2's ``encoder.json`` and ``vocab.bpe`` or files of that form.

    Raises:
        DataError: a file is missing or not of that form, or the ids are not in the order of the merges.
    """
    byte_of = {letter: byte for byte, letter in enumerate(byte_letters())}
    try:
        ids: dict[str, int] = json.loads(_read(encoder))
        pairs = [line.split(" ") for line in _read(merges).splitlines() if line and not line.startswith("#version")]
        letters = sorted((token for token in ids if len(token) == 1 and token in byte_of), key=ids.__getitem__)
        names = letters + [left + right for left, right in pairs]
        tokens = [bytes(byte_of[letter] for letter in name) for name in names]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{encoder} and {merges} are not a vocabulary and its merges: {error!r}.") from None
    first = ids[names[0]] if names else 0
    for i, name in enumerate(names):
        if ids.get(name) != i + first:
            raise DataError(f"{encoder} gives {name!r} the id {ids.get(name)}, but by {merges} it is {i + first}.")
    return tokens


def byte_letters() -> str:
    r"""A letter for each byte: itself where it is visible, else one from U+0100 on.

    Example:
        >>> letters = byte_letters()
        >>> letters[ord("a")], letters[ord(" ")], letters[ord("\n")]
        ('a', 'Ġ', 'Ċ')
    """
    seen = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    others = [byte for byte in range(256) if byte not in seen]
    return "".join(chr(byte if byte in seen else 256 + others.index(byte)) for byte in range(256))


def _read(path: str | Path) -> str:
    try:
        return Path(path).read_text("utf-8")
    except OSError as error:
        raise DataError(f"No vocabulary could be read from {path}: {error.strerror}.") from None
