"""A tokenizer as Hugging Face's libraries read it: ``tokenizer.json`` of tokenizers, ids and all.

Bytes are written as letters that can be seen, as GPT-2's files do. One thing differs: there, the name of a special
token within a text counts as the token, unless the caller says ``split_special_tokens=True``.
"""

import re
from pathlib import Path
from typing import Any

from gemini_workshop.data.tokenizers.byte_pairs import BPETokenizer
from gemini_workshop.data.tokenizers.characters import UNKNOWN, CharTokenizer
from gemini_workshop.data.tokenizers.checks import END_OF_TEXT, write_json
from gemini_workshop.data.tokenizers.pretrained import byte_letters
from gemini_workshop.data.tokenizers.splitting import PATTERNS
from gemini_workshop.errors import DataError


def write_huggingface_tokenizer(tokenizer: object, folder: str | Path, context_tokens: int) -> None:
    """Write tokenizer.json and tokenizer_config.json, from which ``AutoTokenizer.from_pretrained(folder)`` reads it.

    Raises:
        DataError: the tokenizer is of a kind that cannot be written so.
    """
    if isinstance(tokenizer, BPETokenizer):
        content, unknown = _byte_pairs(tokenizer), {}
    elif isinstance(tokenizer, CharTokenizer):
        content, unknown = _characters(tokenizer), {"unk_token": UNKNOWN}
    else:
        raise DataError(
            f"A {type(tokenizer).__name__} cannot be written as tokenizer.json. "
            "Byte pairs and characters can; give others the file that save wrote."
        )
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": END_OF_TEXT,
        "model_max_length": context_tokens,
        "clean_up_tokenization_spaces": False,
    }
    write_json(Path(folder, "tokenizer.json"), content)
    write_json(Path(folder, "tokenizer_config.json"), settings | unknown)


def _byte_pairs(tokenizer: BPETokenizer) -> dict[str, Any]:
    letters = byte_letters()
    names = ["".join(letters[byte] for byte in token) for token in tokenizer.tokens]
    to_bytes = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    splits = [] if tokenizer.pattern == "whole" else [_split(_oniguruma(PATTERNS[tokenizer.pattern].unicode))]
    return _file(
        normalizer=None if tokenizer.normalization is None else {"type": tokenizer.normalization},
        pre_tokenizer={"type": "Sequence", "pretokenizers": [*splits, to_bytes]},
        decoder=to_bytes,
        model={
            "type": "BPE",
            "vocab": {name: i for i, name in enumerate(names)},
            "merges": [[names[left], names[right]] for left, right in tokenizer.merges],
        },
        special_tokens=dict(tokenizer.special_tokens),
    )


def _characters(tokenizer: CharTokenizer) -> dict[str, Any]:
    vocab = {character: i for i, character in enumerate([*tokenizer.characters, UNKNOWN])}
    return _file(
        normalizer=None,
        pre_tokenizer=_split(r"[\s\S]"),
        decoder={"type": "Fuse"},
        model={"type": "WordLevel", "vocab": vocab, "unk_token": UNKNOWN},
        special_tokens={END_OF_TEXT: tokenizer.end_of_text_id},
    )


def _file(special_tokens: dict[str, int], **parts: Any) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    added = [{"id": i, "content": name, **flags, "special": True} for name, i in special_tokens.items()]
    nothing = dict.fromkeys(("truncation", "padding", "post_processor"))
    return {"version": "1.0", **nothing, "added_tokens": added, **parts}


def _split(pattern: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def _oniguruma(pattern: str) -> str:
    r"""The pattern for the engine of tokenizers: no possessive repeats, which change no match here, and ``\z``."""
    return re.sub(r"([?+*]|\{\d+,\d+\})\+", r"\1", pattern).replace(r"\Z", r"\z")
