"""Exercise 05.5, ``gated_ffn_dim``: its cases, and what learners get wrong."""

import math

from gemini_workshop.exercises.core.comparison import written
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Say
from gemini_workshop.models.feedforward import gated_ffn_dim


def _oracle(ffn_dim: int, multiple_of: int = 1) -> int:
    """Try every width: three matrices of it against two of the plain one."""
    widths = range(multiple_of, 2 * ffn_dim + multiple_of, multiple_of)
    return min(widths, key=lambda width: abs(3 * width - 2 * ffn_dim))


def _explain(function: Function, case: Arguments) -> str | None:
    got, expected = function(*case), _oracle(*case)
    return (
        f"gated_ffn_dim({', '.join(map(str, case))}) gave {written(got)}: three matrices of it hold {written(3 * got)} "
        f"numbers for each channel, two of the plain width {2 * case[0]}. {expected} is needed."
    )


GATED_FFN_DIM = Exercise(
    id="05.5",
    minutes=4,
    difficulty=3,
    importance=2,
    reference=gated_ffn_dim,
    oracle=_oracle,
    cases=lambda generator: [(12,), (100,), (768,), (1000, 64), (16384, 256)],
    explain=_explain,
    misconceptions={
        "width kept": Say(
            "The gated layer keeps the plain one's width. With its third matrix it then has half again as many "
            "parameters, and the comparison is unfair from the start."
        ).to(lambda ffn_dim, multiple_of=1: round(ffn_dim / multiple_of) * multiple_of),
        "half": Say(
            "The width is halved, as if only the two matrices on the way up counted. Count the one on the way down as "
            "well."
        ).to(lambda ffn_dim, multiple_of=1: round(ffn_dim / (2 * multiple_of)) * multiple_of),
        "three halves": Say("The fraction is upside down: more matrices have to be narrower.").to(
            lambda ffn_dim, multiple_of=1: round(1.5 * ffn_dim / multiple_of) * multiple_of
        ),
        "three halves, multiple ignored": Say(
            "The fraction is upside down: more matrices have to be narrower. And `multiple_of` is not used yet."
        ).to(lambda ffn_dim, multiple_of=1: round(1.5 * ffn_dim)),
        "four thirds": Say(
            "Four thirds makes the gated layer wider than the plain one, although it has one more matrix. Count again "
            "how many matrices each of them has."
        ).to(lambda ffn_dim, multiple_of=1: round(4 * ffn_dim / (3 * multiple_of)) * multiple_of),
        "eight thirds": Say(
            "Eight thirds is the factor from embed_dim, where the plain layer has four. This function starts from the "
            "plain layer's width."
        ).to(lambda ffn_dim, multiple_of=1: round(8 * ffn_dim / (3 * multiple_of)) * multiple_of),
        "rounded down": Say("It rounds down. The nearest multiple comes closer to equal.").to(
            lambda ffn_dim, multiple_of=1: 2 * ffn_dim // (3 * multiple_of) * multiple_of
        ),
        "rounded up": Say("It rounds up, as Llama's own code does. The nearest multiple comes closer to equal.").to(
            lambda ffn_dim, multiple_of=1: math.ceil(2 * ffn_dim / (3 * multiple_of)) * multiple_of
        ),
        "multiple ignored": Say("`multiple_of` is ignored.").to(lambda ffn_dim, multiple_of=1: round(2 * ffn_dim / 3)),
        "rounded down, multiple ignored": Say(
            "Two thirds is right. Round to the nearest whole number and not down, then use `multiple_of`."
        ).to(lambda ffn_dim, multiple_of=1: 2 * ffn_dim // 3),
        "not rounded": Say("The width is not rounded, and a layer cannot have a fraction of a neuron.").to(
            lambda ffn_dim, multiple_of=1: 2 * ffn_dim / 3
        ),
        "number of multiples": Say("This is the number of multiples, not the width that they make.").to(
            lambda ffn_dim, multiple_of=1: round(2 * ffn_dim / (3 * multiple_of))
        ),
    },
    hints=(
        "A plain layer has 2 · embed_dim · ffn_dim numbers. How many has a gated one of width w? Set them equal.",
        "embed_dim cancels, and w is a fixed fraction of ffn_dim. How many times does multiple_of go into that? Round, "
        "and multiply back.",
        "`round(2 * ffn_dim / (3 * multiple_of))` says how many multiples; the width is that many times multiple_of.",
    ),
)
