"""Filters that ask what a text looks like, not what it says, so that they serve any language.

Source: Rae et al. 2021 (Gopher), arXiv:2112.11446, appendix A.1.1: length, symbols and repetition.
Differs: no list of English words; symbols are all characters that are neither letter nor digit; of the repetition
rules three represent the thirteen, in characters.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import regex

from gemini_workshop.errors import DataError

# Scripts that write no spaces count one word a character.
WORD = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}]|[\p{L}\p{M}\p{N}]+")
LETTER_OR_DIGIT = regex.compile(r"[\p{L}\p{M}\p{N}]")


@dataclass(frozen=True, kw_only=True, slots=True)
class QualityLimits:
    """What a document may be like. Shares run from 0 to 1 and count characters, white space left out.

    Args:
        max_symbol_fraction: of signs that are neither letters nor digits.
        max_duplicate_line_fraction: of lines that occurred in the document before.
        max_top_phrase_fraction: of the most frequent three words in a row, if they occur three times.
        max_duplicate_phrase_fraction: of words within some five words in a row that occurred in the document before.
    """

    min_characters: int = 50
    max_characters: int = 1_000_000
    max_symbol_fraction: float = 0.4
    max_duplicate_line_fraction: float = 0.3
    max_top_phrase_fraction: float = 0.25
    max_duplicate_phrase_fraction: float = 0.3

    def __post_init__(self) -> None:
        if not 0 <= self.min_characters <= self.max_characters:
            raise DataError(
                f"min_characters={self.min_characters} and max_characters={self.max_characters} let nothing through. "
                "Choose 0 <= min_characters <= max_characters."
            )


def quality_fault(text: str, limits: QualityLimits) -> str | None:
    """The first limit that the text breaks, in words; None if it keeps them all.

    Example:
        >>> quality_fault("ha " * 50, QualityLimits())
        'one phrase over and over'
    """
    if len(text) < limits.min_characters:
        return "too short"
    if len(text) > limits.max_characters:
        return "too long"
    if symbol_fraction(text) > limits.max_symbol_fraction:
        return "mostly symbols"
    if duplicate_line_fraction(text) > limits.max_duplicate_line_fraction:
        return "repeated lines"
    words = words_of(text)
    if top_phrase_fraction(words) > limits.max_top_phrase_fraction:
        return "one phrase over and over"
    if duplicate_phrase_fraction(words) > limits.max_duplicate_phrase_fraction:
        return "repeated phrases"
    return None


def words_of(text: str) -> list[str]:
    """The words, in lower case, without the signs between them.

    Example:
        >>> words_of("It's 12 o'clock, 東京!")
        ['it', 's', '12', 'o', 'clock', '東', '京']
    """
    return WORD.findall(text.casefold())


def symbol_fraction(text: str) -> float:
    """Share of the visible characters that are neither letters nor digits; 0 for an empty text.

    Example:
        >>> symbol_fraction("ab #!")
        0.5
    """
    num_visible = len("".join(text.split()))
    return 1 - len(LETTER_OR_DIGIT.findall(text)) / num_visible if num_visible else 0.0


def duplicate_line_fraction(text: str) -> float:
    r"""Share of the text that lies in lines seen before; empty lines do not count.

    Example:
        >>> duplicate_line_fraction("abc\n\nabc\ndefghi")
        0.25
    """
    seen: set[str] = set()
    num_total = num_repeated = 0
    for line in filter(None, map(str.strip, text.splitlines())):
        num_total += len(line)
        num_repeated += len(line) if line in seen else 0
        seen.add(line)
    return num_repeated / num_total if num_total else 0.0


def top_phrase_fraction(words: Sequence[str], length: int = 3) -> float:
    """Share of the words' characters that the most frequent phrase takes; 0 if none occurs three times.

    Example:
        >>> top_phrase_fraction("go on now go on now go on now yes".split())
        0.875
    """
    phrases = Counter(zip(*(words[i:] for i in range(length)), strict=False))
    if not phrases:
        return 0.0
    phrase, _ = phrases.most_common(1)[0]
    num_covered = _count_without_overlap(words, phrase)
    return num_covered * sum(map(len, phrase)) / sum(map(len, words)) if num_covered > 2 else 0.0


def _count_without_overlap(words: Sequence[str], phrase: Sequence[str]) -> int:
    count = i = 0
    while i + len(phrase) <= len(words):
        is_here = tuple(words[i : i + len(phrase)]) == tuple(phrase)
        count += is_here
        i += len(phrase) if is_here else 1
    return count


def duplicate_phrase_fraction(words: Sequence[str], length: int = 5) -> float:
    """Share of the words' characters that lie in some phrase of this length that stood in the text before.

    Example:
        >>> duplicate_phrase_fraction("a b c d e x a b c d e".split())
        0.45454545454545453
    """
    seen: set[tuple[str, ...]] = set()
    is_repeated = [False] * len(words)
    for i in range(len(words) - length + 1):
        phrase = tuple(words[i : i + length])
        if phrase in seen:
            is_repeated[i : i + length] = [True] * length
        seen.add(phrase)
    num_total = sum(map(len, words))
    return sum(len(w) for w, again in zip(words, is_repeated, strict=True) if again) / num_total if num_total else 0.0
