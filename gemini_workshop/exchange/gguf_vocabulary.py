"""A byte-level vocabulary as llama.cpp reads it: the tokens in order, their kinds, the merges, how text is split.

llama.cpp knows the patterns that split text by the names of the models that were published with them.
"""

from dataclasses import dataclass
from typing import Any

from gemini_workshop.data.tokenizers.exchange import split_pattern
from gemini_workshop.data.tokenizers.splitting import PATTERNS
from gemini_workshop.errors import DataError

NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5
PATTERN_NAMES = {"gpt2": "gpt-2", "cl100k": "dbrx", "o200k": "gpt-4o"}


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufVocabulary:
    """What a file holds of the tokenizer."""

    tokens: list[str]
    kinds: list[int]
    merges: list[str]
    pattern: str


def gguf_vocabulary(content: dict[str, Any], vocab_size: int) -> GgufVocabulary:
    """The vocabulary of a tokenizer.json; ids that the model has beyond it are marked as not used.

    Raises:
        DataError: llama.cpp has no such tokenizer.
    """
    model = content["model"]
    if model["type"] != "BPE" or model.get("byte_fallback"):
        raise _refused(f"a model of the type {model['type']}")
    if content.get("normalizer") is not None:
        raise _refused(f"the normalizer {content['normalizer'].get('type')}")
    tokens = {i: (name, NORMAL) for name, i in model["vocab"].items()}
    for added in content["added_tokens"]:
        tokens[added["id"]] = (added["content"], CONTROL if added["special"] else USER_DEFINED)
    in_order = [tokens.get(i, (f"[UNUSED{i}]", UNUSED)) for i in range(vocab_size)]
    pairs = [pair.split(" ") if isinstance(pair, str) else pair for pair in model["merges"]]
    return GgufVocabulary(
        tokens=[name for name, _ in in_order],
        kinds=[kind for _, kind in in_order],
        merges=[f"{left} {right}" for left, right in pairs],
        pattern=_pattern_name(content["pre_tokenizer"]),
    )


def _pattern_name(pre_tokenizer: dict[str, Any]) -> str:
    """The name by which llama.cpp knows how text is split."""
    steps = pre_tokenizer.get("pretokenizers", [pre_tokenizer])
    is_gpt2 = [step["type"] for step in steps] == ["ByteLevel"] and steps[0].get("use_regex", True)
    if is_gpt2 and not steps[0].get("add_prefix_space"):
        return PATTERN_NAMES["gpt2"]
    for name, known in PATTERN_NAMES.items():
        if steps[0] == split_pattern(PATTERNS[name].unicode) and [step["type"] for step in steps[1:]] == ["ByteLevel"]:
            return known
    raise _refused("another pattern that splits text into words")


def _refused(what: str) -> DataError:
    return DataError(
        f"The tokenizer has {what}, which a GGUF file by this export cannot say. It can say byte-level BPE with one of "
        f"the patterns {', '.join(PATTERN_NAMES)}."
    )
