"""The tokenizer of a published model, from its ``tokenizer.json``: byte-level BPE, SentencePiece's kinds, and others.

The library that the file is written for reads it, so the ids are those that the model was trained on. What the file
does not state stands in its neighbours: which ids end a text (``generation_config.json``, ``config.json``), and which
of them is the end of a document (``tokenizer_config.json``).
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as LibraryTokenizer

from gemini_workshop.data.tokenizers.checks import allowed_tokens, check_ids, damaged, read_json, write_json
from gemini_workshop.data.tokenizers.splitting import to_utf8
from gemini_workshop.errors import DataError


class ImportedTokenizer:
    """A tokenizer that another library made.

    Args:
        content: what a tokenizer.json holds.
        end_id: the id that ends a document.
        stop_ids: all ids after which a model writes no more.
        vocab_size: that of the model, where it has ids beyond those of the tokenizer.

    Attributes:
        start_ids: what comes before every text; nothing for some models.

    Raises:
        DataError: the library cannot read the content, or has no token for the end.
    """

    def __init__(
        self, content: dict[str, Any], *, end_id: int, stop_ids: Sequence[int] = (), vocab_size: int | None = None
    ) -> None:
        self.content, self.end_of_text_id, self.stop_ids = content, end_id, {end_id, *stop_ids}
        try:
            self._library = LibraryTokenizer.from_str(json.dumps(content))
        except Exception as error:  # the library raises nothing narrower
            raise DataError(f"The content is not what the library tokenizers reads: {error}.") from None
        self._library.no_truncation()
        self._library.no_padding()
        self.start_ids = list(self._library.encode("").ids)
        self._library.encode_special_tokens = True  # the name of a special token in a text is text
        names = {each["content"]: each["id"] for each in content.get("added_tokens", []) if each["special"]}
        end = self._library.id_to_token(end_id)
        if end is None:
            raise DataError(f"The vocabulary has no id {end_id}, which should end a document. Give the right end_id.")
        self.special_tokens: Mapping[str, int] = names | {end: end_id}
        self.vocab_size = vocab_size or max(self._library.get_vocab().values()) + 1

    @classmethod
    def train(cls, documents: Iterable[str], vocab_size: int) -> "ImportedTokenizer":  # noqa: ARG003
        """Refuse: what is imported is not learned.

        Raises:
            DataError: always.
        """
        raise DataError("An imported tokenizer is not learned here. Train a BPETokenizer.")

    @classmethod
    def from_folder(cls, folder: str | Path, vocab_size: int | None = None) -> "ImportedTokenizer":
        """The tokenizer of a folder that transformers wrote.

        Raises:
            DataError: there is no tokenizer.json, or it cannot be read, or no file names a token that ends a text.
        """
        folder = Path(folder)
        path = folder / "tokenizer.json"
        if not path.exists():
            raise DataError(
                f"There is no tokenizer.json in {folder}. Write one with transformers: "
                "AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)."
            )
        content = read_json(path)
        if not isinstance(content, dict) or not isinstance(content.get("model"), dict):
            raise damaged(path, "it has no model")
        settings, *configs = (
            _optional(folder / name) for name in ("tokenizer_config.json", "generation_config.json", "config.json")
        )
        ends = [i for values in configs for i in _as_list(values.get("eos_token_id"))]
        name = settings.get("eos_token")
        name = name.get("content") if isinstance(name, dict) else name
        ids = {each["content"]: each["id"] for each in content.get("added_tokens", [])} | _vocabulary(content)
        first = [ids[name]] if name in ids else []
        if not first + ends:
            raise DataError(
                f"No file in {folder} names a token that ends a text. Add eos_token_id to generation_config.json."
            )
        return cls(content, end_id=(first + ends)[0], stop_ids=ends, vocab_size=vocab_size)

    def encode(self, text: str, allowed_special: str | Collection[str] = ()) -> list[int]:
        """The text as ids, without :attr:`start_ids`. Special tokens count as such only if allowed."""
        text = to_utf8(text).decode()
        allowed = allowed_tokens(allowed_special, self.special_tokens)
        parts = re.split("(" + "|".join(map(re.escape, allowed)) + ")", text) if allowed else [text]
        ids: list[int] = []
        for i, part in enumerate(parts):
            ids += [self.special_tokens[part]] if i % 2 else self._library.encode(part, add_special_tokens=False).ids
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the ids, which may be the middle of a text: a space at its beginning is not dropped.

        Raises:
            DataError: an id is outside the vocabulary.
        """
        check_ids(ids, self.vocab_size)
        anchor = [self.end_of_text_id]  # or else the library takes the first id for the beginning
        before = self._library.decode(anchor, skip_special_tokens=False)
        return self._library.decode([*anchor, *map(int, ids)], skip_special_tokens=False)[len(before) :]

    def save(self, path: str | Path) -> None:
        """Write one JSON file for :func:`~gemini_workshop.data.tokenizers.load_tokenizer`."""
        ids = {"end_id": self.end_of_text_id, "stop_ids": sorted(self.stop_ids), "vocab_size": self.vocab_size}
        write_json(path, {"kind": "imported", **ids, "content": self.content})

    @classmethod
    def from_json(cls, path: str | Path, content: dict[str, Any]) -> "ImportedTokenizer":
        """The tokenizer of a file that :meth:`save` wrote.

        Raises:
            DataError: the content is not what :meth:`save` writes.
        """
        try:
            return cls(
                content["content"],
                end_id=content["end_id"],
                stop_ids=content["stop_ids"],
                vocab_size=content["vocab_size"],
            )
        except (KeyError, TypeError, ValueError, DataError) as error:
            raise damaged(path, f"it holds no tokenizer.json ({error})") from None


def _optional(path: Path) -> dict[str, Any]:
    return read_json(path) if path.exists() else {}


def _as_list(value: Any) -> list[int]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _vocabulary(content: dict[str, Any]) -> dict[str, int]:
    vocabulary = content["model"].get("vocab", {})
    if isinstance(vocabulary, dict):
        return vocabulary
    return {piece: i for i, (piece, _) in enumerate(vocabulary)}  # of a unigram model: pieces with scores
