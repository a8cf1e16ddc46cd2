"""The vocabularies of GPT-2 and of tiktoken, from their published files; and files that others can read.

    encoder.json     each token of GPT-2 and its id
    vocab.bpe        GPT-2's merges, one a line, in the order learned
    *.tiktoken       a token in base64, a space, its id; one a line

GPT-2's files write every byte as a letter that can be seen: "Ġ" is the space, "Ċ" the line end.
"""

import base64
import binascii
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from gemini_workshop.data.files import sha256_of, write_atomically
from gemini_workshop.data.tokenizers.byte_pairs import BPETokenizer
from gemini_workshop.data.tokenizers.checks import END_OF_TEXT
from gemini_workshop.errors import DataError, unknown_name

MIRROR_VARIABLE = "GEMINI_WORKSHOP_MIRROR"
CACHE_VARIABLE = "TIKTOKEN_CACHE_DIR"
SOURCE = "https://openaipublic.blob.core.windows.net/"


@dataclass(frozen=True, kw_only=True, slots=True)
class Vocabulary:
    """A published vocabulary: its word pattern, its special tokens, and the sum of each of its files."""

    pattern: str
    special_tokens: dict[str, int]
    sha256: dict[str, str]


VOCABULARIES = {
    "gpt2": Vocabulary(
        pattern="gpt2",
        special_tokens={END_OF_TEXT: 50256},
        sha256={
            "gpt-2/encodings/main/encoder.json": "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
            "gpt-2/encodings/main/vocab.bpe": "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
        },
    ),
    "cl100k_base": Vocabulary(
        pattern="cl100k",
        special_tokens={
            END_OF_TEXT: 100257,
            "<|fim_prefix|>": 100258,
            "<|fim_middle|>": 100259,
            "<|fim_suffix|>": 100260,
            "<|endofprompt|>": 100276,
        },
        sha256={
            "encodings/cl100k_base.tiktoken": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
        },
    ),
    "o200k_base": Vocabulary(
        pattern="o200k",
        special_tokens={END_OF_TEXT: 199999, "<|endofprompt|>": 200018},
        sha256={
            "encodings/o200k_base.tiktoken": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
        },
    ),
}


def load_vocabulary(name: str, folder: str | Path | None = None) -> BPETokenizer:
    """A published tokenizer, whose ids equal tiktoken's on every text.

    Args:
        name: gpt2, cl100k_base or o200k_base.
        folder: where the files lie, under their own names or under those of tiktoken's cache; without it, the folder
            that TIKTOKEN_CACHE_DIR names, then ``tiktoken-cache`` in the one that GEMINI_WORKSHOP_MIRROR names.

    Raises:
        DataError: there is no such vocabulary, or a file of it is missing or damaged.
    """
    if name not in VOCABULARIES:
        raise DataError(unknown_name("vocabulary", name, VOCABULARIES))
    vocabulary = VOCABULARIES[name]
    folders = [Path(folder)] if folder is not None else _default_folders()
    paths = [_find(source, sha256, folders) for source, sha256 in vocabulary.sha256.items()]
    tokens = read_gpt2_files(*paths) if len(paths) == 2 else read_tiktoken_file(*paths)
    return BPETokenizer(tokens=tokens, pattern=vocabulary.pattern, special_tokens=vocabulary.special_tokens)


def _default_folders() -> list[Path]:
    places = {CACHE_VARIABLE: ".", MIRROR_VARIABLE: "tiktoken-cache"}
    return [Path(os.environ[variable], place) for variable, place in places.items() if os.environ.get(variable)]


def _find(source: str, sha256: str, folders: list[Path]) -> Path:
    name_in_cache = hashlib.sha1((SOURCE + source).encode()).hexdigest()
    for folder in folders:
        for path in (folder / Path(source).name, folder / name_in_cache):
            if path.is_file():
                if (found := sha256_of(path)) != sha256:
                    raise DataError(f"{path} is damaged: its sha256 is {found}, not {sha256}. Fetch it again.")
                return path
    raise DataError(
        f"{Path(source).name} is not in {' or '.join(map(str, folders)) or 'any folder'}. "
        f"Download it from {SOURCE}{source}, and give its folder, or set {CACHE_VARIABLE} to it."
    )


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
            raise DataError(f"{path}, line {number}: rank {rank} stands where {len(tokens) - 1} is due.")
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


def write_gpt2_files(tokenizer: BPETokenizer, folder: str | Path) -> tuple[Path, Path]:
    """Write ``encoder.json`` and ``vocab.bpe``, which GPT-2's code and Hugging Face's read; return where."""
    letters = byte_letters()
    names = ["".join(letters[byte] for byte in token) for token in tokenizer.tokens]
    ids = {name: i for i, name in enumerate(names)} | tokenizer.special_tokens
    lines = ["#version: 0.2", *(f"{names[left]} {names[right]}" for left, right in tokenizer.merges)]
    encoder, merges = Path(folder, "encoder.json"), Path(folder, "vocab.bpe")
    write_atomically(encoder, json.dumps(ids).encode("ascii"))
    write_atomically(merges, ("\n".join(lines) + "\n").encode())
    return encoder, merges


def byte_letters() -> str:
    r"""A letter for each byte: itself where it can be seen, else one from U+0100 on.

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
