"""Multiple choice by likelihood: which of several continuations does a model find most likely?

    none            log p(choice | context)                                    long choices lose
    token           ... divided by the number of tokens                        depends on the tokenizer
    byte            ... divided by the number of bytes                         does not
    unconditional   log p(choice | context) - log p(choice | end of text)      what the context adds: no choice is
                                                                               more likely because its words are common

Nothing is generated, so a model too small to follow instructions can be asked. Guessing reaches 1 / number of choices.

Source: Brown et al. 2020, arXiv:2005.14165, section 2.4 (token, unconditional); Gao 2021, "Multiple choice
normalization in LM evaluation" (byte).
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gemini_workshop.data.tokenizers import Tokenizer, start_ids
from gemini_workshop.errors import DataError
from gemini_workshop.evaluation.likelihood import continuation_log_probs
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.reading import read_json_lines, shortened, without_halves

NORMALIZATIONS = ("none", "token", "byte", "unconditional")


@dataclass(frozen=True, kw_only=True, slots=True)
class ChoiceQuestion:
    """A text and several ways to continue it.

    Args:
        choices: each with the space that it begins with.
        answer: the place of the right one, from 0.
    """

    context: str
    choices: tuple[str, ...]
    answer: int

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        if len(self.choices) < 2 or not 0 <= self.answer < len(self.choices) or not all(self.choices):
            raise DataError(
                f"answer={self.answer} of {len(self.choices)} choices cannot be asked. Give two choices or more, none "
                "of them empty, and the place of the right one, counted from 0."
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class ChoiceResult:
    """What a model chose.

    Args:
        picks: for each normalization, the place chosen in each question.
        accuracy: the fraction of right ones.
        chance: the accuracy of guessing.
    """

    picks: dict[str, tuple[int, ...]]
    accuracy: dict[str, float]
    chance: float
    num_questions: int


def choice_score(normalization: str, log_prob: float, num_tokens: int, num_bytes: int, unconditional: float) -> float:
    """The score of a choice, from the log-probability of all its tokens; the highest wins.

    Example:
        >>> choice_score("byte", log_prob=-6.0, num_tokens=2, num_bytes=12, unconditional=-8.0)
        -0.5
    """
    return {
        "none": log_prob,
        "token": log_prob / num_tokens,
        "byte": log_prob / num_bytes,
        "unconditional": log_prob - unconditional,
    }[normalization]


def answer_questions(model: Transformer, tokenizer: Tokenizer, questions: Sequence[ChoiceQuestion]) -> ChoiceResult:
    """Let a model choose, by every normalization.

    Raises:
        DataError: there are no questions.
    """
    if not questions:
        raise DataError("There are 0 questions. Give at least one.")
    picks: dict[str, list[int]] = {name: [] for name in NORMALIZATIONS}
    for question in questions:
        scores = score_choices(model, tokenizer, question)
        for name, values in scores.items():
            picks[name].append(max(range(len(values)), key=values.__getitem__))
    right = {
        name: sum(pick == question.answer for pick, question in zip(chosen, questions, strict=True))
        for name, chosen in picks.items()
    }
    return ChoiceResult(
        picks={name: tuple(chosen) for name, chosen in picks.items()},
        accuracy={name: count / len(questions) for name, count in right.items()},
        chance=sum(1 / len(question.choices) for question in questions) / len(questions),
        num_questions=len(questions),
    )


def score_choices(model: Transformer, tokenizer: Tokenizer, question: ChoiceQuestion) -> dict[str, list[float]]:
    """The score of every choice, by every normalization."""
    start = start_ids(tokenizer) or [tokenizer.end_of_text_id]
    context = start + tokenizer.encode(question.context)
    choices = [tokenizer.encode(choice) for choice in question.choices]
    with_context, without = (
        [float(log_probs.double().sum()) for log_probs in continuation_log_probs(model, before, choices)]
        for before in (context, start)
    )
    num_bytes = [len(choice.encode()) for choice in question.choices]
    each = list(zip(with_context, map(len, choices), num_bytes, without, strict=True))
    return {name: [choice_score(name, *numbers) for numbers in each] for name in NORMALIZATIONS}


def load_questions(path: str | Path) -> list[ChoiceQuestion]:
    """Questions of a file, one JSON object per line: context, choices, answer.

    Raises:
        DataError: a line is not such an object.
    """
    questions = []
    for where, values in read_json_lines(path, "a file of questions, one JSON object per line"):
        if fault := question_fault(values):
            raise DataError(
                f"{where} is not a question: {fault}. It needs to look like "
                '{"context": "Two and two make", "choices": [" four.", " five."], "answer": 0}.'
            )
        context, choices = without_halves(values["context"]), map(without_halves, values["choices"])
        try:
            questions.append(ChoiceQuestion(context=context, choices=tuple(choices), answer=values["answer"]))
        except DataError as error:
            raise DataError(f"{where} {error}") from None
    return questions


def question_fault(values: Any) -> str | None:
    """What keeps a line from being a question, in words; None if nothing does.

    Example:
        >>> question_fault({"context": "Two and two make", "choices": [" four.", " five."], "answer": "A"})
        "answer='A' is not a whole number"
    """
    if not isinstance(values, dict):
        return f"{shortened(repr(values))} is not an object"
    if missing := [name for name in ("context", "choices", "answer") if name not in values]:
        return f"{' and '.join(missing)} missing"
    context, choices, answer = (values[name] for name in ("context", "choices", "answer"))
    if not isinstance(context, str):
        return f"context={shortened(repr(context))} is not a text"
    if not isinstance(choices, list) or not all(isinstance(choice, str) for choice in choices):
        return f"choices={shortened(repr(choices))} is not a list of texts"
    if not isinstance(answer, int) or isinstance(answer, bool):
        return f"answer={shortened(repr(answer))} is not a whole number"
    return None


def ending_questions(documents: Sequence[str], num_choices: int = 4, seed: int = 0) -> list[ChoiceQuestion]:
    """Questions of the kind: which last sentence belongs to this text? The wrong ones are the last sentences of others.

    Documents of one sentence are left out.
    """
    pairs = [pair for document in documents if (pair := _split(document))]
    if len(pairs) < num_choices:
        raise DataError(
            f"{len(pairs)} documents of two sentences or more are too few for {num_choices} choices. "
            f"Give {num_choices} or more."
        )
    generator, questions = random.Random(seed), []
    for place, (context, ending) in enumerate(pairs):
        others = generator.sample([end for i, (_, end) in enumerate(pairs) if i != place], num_choices - 1)
        answer = generator.randrange(num_choices)
        choices = (*others[:answer], ending, *others[answer:])
        questions.append(ChoiceQuestion(context=context, choices=choices, answer=answer))
    return questions


def _split(document: str) -> tuple[str, str] | None:
    """All but the last sentence, and the last one with the white space before it."""
    ends = list(re.finditer(r'[.!?]"?(?=\s)', document.rstrip()))
    return (document[: ends[-1].end()], document.rstrip()[ends[-1].end() :]) if ends else None
