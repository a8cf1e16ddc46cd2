"""Exercise 13.6, ``score_answers``: its cases, and what learners get wrong."""

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import Any

import torch
from scipy.stats import binomtest

from gemini_workshop.evaluation.abilities import CONFIDENCE, score_answers
from gemini_workshop.exercises.core.battery.declaration import Battery
from gemini_workshop.exercises.core.comparison import number
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Say

Z = 1.959963984540054  # 95 % of a normal distribution lie within so many standard deviations
WORDS = ("zero", "one", "two", "three", "seven", "Seven", "4 2 7", "seventeen")
Texts = Sequence[str]


def _case(generator: torch.Generator, n: int, right: float) -> Arguments:
    drawn = torch.randint(len(WORDS), (2, n), generator=generator).tolist()
    is_right = (torch.rand(n, generator=generator) < right).tolist()
    expected = [WORDS[i] for i in drawn[0]]
    given = [e if ok else WORDS[i] for e, ok, i in zip(expected, is_right, drawn[1], strict=True)]
    return given, expected


def _cases(generator: torch.Generator) -> list[Arguments]:
    return [(_fresh(given), _fresh(expected)) for given, expected in _texts(generator)]


def _fresh(texts: Texts) -> list[str]:
    """Equal texts that are not the same objects: Python keeps one of each that stands in its code."""
    return [text.encode().decode() for text in texts]


def _texts(generator: torch.Generator) -> list[Arguments]:
    return [
        (["two", "four"], ["two", "three"]),
        (["one", "two", "three"], ["one", "two", "three"]),
        (["one"] * 4, ["nine", "one", "ten", "six"]),
        (["seven\n", " two", "six"], ["seven", "two", "four"]),
        (["seventeen", "ten", "six"], ["seven", "ten", "one"]),
        (["no seven", "ten", "four", "six"], ["seven", "ten", "four", "six"]),
        (["Four", "six"], ["four", "six"]),
        (["4 9 1", "4 2 7", "5"], ["4 2 7", "4 2 7", "5"]),
        (["12", "one two", "six"], ["1 2", "onetwo", "six"]),
        (["no"] * 12, ["yes"] * 12),
        _case(generator, 40, 0.8),
        _case(generator, 7, 0.5),
    ]


def _oracle(given: Texts, expected: Texts) -> tuple[float, float, float]:
    right = [a.strip() == b for a, b in zip(given, expected, strict=True)].count(True)
    low, high = binomtest(right, len(expected)).proportion_ci(CONFIDENCE, method="wilson")
    return right / len(expected), float(low), float(high)


def _explain(function: Function, case: Arguments) -> str | None:
    got, needed = function(*case), _oracle(*case)
    if not (isinstance(got, tuple | list) and len(got) == 3):
        return "Three numbers are needed: the fraction of right answers, and where the interval begins and ends."
    given, expected = case
    shown = f"Given {list(given)}, expected {list(expected)}" if len(given) < 6 else f"{len(given)} answers"
    mine, right = (", ".join(number(float(x)) for x in three) for three in (got, needed))
    return f"{shown}: fraction and interval came out as {mine}; {right} is needed."


def _wilson(p: float, n: int, z: float) -> tuple[float, float]:
    center, half = (
        (p + z * z / (2 * n)) / (1 + z * z / n),
        (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5 * z / (1 + z * z / n),
    )
    return center - half, center + half


def _around(center: float, half: float) -> tuple[float, float]:
    return center - half, center + half


def _wald(p: float, n: int, z: float) -> tuple[float, float]:
    half = z * (p * (1 - p) / n) ** 0.5
    return p - half, p + half


def _wald_within(p: float, n: int, z: float) -> tuple[float, float]:
    low, high = _wald(p, n, z)
    return max(low, 0.0), min(high, 1.0)


def _score(
    given: Texts,
    expected: Texts,
    *,
    is_right: Callable[[str, str], bool] = lambda a, b: a.strip() == b,
    interval: Callable[[float, int, float], tuple[float, float]] = _wilson,
    z: float = Z,
    total: Callable[[Texts], int] = len,
    result: Callable[[float, float, float, int], Any] = lambda p, low, high, n: (p, low, high),
) -> Any:
    """Right but for the steps."""
    n = total(expected)
    p = sum(is_right(a, b) for a, b in zip(given, expected, strict=True)) / n
    return result(p, *interval(p, n, z), n)


def _plain(given: Texts, expected: Texts) -> tuple[float, float, float]:
    n = len(expected)
    p = sum(one.strip() == other for one, other in zip(given, expected, strict=True)) / n
    z = NormalDist().inv_cdf(0.975)
    center = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return p, center - half, center + half


SCORE_ANSWERS = Exercise(
    id="13.6",
    minutes=10,
    difficulty=2,
    importance=3,
    reference=score_answers,
    oracle=_oracle,
    cases=_cases,
    explain=_explain,
    plain=_plain,
    battery=Battery(gradients=False),
    imports=("scipy.stats",),
    misconceptions={
        "white space counts": Say("White space around an answer makes it wrong here. It says nothing: strip it.").to(
            _score, is_right=lambda a, b: a == b
        ),
        "part of the answer is enough": Say(
            'An answer counts that only contains the expected one: "seventeen" is not "seven". Compare whole answers.'
        ).to(_score, is_right=lambda a, b: b in a),
        "beginning is enough": Say(
            'An answer counts that only begins like the expected one: "seventeen" is not "seven".'
        ).to(_score, is_right=lambda a, b: a.strip().startswith(b)),
        "white space anywhere": Say(
            'White space inside an answer does not count either: "1 2" is taken for "12". Only that around it does not.'
        ).to(_score, is_right=lambda a, b: "".join(a.split()) == "".join(b.split())),
        "compared with `is`": Say(
            "The answers are compared with `is`: whether they are one and the same object. Whether two texts are equal "
            "is asked with `==`."
        ).to(_score, is_right=lambda a, b: a.strip() is b.strip()),
        "right in any place": Say(
            "An answer counts wherever in the list it is the expected one. Each has its own question: compare in pairs."
        ).to(
            lambda given, expected: _score(
                [e if g.strip() in expected else "" for g, e in zip(given, expected, strict=True)], expected
            )
        ),
        "upper and lower case alike": Say(
            "Upper and lower case are taken for the same. Word for word means letter for letter."
        ).to(_score, is_right=lambda a, b: a.strip().lower() == b.lower()),
        "first word only": Say("Only the first word is compared. All of the answer counts.").to(
            _score, is_right=lambda a, b: a.split()[:1] == b.split()[:1]
        ),
        "normal interval": Say(
            "The interval is p ± z * sqrt(p (1 - p) / n). With all answers right it has no width at all, as if three "
            "questions proved perfection. Wilson's has one: follow the formula."
        ).to(_score, interval=_wald),
        "normal interval cut off": Say(
            "The interval is p ± z * sqrt(p (1 - p) / n), cut off at 0 and 1. With all answers right it has no width. "
            "Wilson's has one: follow the formula."
        ).to(_score, interval=_wald_within),
        "center at p": Say(
            "The middle of the interval is p. In Wilson's it is drawn towards one half, and more so the fewer "
            "questions there were."
        ).to(
            _score,
            interval=lambda p, n, z: tuple(
                p + sign * z * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5 / (1 + z * z / n) for sign in (-1, 1)
            ),
        ),
        "not divided by 1 + z²/n": Say("Middle and width are not divided by 1 + z²/n.").to(
            _score,
            interval=lambda p, n, z: tuple(
                p + z * z / (2 * n) + sign * z * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5 for sign in (-1, 1)
            ),
        ),
        "n where n² belongs": Say(
            "Under the root, z² is divided by 4n. It is divided by 4n²: the more questions, the less it matters."
        ).to(
            _score,
            interval=lambda p, n, z: _around(
                (p + z * z / (2 * n)) / (1 + z * z / n),
                (p * (1 - p) / n + z * z / (4 * n)) ** 0.5 * z / (1 + z * z / n),
            ),
        ),
        "times n": Say(
            "The middle has z² / 2 times n. It is z² / (2n): without the parentheses, Python divides by 2 and then "
            "multiplies by n."
        ).to(
            _score,
            interval=lambda p, n, z: _around(
                (p + z * z / 2 * n) / (1 + z * z / n),
                (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5 * z / (1 + z * z / n),
            ),
        ),
        "z of one side": Say(
            "With z = 1.645, 5 % lie on *each* side: that is an interval of 90 %. For 95 %, z is 1.96."
        ).to(_score, z=1.6448536269514722),
        "one standard deviation": Say("z is 1 here, which holds 68 %. For 95 %, z is 1.96.").to(_score, z=1.0),
        "middle and half of the width": Say(
            "Middle and half of the width are returned. The ends are the middle minus that, and the middle plus that."
        ).to(_score, result=lambda p, low, high, n: (p, (low + high) / 2, (high - low) / 2)),
        "half of the width": Say("Half of the width is returned instead of the ends of the interval.").to(
            _score, result=lambda p, low, high, n: (p, (high - low) / 2, (high - low) / 2)
        ),
        "distances from p": Say("The ends are given as distances from p. The ends themselves are needed.").to(
            _score, result=lambda p, low, high, n: (p, p - low, high - p)
        ),
        "number instead of fraction": Say("The first number counts the right answers. Their fraction is needed.").to(
            _score, result=lambda p, low, high, n: (p * n, low, high)
        ),
        "in percent": Say("These are percentages. Fractions from 0 to 1 are needed.").to(
            _score, result=lambda p, low, high, n: (100 * p, 100 * low, 100 * high)
        ),
        "wrong answers counted": Say("The *wrong* answers are counted.").to(
            _score, is_right=lambda a, b: a.strip() != b
        ),
        "different answers counted once": Say("Each expected answer counts once, however often it was asked for.").to(
            _score, total=lambda expected: len(set(expected))
        ),
    },
    hints=(
        "How many of the given answers, without white space around them, are equal to the expected ones? Divide by "
        "how many there are. The rest is the formula.",
        "With p and n: the middle is (p + z²/2n) / (1 + z²/n), half of the width is z √(p(1-p)/n + z²/4n²) / (1 + "
        "z²/n), and z is 1.96 (`NormalDist().inv_cdf(0.975)` has more digits).",
        "`p = sum(a.strip() == b for a, b in zip(given, expected)) / n`; `return p, center - half, center + half`.",
    ),
)
