"""Exercise 00.2, ``shares``: a toy, on which a learner sees every verdict that a check can give."""

from gemini_workshop.exercises.core.exercise import Exercise, Say


def shares(counts: list[float]) -> list[float]:
    """Each count's part of the total; the parts add up to one."""
    total = sum(counts)
    return [count / total for count in counts]


SHARES = Exercise(
    id="00.2",
    minutes=2,
    difficulty=1,
    importance=1,
    reference=shares,
    oracle=lambda counts: [count * (1 / sum(counts)) for count in counts],
    cases=lambda generator: [([1.0, 1.0, 2.0],), ([3.0],), ([5.0, 0.0, 2.5, 12.5, 30.0],)],
    misconceptions={
        "divided by how many": Say(
            "Each count is divided by how many counts there are. Then the parts do not add up to one. What is the "
            "whole that they are parts of?"
        ).to(lambda counts: [count / len(counts) for count in counts]),
        "divided by the largest": Say(
            "The largest count gets 1 and the others their fraction of it. Together they are more than one."
        ).to(lambda counts: [count / max(counts) for count in counts]),
        "per cent": Say("These are percentages: they add up to 100 and not to 1.").to(
            lambda counts: [100 * count / sum(counts) for count in counts]
        ),
    },
    hints=(
        "Of [1, 1, 2] the last is half of everything. What is everything?",
        "Compute the total first, outside the loop.",
        "`[count / total for count in counts]`",
    ),
)
