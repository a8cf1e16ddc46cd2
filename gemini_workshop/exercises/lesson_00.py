"""Lesson 00, setup: two toy exercises, on which a learner sees every verdict that a check can give."""

from gemini_workshop.exercises.core import Exercise, Misconception


def average(values: list[float]) -> float:
    """The sum of the values divided by how many there are."""
    return sum(values) / len(values)


def shares(counts: list[float]) -> list[float]:
    """Each count's part of the total; the parts add up to one."""
    total = sum(counts)
    return [count / total for count in counts]


AVERAGE = Exercise(
    id="00.1",
    minutes=1,
    reference=average,
    oracle=lambda values: sum(value / len(values) for value in values),
    cases=lambda generator: [([2.0, 4.0, 9.0],), ([5.0],), ([-1.0, 0.5, 0.25, 8.0],)],  # noqa: ARG005
    misconceptions=(
        Misconception(
            name="not divided",
            says="This is the sum. An average does not grow when the same values are listed twice.",
            wrong=sum,
        ),
        Misconception(
            name="whole numbers only",
            says="The result has lost its fraction: `//` divides and rounds down.",
            wrong=lambda values: sum(values) // len(values),
        ),
        Misconception(
            name="the middle value",
            says="This is the value in the middle, the median. The average counts every value.",
            wrong=lambda values: sorted(values)[len(values) // 2],
        ),
    ),
    hints=(
        "What do the values add up to, and how many are there?",
        "`sum(values)` and `len(values)` are all you need.",
        "Divide one by the other, with `/`.",
    ),
)

SHARES = Exercise(
    id="00.2",
    minutes=2,
    reference=shares,
    oracle=lambda counts: [count * (1 / sum(counts)) for count in counts],
    cases=lambda generator: [([1.0, 1.0, 2.0],), ([3.0],), ([5.0, 0.0, 2.5, 12.5, 30.0],)],  # noqa: ARG005
    misconceptions=(
        Misconception(
            name="divided by how many",
            says="Each count is divided by how many counts there are. Then the parts do not add up to one. What is "
            "the whole that they are parts of?",
            wrong=lambda counts: [count / len(counts) for count in counts],
        ),
        Misconception(
            name="divided by the largest",
            says="The largest count gets 1 and the others their fraction of it. Together they are more than one.",
            wrong=lambda counts: [count / max(counts) for count in counts],
        ),
        Misconception(
            name="per cent",
            says="These are per cent: they add up to 100 and not to 1.",
            wrong=lambda counts: [100 * count / sum(counts) for count in counts],
        ),
    ),
    hints=(
        "Of [1, 1, 2] the last is half of everything. What is everything?",
        "Compute the total first, outside the loop.",
        "`[count / total for count in counts]`",
    ),
)

EXERCISES = (AVERAGE, SHARES)
