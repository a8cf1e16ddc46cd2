"""Are instructions obeyed? Judged by programs: each instruction says what makes an answer right.

{"hero": "Omar"}                    one of the first two sentences names Omar
{"words": ["hill", "brave"]}        each is in the answer, as a word
{"ending": "They went home."}       the answer ends with it
{"answer": "12"}                    the answer is this and nothing else, save a full stop
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gemini_workshop.config import GenerationConfig
from gemini_workshop.data.conversations.templates import ChatTemplate, Message
from gemini_workshop.data.tokenizers import Tokenizer, prompt_ids, stop_ids
from gemini_workshop.errors import DataError, unknown_name
from gemini_workshop.generation.decode import generate
from gemini_workshop.models.transformer import Transformer


def obeys(answer: str, check: Mapping[str, Any]) -> bool:
    """Whether an answer is what the instruction asked for.

    Raises:
        DataError: the check is none of the kinds above.

    Example:
        >>> obeys("A hill. He was brave.", {"words": ["hill", "brave"]}), obeys("It is 12.", {"answer": "12"})
        (True, False)
    """
    [(kind, wanted)] = check.items()
    if kind not in CHECKS:
        raise DataError(unknown_name("check", kind, CHECKS))
    return CHECKS[kind](answer.strip(), wanted)


def _names_the_hero(answer: str, name: str) -> bool:
    beginning = " ".join(re.split(r"(?<=[.!?])\s+", answer)[:2])
    return re.search(rf"\b{re.escape(name)}\b", beginning) is not None


def _has_the_words(answer: str, words: Sequence[str]) -> bool:
    return all(re.search(rf"\b{re.escape(word)}\b", answer, re.IGNORECASE) for word in words)


def _has_the_ending(answer: str, ending: str) -> bool:
    return answer.endswith(ending)


def _is_the_answer(answer: str, wanted: str) -> bool:
    return answer.removesuffix(".") == wanted.removesuffix(".")


CHECKS: dict[str, Callable[[str, Any], bool]] = {
    "hero": _names_the_hero,
    "words": _has_the_words,
    "ending": _has_the_ending,
    "answer": _is_the_answer,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """An instruction, how its answer is judged, and what a model answered."""

    prompt: str
    check: Mapping[str, Any]
    answer: str

    @property
    def is_right(self) -> bool:
        """Whether the model did as it was told."""
        return obeys(self.answer, self.check)


def answer_to(
    model: Transformer,
    tokenizer: Tokenizer,
    messages: Sequence[Message],
    template: ChatTemplate | None,
    config: GenerationConfig,
) -> str:
    """What a model says next in a conversation, to the end of its turn.

    Args:
        template: how it was taught to chat; None for a model that only continues texts, which gets the last message as
            the beginning of one.
    """
    if template is None:
        ids, ends = prompt_ids(tokenizer, f"{messages[-1].content}\n\n"), stop_ids(tokenizer)
    else:
        ids = template.encode(messages, tokenizer, add_generation_prompt=True).ids
        ends = {tokenizer.special_tokens[template.end], *stop_ids(tokenizer)}
    return tokenizer.decode(list(generate(model, ids, config, stop_ids=ends))).strip()


def ask_all(
    model: Transformer,
    tokenizer: Tokenizer,
    instructions: Iterable[tuple[str, Mapping[str, Any]]],
    template: ChatTemplate | None,
    config: GenerationConfig,
) -> list[Asked]:
    """Let a model answer instructions, each a prompt with its check."""
    return [
        Asked(
            prompt=prompt,
            check=check,
            answer=answer_to(model, tokenizer, [Message("user", prompt)], template, config),
        )
        for prompt, check in instructions
    ]
