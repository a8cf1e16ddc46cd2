"""What all tokenizers share: the end of text, their checks, and how a file of theirs is read and written."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gemini_workshop import reading
from gemini_workshop.errors import DataError, unknown_name
from gemini_workshop.files import write_atomically
from gemini_workshop.reading import check_ordinary

END_OF_TEXT = "<|endoftext|>"  # also what a text begins with: in training, the end of another comes before it
PADDING = "<|padding|>"  # fills the shorter rows of a batch; no text contains it, so no model writes it


def check_documents(documents: Iterable[str]) -> Iterable[str]:
    """The documents, unless they are one text, which Python would take for a list of characters."""
    if isinstance(documents, str):
        raise DataError(f"documents={documents[:20]!r} is one text. Give a list of texts: [text].")
    return documents


def check_ids(ids: Sequence[int], vocab_size: int) -> None:
    """Raise a DataError for the first id that is not in the vocabulary."""
    for place, i in enumerate(ids):
        if not 0 <= i < vocab_size:
            raise unknown_id(i, place, vocab_size)


def unknown_id(i: int, place: int, vocab_size: int) -> DataError:
    """The error for an id that is not in the vocabulary."""
    return DataError(
        f"token id {i} at position {place} is outside the vocabulary of {vocab_size}. "
        "Was the text encoded with another tokenizer?"
    )


def allowed_tokens(allowed_special: str | Collection[str], special_tokens: Mapping[str, int]) -> list[str]:
    """The special tokens that ``encode`` may find in the text: the longest first, so that none hides another.

    Raises:
        DataError: one is not in the vocabulary.
    """
    if allowed_special == "all":
        allowed_special = special_tokens.keys()
    elif isinstance(allowed_special, str):
        raise DataError(
            f"allowed_special={allowed_special!r} is one text. Give 'all' or a set: {{{allowed_special!r}}}."
        )
    for token in allowed_special:
        if token not in special_tokens:
            raise DataError(unknown_name("special token", token, special_tokens))
    return sorted(allowed_special, key=len, reverse=True)


def check_special_tokens(special_tokens: Mapping[str, int], num_tokens: int) -> None:
    """Raise a DataError unless the end of text is there, and every special token has a name and an id of its own."""
    if END_OF_TEXT not in special_tokens:
        raise DataError(f"The special tokens {sorted(special_tokens)} lack {END_OF_TEXT}. Add it: it ends a document.")
    ids = sorted(special_tokens.values())
    if "" in special_tokens or ids[0] < num_tokens or len(set(ids)) < len(ids):
        raise DataError(
            f"special_tokens={dict(special_tokens)}: each needs a name, and an id of its own from {num_tokens} on."
        )


def write_json(path: str | Path, content: dict[str, Any]) -> None:
    """Write the file of a tokenizer, whole or not at all."""
    write_atomically(path, json.dumps(content).encode("ascii"))


def read_json(path: str | Path) -> Any:
    """The content of a tokenizer's file.

    Raises:
        DataError: the file is missing, or it is not JSON.
    """
    try:
        check_ordinary(path)
        return reading.read_json(path)
    except OSError as error:
        raise DataError(
            f"No tokenizer could be read from {path}: {error.strerror}. Give the file that save wrote."
        ) from None
    except DataError as error:
        raise damaged(path, f"it is not JSON ({error})") from None


def damaged(path: str | Path, what: str) -> DataError:
    """The error for a file that is there but cannot be used."""
    return DataError(f"{path} is not a complete tokenizer: {what}. Save the tokenizer again, or train another.")
