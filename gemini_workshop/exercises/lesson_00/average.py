"""Exercise 00.1, ``average``: a toy, on which a learner sees every verdict that a check can give."""

from gemini_workshop.exercises.core.exercise import Exercise, Say


def average(values: list[float]) -> float:
    """The sum of the values divided by how many there are."""
    return sum(values) / len(values)


AVERAGE = Exercise(
    id="00.1",
    minutes=1,
    difficulty=1,
    importance=1,
    reference=average,
    oracle=lambda values: sum(value / len(values) for value in values),
    cases=lambda generator: [([2.0, 4.0, 9.0],), ([5.0],), ([-1.0, 0.5, 0.25, 8.0],)],
    misconceptions={
        "not divided": Say("This is the sum. An average does not grow when the same values are listed twice.").to(sum),
        "whole numbers only": Say("The result has lost its fraction: `//` divides and rounds down.").to(
            lambda values: sum(values) // len(values)
        ),
        "the middle value": Say("This is the value in the middle, the median. The average counts every value.").to(
            lambda values: sorted(values)[len(values) // 2]
        ),
    },
    hints=(
        "What do the values add up to, and how many are there?",
        "`sum(values)` and `len(values)` are all you need.",
        "Divide one by the other, with `/`.",
    ),
)
