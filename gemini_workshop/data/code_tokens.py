r"""How many tokens a line of code costs, for tokenizers that treat white space in different ways.

Lesson 10 shows them where tokenizers hurt.

    blind   every blank is a word of its own: eight spaces are eight tokens
    gpt2    blanks in a row may become one token, and the last one belongs to the word after it
    cl100k  (GPT-4) as gpt2, and the line end belongs to the sign before it: ``):\n`` may be one token

Each learns the same number of merges from the same code and is measured on other code. The published GPT-2 spends a
token on nearly every blank of an indentation, but not because of its pattern: its training text had hardly any code.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import regex

from gemini_workshop.data.tokenizers import apply_merges, split_words, train_bpe_fast
from gemini_workshop.errors import DataError

BLANK_OR_REST = regex.compile(r"\s|\S+")


def split_blanks(text: str) -> list[str]:
    r"""The words of GPT-2's pattern, with every blank by itself.

    Example:
        >>> split_blanks("if x:\n    go()")
        ['if', ' ', 'x', ':', '\n', ' ', ' ', ' ', ' ', 'go', '()']
    """
    return [piece for word in split_words(text) for piece in BLANK_OR_REST.findall(word)]


SPLITS: dict[str, Callable[[str], list[str]]] = {
    "blind": split_blanks,
    "gpt2": split_words,
    "cl100k": lambda text: split_words(text, "cl100k"),
}


@dataclass(frozen=True, slots=True)
class CodeCost:
    """How many tokens a tokenizer spends on code.

    Attributes:
        tokens_per_line: over lines that are not empty.
        blank_fraction: of the tokens, those that are white space alone.
    """

    tokens_per_line: float
    blank_fraction: float


def compare_splits(
    train: Sequence[str], held_out: Sequence[str], num_merges: int, splits: Iterable[str] = tuple(SPLITS)
) -> dict[str, CodeCost]:
    """The cost of ``held_out`` to byte-pair encodings that learned from ``train``, one for each way to split.

    Raises:
        DataError: there is no code to measure on, or too little to learn from.
    """
    num_lines = sum(1 for source in held_out for line in source.splitlines() if line.strip())
    if not num_lines:
        raise DataError("held_out holds no line of code. Give at least one source.")
    return {name: _cost(SPLITS[name], train, held_out, num_merges, num_lines) for name in splits}


def _cost(
    split: Callable[[str], list[str]], train: Sequence[str], held_out: Sequence[str], num_merges: int, num_lines: int
) -> CodeCost:
    repeats = {word.encode(): count for word, count in _count(split, train).items()}
    merges = train_bpe_fast(repeats, num_merges)
    num_tokens = num_blank = 0
    for word, count in _count(split, held_out).items():
        length = len(apply_merges(word.encode(), merges)) * count
        num_tokens += length
        num_blank += length if word.isspace() else 0
    return CodeCost(num_tokens / num_lines, num_blank / num_tokens)


def _count(split: Callable[[str], list[str]], sources: Sequence[str]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for source in sources:
        counts.update(split(source))
    return counts
