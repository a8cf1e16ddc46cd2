"""Exercise 10.5, ``decode``: its cases, and what learners get wrong."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from gemini_workshop.data.tokenizers.bpe import NUM_BYTES, Pair, decode
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Say

SLOW = {(108, 111): 256, (256, 119): 257, (257, 101): 258}
WORLD = {(195, 169): 256, (240, 159): 257, (257, 153): 258, (258, 130): 259, (32, 240): 260}


def _cases(generator: torch.Generator) -> list[Arguments]:
    drawn = torch.randint(97, 123, (8,), generator=generator).tolist()
    return [
        (list(b"Tom"), {}),
        ([115, 257], SLOW),
        ([32, 258, 114, 10, 256, 32], SLOW),
        ([256, 116, 195, 169], WORLD),
        ([257, 153, 130, 33, 260, 159, 153, 130], WORLD),
        ([33, 258], WORLD),
        ([97, 195, 98], SLOW),
        ([], SLOW),
        ([*drawn, 258], SLOW),
    ]


def _bytes_of(i: int, pairs: Mapping[int, Pair]) -> bytes:
    return _bytes_of(pairs[i][0], pairs) + _bytes_of(pairs[i][1], pairs) if i in pairs else bytes([i])


def _oracle(ids: Sequence[int], merges: Mapping[Pair, int]) -> str:
    """Each id taken apart by recursion; only then are the bytes read as text."""
    pairs = {new_id: pair for pair, new_id in merges.items()}
    return b"".join(_bytes_of(i, pairs) for i in ids).decode("utf-8", errors="replace")


def _explain(function: Function, case: Arguments) -> str | None:
    ids, merges = case
    got, expected = function(*case), _oracle(*case)
    return f"The ids {ids} with the merges {merges} became {got!r}; {expected!r} is needed."


def _as_text(data: bytes) -> str:
    return data.decode("utf-8", errors="replace")


def _decode(
    ids: Sequence[int],
    merges: Mapping[Pair, int],
    *,
    join: Callable[[bytes, bytes], bytes] = bytes.__add__,
    known: Callable[[int], bool] = lambda i: True,
    text: Callable[[list[bytes]], Any] = lambda tokens: _as_text(b"".join(tokens)),
) -> Any:
    """Right but for the steps: how two halves become one, which ids are known, and how bytes become text."""
    tokens = {i: bytes([i]) for i in range(NUM_BYTES)}
    for (left, right), new_id in merges.items():
        tokens[new_id] = join(tokens[left], tokens[right])
    return text([tokens[i] for i in ids if known(i)])


DECODE = Exercise(
    id="10.5",
    minutes=8,
    difficulty=3,
    importance=5,
    reference=decode,
    oracle=_oracle,
    cases=_cases,
    explain=_explain,
    misconceptions={
        "each token decoded by itself": Say(
            "Each token is turned into text by itself. A token may end in the middle of a character: join the bytes of "
            "all tokens first."
        ).to(_decode, text=lambda tokens: "".join(map(_as_text, tokens))),
        "half characters dropped": Say(
            "Bytes of half a character are dropped without a trace. They should become “�”, so that a "
            'reader sees that something is missing: `errors="replace"`.'
        ).to(_decode, text=lambda tokens: b"".join(tokens).decode(errors="ignore")),
        "half characters escaped": Say(
            'Bytes of half a character are written as `\\x..`. They should become “�”: `errors="replace"`.'
        ).to(_decode, text=lambda tokens: b"".join(tokens).decode(errors="backslashreplace")),
        "a character for each byte": Say(
            "Each byte has become a character (chr, or latin-1). In UTF-8 a character beyond English takes two to four "
            'bytes: `.decode("utf-8")` puts them together.'
        ).to(_decode, text=lambda tokens: b"".join(tokens).decode("latin-1")),
        "ascii only": Say("Everything beyond English has become “�”: the bytes are read as ASCII. They are UTF-8.").to(
            _decode, text=lambda tokens: b"".join(tokens).decode("ascii", errors="replace")
        ),
        "halves exchanged": Say("The right half comes before the left one. The pair (l, o) is “lo”.").to(
            _decode, join=lambda left, right: right + left
        ),
        "merged tokens left out": Say(
            "Ids from 256 on are left out. Each of them stands for the bytes of its two halves."
        ).to(_decode, known=lambda i: i < NUM_BYTES),
        "left half only": Say(
            "Of a merged token only the left half is there. It stands for both, one after the other."
        ).to(_decode, join=lambda left, right: left),
        "joined by spaces": Say(
            "There are spaces between the tokens. A token brings its own space, where it has one."
        ).to(_decode, text=lambda tokens: _as_text(b" ".join(tokens))),
        "blanks at the ends stripped": Say(
            "The blanks at the beginning and the end are gone. They belong to the text."
        ).to(_decode, text=lambda tokens: _as_text(b"".join(tokens)).strip()),
        "Python's way to write bytes": Say(
            "This is how Python writes bytes (`b'...'`), and not the text. `str(data)` does that; `data.decode(...)` "
            "reads it."
        ).to(_decode, text=lambda tokens: str(b"".join(tokens))),
        "a list of tokens": Say("The tokens come back one by one. One text is needed.").to(
            _decode, text=lambda tokens: [*map(_as_text, tokens)]
        ),
    },
    hints=(
        "First find out which bytes each id stands for. The ids below 256 are easy; each merge then needs two ids that "
        "you already know.",
        "A dictionary from id to bytes, `bytes([i])` for the first 256. Go through the merges in their order: left "
        "half plus right half. Join the bytes of all ids, and only then decode.",
        "`tokens[new_id] = tokens[left] + tokens[right]`, and at the end "
        '`b"".join(tokens[i] for i in ids).decode("utf-8", errors="replace")`.',
    ),
)
