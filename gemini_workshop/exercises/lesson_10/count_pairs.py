"""Exercise 10.1, ``count_pairs``: its cases, and what learners get wrong."""

from collections import Counter
from collections.abc import Sequence
from itertools import combinations, pairwise

import torch

from gemini_workshop.data.tokenizers.bpe import Pair, count_pairs
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Invariant, Say
from gemini_workshop.exercises.lesson_10.tools import letters


def _cases(generator: torch.Generator) -> list[Arguments]:
    return [
        (list(b"abcab"),),
        (list(b"aaaa"),),
        (b"banana",),
        ([300, 7, 300, 7, 7, 300],),
        ([97],),
        (letters(generator, 24),),
    ]


def _oracle(ids: Sequence[int]) -> dict[Pair, int]:
    """For each pair, in the order of the text, the places at which it begins, counted."""
    places = [(ids[i], ids[i + 1]) for i in range(len(ids) - 1)]
    return {pair: places.count(pair) for pair in dict.fromkeys(places)}


def _explain(function: Function, case: Arguments) -> str | None:
    [ids] = case
    got, expected = function(*case), _oracle(ids)
    if not isinstance(got, dict):
        return None
    for pair in [*expected, *got]:
        if got.get(pair, 0) != expected.get(pair, 0):
            found = f"was counted {got[pair]} time{'s' * (got[pair] != 1)}" if pair in got else "was not counted"
            return f"In {list(ids)} the pair {pair} {found}; {expected.get(pair, 0)} is needed."
    return None


def _other_order(function: Function) -> str | None:
    ids = list(b"zyabzy")
    got, needed = list(function(ids)), list(dict.fromkeys(pairwise(ids)))
    if got == needed or set(got) != set(needed):
        return None
    return (
        f"In {ids} the counts are right, but the pairs come in the order {got}; {needed} is needed: those seen first "
        "come first, because `train_bpe` relies on it where pairs are equally frequent."
    )


def _apart(ids: Sequence[int]) -> Counter[Pair]:
    """Occurrences that share no token: of "aaa" only one "aa"."""
    counts: Counter[Pair] = Counter()
    for pair in _oracle(ids):
        i = 0
        while i < len(ids) - 1:
            found = (ids[i], ids[i + 1]) == pair
            counts[pair] += found
            i += 1 + found
    return counts


COUNT_PAIRS = Exercise(
    id="10.1",
    minutes=3,
    difficulty=1,
    importance=5,
    reference=count_pairs,
    oracle=_oracle,
    cases=_cases,
    explain=_explain,
    invariants=(Invariant(name="pairs seen first come first", broken=_other_order),),
    misconceptions={
        "occurrences may not overlap": Say(
            "Where a pair overlaps itself, as in “aaa”, only one occurrence is counted. Here every place at which a "
            "pair begins counts: in “aaa” there are two."
        ).to(_apart),
        "cut into pairs": Say(
            "The text is cut into pairs that do not touch: first and second, third and fourth. A pair begins at every "
            "token but the last."
        ).to(lambda ids: Counter(zip(ids[::2], ids[1::2], strict=False))),
        "order ignored": Say(
            "(a, b) and (b, a) are counted as one. They are different pairs: to merge is to replace a, followed by b."
        ).to(lambda ids: Counter((min(pair), max(pair)) for pair in pairwise(ids))),
        "pairs turned around": Say("Each pair is stored with its second token first. The left one comes first.").to(
            lambda ids: Counter(zip(ids[1:], ids, strict=False))
        ),
        "single tokens counted": Say(
            "Single tokens are counted. What is needed is how often two stand side by side."
        ).to(lambda ids: Counter(ids)),
        "presence only": Say(
            "Each pair that occurs is given the count 1, however often it occurs. Does something overwrite the count "
            "where it should add to it?"
        ).to(lambda ids: dict.fromkeys(pairwise(ids), 1)),
        "pairs listed": Say("These are the pairs, one after the other. How often does each of them occur?").to(
            lambda ids: list(pairwise(ids))
        ),
        "counted from zero": Say(
            "Each count is one too low. The first time that a pair is seen it has already occurred once."
        ).to(lambda ids: {pair: count - 1 for pair, count in _oracle(ids).items()}),
        "last pair left out": Say("The last pair is left out: the loop ends one step early.").to(
            lambda ids: Counter(pairwise(ids[:-1]))
        ),
        "first pair left out": Say("The first pair is left out: the loop begins one step late.").to(
            lambda ids: Counter(pairwise(ids[1:]))
        ),
        "end joined to the beginning": Say(
            "The last token is paired with the first one. A text is a line and not a circle. (The index -1 is the last "
            "token.)"
        ).to(lambda ids: Counter((ids[i - 1], ids[i]) for i in range(len(ids)))),
        "all pairs, near and far": Say(
            "Tokens that are far apart are counted as a pair, too. Only neighbors can be merged."
        ).to(lambda ids: Counter(combinations(ids, 2))),
        "one token between them": Say(
            "The two tokens of a pair have another one between them. Neighbors are one step apart."
        ).to(lambda ids: Counter(zip(ids, ids[2:], strict=False))),
        "two numbers glued together": Say(
            "The keys are not pairs. A pair is a tuple of two ids, so that it can be merged afterwards."
        ).to(lambda ids: Counter(f"{a}{b}" for a, b in pairwise(ids))),
    },
    hints=(
        "Lay the list beside itself, moved by one. What stands side by side is a pair.",
        "`zip(ids, ids[1:])` walks through all neighbors. Something in `collections` counts whatever it is given.",
        "`Counter(zip(ids, ids[1:]))`, or `itertools.pairwise(ids)` in place of the zip.",
    ),
)
