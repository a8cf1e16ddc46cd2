"""A tokenizer as Hugging Face's libraries read it: ``tokenizer.json`` of tokenizers, ids and all.

Bytes are written as visible letters, as GPT-2's files do. Two things differ there. The name of a special token within a
text counts as the token, unless the caller says ``split_special_tokens=True``. And a text begins with the end-of-text
token, unless the caller says ``add_special_tokens=False``: our models were trained to see it before each text.
"""

import re
from pathlib import Path
from typing import Any

from gemini_workshop.data.tokenizers.byte_pairs import BPETokenizer
from gemini_workshop.data.tokenizers.characters import UNKNOWN, CharTokenizer
from gemini_workshop.data.tokenizers.checks import END_OF_TEXT, PADDING, write_json
from gemini_workshop.data.tokenizers.imported import ImportedTokenizer
from gemini_workshop.data.tokenizers.pretrained import byte_letters
from gemini_workshop.data.tokenizers.protocol import Tokenizer, start_ids
from gemini_workshop.data.tokenizers.splitting import PATTERNS
from gemini_workshop.errors import DataError

# A chat is one text that both write, as in `gemini-workshop chat`: see the format "story".
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{ message['content'] }}"
    "{% if message['role'] != 'user' %}{{ '\n\n' }}{% endif %}{% endfor %}"
)


def write_huggingface_tokenizer(tokenizer: object, folder: str | Path, context_tokens: int) -> None:
    """Write tokenizer.json and tokenizer_config.json, from which ``AutoTokenizer.from_pretrained(folder)`` reads it.

    Raises:
        DataError: the tokenizer is of a kind that cannot be written so, or some ids of its vocabulary are not used.
    """
    content = huggingface_content(tokenizer)
    unknown = {"unk_token": UNKNOWN} if isinstance(tokenizer, CharTokenizer) else {}
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **_names(tokenizer),
        "padding_side": "left",  # what is generated follows the text, not the padding
        "model_input_names": ["input_ids", "attention_mask"],
        "model_max_length": context_tokens,
        "chat_template": None if isinstance(tokenizer, ImportedTokenizer) else CHAT_TEMPLATE,
        "clean_up_tokenization_spaces": False,
    }
    write_json(Path(folder, "tokenizer.json"), content)
    write_json(Path(folder, "tokenizer_config.json"), settings | unknown)


def huggingface_content(tokenizer: object) -> dict[str, Any]:
    """The content of tokenizer.json.

    Raises:
        DataError: the tokenizer is of a kind that cannot be written so, or some ids of its vocabulary are not used.
    """
    if isinstance(tokenizer, BPETokenizer):
        return _byte_pairs(tokenizer)
    if isinstance(tokenizer, CharTokenizer):
        return _characters(tokenizer)
    if isinstance(tokenizer, ImportedTokenizer):
        return tokenizer.content
    raise DataError(
        f"A {type(tokenizer).__name__} cannot be written as tokenizer.json. "
        "Byte pairs and characters can; for others, pass on the file that save wrote."
    )


def special_ids(tokenizer: Tokenizer) -> dict[str, int]:
    """The ids that begin a text, end it and fill it up, by the names that they have in a config.json.

    The end of text fills up, as in GPT-2, where the vocabulary has no token for it.
    """
    end = tokenizer.end_of_text_id
    first = start_ids(tokenizer)[0] if start_ids(tokenizer) else end
    return {
        "bos_token_id": first,
        "eos_token_id": end,
        "pad_token_id": tokenizer.special_tokens.get(PADDING, end),
    }


def _names(tokenizer: Any) -> dict[str, str]:
    names = {i: name for name, i in tokenizer.special_tokens.items()}
    return {key.removesuffix("_id"): names[i] for key, i in special_ids(tokenizer).items()}


def _byte_pairs(tokenizer: BPETokenizer) -> dict[str, Any]:
    letters = byte_letters()
    names = ["".join(letters[byte] for byte in token) for token in tokenizer.tokens]
    if tokenizer.vocab_size > len(names) + len(tokenizer.special_tokens):
        raise DataError(
            f"The special tokens {tokenizer.special_tokens} leave ids between {len(names)} and {tokenizer.vocab_size} "
            "unused, which tokenizer.json cannot say. Give them the ids that follow the other tokens."
        )
    to_bytes = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    splits = [] if tokenizer.pattern == "whole" else [split_pattern(PATTERNS[tokenizer.pattern].unicode)]
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
    in_order = sorted(special_tokens.items(), key=lambda item: item[1])  # there, their places decide their ids
    added = [{"id": i, "content": name, **flags, "special": True} for name, i in in_order]
    post_processor = _beginning(END_OF_TEXT, special_tokens[END_OF_TEXT])
    nothing = dict.fromkeys(("truncation", "padding"))
    return {"version": "1.0", **nothing, "post_processor": post_processor, "added_tokens": added, **parts}


def _beginning(token: str, token_id: int) -> dict[str, Any]:
    """Put a token before each text."""
    first = {"SpecialToken": {"id": token, "type_id": 0}}
    texts = [{"Sequence": {"id": name, "type_id": 0}} for name in "AB"]
    return {
        "type": "TemplateProcessing",
        "single": [first, texts[0]],
        "pair": [first, texts[0], first, texts[1]],
        "special_tokens": {token: {"id": token, "ids": [token_id], "tokens": [token]}},
    }


def split_pattern(pattern: str) -> dict[str, Any]:
    """The step of a tokenizer.json that splits text by one of our patterns."""
    return _split(_oniguruma(pattern))


def _split(pattern: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def _oniguruma(pattern: str) -> str:
    r"""The pattern for the engine of tokenizers: no possessive repeats, which change no match here, and ``\z``."""
    return re.sub(r"([?+*]|\{\d+,\d+\})\+", r"\1", pattern).replace(r"\Z", r"\z")
