"""Text to words, before pairs are merged. Nothing is dropped, and no token learned later spans two words.

Three published patterns, and none. They differ in what they keep together:

    gpt2    one space with what follows it; contractions in lower case; digits without limit
    cl100k  (GPT-4) any sign before letters; contractions in any case; three digits at most; line ends after signs
    o200k   (GPT-4o) as cl100k, but a word ends before a capital, contractions stay with their word
    whole   nothing is split: pairs are merged across the text, as in the first papers

:func:`split_words` is the definition. :func:`sure_pieces` cuts at the places where every pattern would, many times
faster, so that a pattern need run only once on each distinct piece.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import regex
from jaxtyping import Bool, UInt8

from gemini_workshop.errors import DataError, unknown_name


@dataclass(frozen=True, kw_only=True, slots=True)
class WordPattern:
    """A regular expression whose matches are the words, for any text and, much faster, for ASCII bytes."""

    unicode: str
    ascii: bytes


PATTERNS = {
    "gpt2": WordPattern(
        unicode=r"'(?:s|t|re|ve|m|ll|d)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
        ascii=rb"'(?:s|t|re|ve|m|ll|d)| ?[A-Za-z]+| ?[0-9]+| ?[^\sA-Za-z0-9]+|\s+(?!\S)|\s+",
    ),
    "cl100k": WordPattern(
        unicode=r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
        r"|\s++\Z|\s*[\r\n]|\s+(?!\S)|\s",
        ascii=rb"'(?i:[sdmt]|ll|ve|re)|[^\r\nA-Za-z0-9]?+[A-Za-z]++|[0-9]{1,3}+| ?[^\sA-Za-z0-9]++[\r\n]*+"
        rb"|\s++\Z|\s*[\r\n]|\s+(?!\S)|\s",
    ),
    "o200k": WordPattern(
        unicode=r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ascii=rb"[^\r\nA-Za-z0-9]?[A-Z]*[a-z]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        rb"|[^\r\nA-Za-z0-9]?[A-Z]+[a-z]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        rb"|[0-9]{1,3}| ?[^\sA-Za-z0-9]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ),
    "whole": WordPattern(unicode=r"(?s:.+)", ascii=rb"(?s:.+)"),
}

# The published tokenizers know the characters of Unicode 16. To them a letter added since is not a letter.
SINCE_UNICODE_16 = re.compile(
    "[\u0558\u058b-\u058c\u05c8-\u05c9\u088f\u0b53-\u0b54\u0c5c\u0cdc\u1acf-\u1af0\u208f\u209d-\u209f\ua7ce-\ua7cf"
    "\ua7d2\ua7d4\ua7dd\ua7e2\ua7f1\uab6c-\uab6d\U000107bb-\U000107bf\U00010940-\U00010959\U00010ec5-\U00010ec7"
    "\U00010ecb-\U00010ecf\U00010ed9-\U00010eee\U00010ef0-\U00010efb\U00011b0a\U00011b60-\U00011b67"
    "\U00011db0-\U00011ddb\U00011de0-\U00011de9\U00011df0-\U00011df1\U0001246f\U00012475-\U0001247f"
    "\U00012550-\U00012686\U00016ea0-\U00016eb8\U00016ebb-\U00016ed3\U00016ff2-\U00016ff6\U000187f8-\U000187ff"
    "\U00018cd6-\U00018cda\U00018d09-\U00018d20\U00018d80-\U00018df2\U00018e00-\U00019191\U000191a0-\U000191d2"
    "\U0001b123-\U0001b128\U0001b168\U0001d127-\U0001d128\U0001d250-\U0001d252\U0001d25b-\U0001d25c\U0001d25f"
    "\U0001d280-\U0001d281\U0001d6a6\U0001df1f-\U0001df24\U0001df2b-\U0001df81\U0001df90-\U0001df96"
    "\U0001dfcd-\U0001dfff\U0001e6c0-\U0001e6de\U0001e6e0-\U0001e6f5\U0001e6fe-\U0001e6ff\U0002b73a-\U0002b73f"
    "\U0002b81e\U0002cea2-\U0002cead\U000323b0-\U00033479\U0003d000-\U0003fc3f]"
)
UNASSIGNED = "\u0378"


def split_words(text: str, pattern: str = "gpt2") -> list[str]:
    """Cut the text into the words within which pairs are merged; joined, they are the text again.

    Args:
        pattern: a name of :data:`PATTERNS`.

    Example:
        >>> split_words("It's 12345  o'clock!")
        ['It', "'s", ' 12345', ' ', ' o', "'", 'clock', '!']
        >>> split_words("It's 12345  o'clock!", "cl100k")
        ['It', "'s", ' ', '123', '45', ' ', ' o', "'clock", '!']
    """
    find_words = _unicode_pattern(pattern).findall
    if text.isascii():
        return find_words(text)
    as_in_unicode_16 = SINCE_UNICODE_16.sub(UNASSIGNED, text).replace("ʕ", "ɐ")  # ʕ was in lower case then
    if as_in_unicode_16 == text:
        return find_words(text)
    ends = np.cumsum([len(word) for word in find_words(as_in_unicode_16)]).tolist()
    return [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def split_piece(piece: bytes, pattern: str) -> list[bytes]:
    """:func:`split_words` on UTF-8."""
    if piece.isascii():
        return _ascii_pattern(pattern).findall(piece)
    return [word.encode() for word in split_words(piece.decode(), pattern)]


def check_pattern(pattern: str) -> None:
    """Raise a DataError unless there is a pattern of this name."""
    if pattern not in PATTERNS:
        raise DataError(unknown_name("word pattern", pattern, PATTERNS))


@cache
def _unicode_pattern(pattern: str) -> regex.Pattern:
    check_pattern(pattern)
    return regex.compile(PATTERNS[pattern].unicode)


@cache
def _ascii_pattern(pattern: str) -> re.Pattern[bytes]:
    check_pattern(pattern)
    return re.compile(PATTERNS[pattern].ascii)


# --- Sure boundaries ---

CHUNK_BYTES = 1 << 17
BOUNDARY = b"\xff"  # a byte that UTF-8 never uses
BLANK, LINE_END, LETTER_OR_DIGIT, SIGN, NO_SPACE, ENDS_A_SPACE, BEFORE_THAT = (1 << bit for bit in range(7))


def _kinds_of_bytes() -> UInt8[np.ndarray, "256"]:
    kinds = np.zeros(256, np.uint8)
    kinds[list(b" \t\v\f")] = BLANK
    kinds[list(b"\r\n")] = LINE_END
    for byte in range(128):
        if not kinds[byte]:
            kinds[byte] = NO_SPACE | (LETTER_OR_DIGIT if chr(byte).isalnum() else SIGN * (byte != ord("'")))
    kinds[128:] = NO_SPACE
    # The spaces beyond ASCII end in C2 85, C2 A0, 9A 80, 80 80 to 80 8A, 80 A8, 80 A9, 80 AF, 81 9F.
    kinds[[*range(0x80, 0x8B), 0x9F, 0xA0, 0xA8, 0xA9, 0xAF]] |= ENDS_A_SPACE
    kinds[[0xC2, 0x9A, 0x80, 0x81]] |= BEFORE_THAT
    return kinds


KINDS = _kinds_of_bytes()


def sure_pieces(texts: Iterable[str], pattern: str) -> Iterator[list[bytes]]:
    r"""Cut the UTF-8 of the texts where all patterns would, a list of pieces at a time.

    Pattern "whole" cuts between the texts only. The words of each piece by itself are its words in the text. Lone
    surrogates become U+FFFD, the halves of a pair their character.

    Example:
        >>> next(sure_pieces(["It's late, she said.\nYes"], "gpt2"))
        [b"It's", b' late', b',', b' she', b' said', b'.\n', b'Yes']
    """
    data = BOUNDARY.join(map(to_utf8, texts))
    if pattern == "whole":
        yield data.split(BOUNDARY)
        return
    start, size = 0, CHUNK_BYTES
    while start + size < len(data):
        pieces = _cut(data[start : start + size])
        yield pieces[:-1]
        start += size - len(pieces[-1])  # the last piece may continue in the next chunk
        size = CHUNK_BYTES if len(pieces) > 1 else 2 * size
    yield _cut(data[start:])


def _cut(data: bytes) -> list[bytes]:
    """Mark each boundary by a byte, then split at the marks.

    A boundary lies between two bytes
        1. before a blank that follows no white space,
        2. before a line end that follows a letter or digit,
        3. before a sign (but not ') that follows a letter or digit,
        4. before a letter or digit that follows a single line end.
    """
    codes = np.frombuffer(data, np.uint8)
    kinds = KINDS[codes]
    before, left, right = kinds[:-2], kinds[1:-1], kinds[2:]
    ends_a_space = _has(left, ENDS_A_SPACE) & _has(before, BEFORE_THAT)
    is_boundary = _has(right, BLANK) & _has(left, NO_SPACE) & ~ends_a_space
    is_boundary |= _has(right, LINE_END | SIGN) & _has(left, LETTER_OR_DIGIT)
    is_boundary |= _has(right, LETTER_OR_DIGIT) & _has(left, LINE_END) & _has(before, LETTER_OR_DIGIT | SIGN)
    places = np.flatnonzero(is_boundary) + 2
    places += np.arange(len(places))
    is_text = np.ones(len(codes) + len(places), bool)
    is_text[places] = False
    marked = np.full(len(is_text), ord(BOUNDARY), np.uint8)
    marked[is_text] = codes
    return marked.tobytes().split(BOUNDARY)


def _has(kinds: UInt8[np.ndarray, " N"], kind: int) -> Bool[np.ndarray, " N"]:
    return (kinds & kind) != 0


def to_utf8(text: str) -> bytes:
    """UTF-8, where lone surrogates become U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()
