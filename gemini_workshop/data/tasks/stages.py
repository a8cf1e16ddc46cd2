"""What is trained on when: one run goes through stages, each with its own share of the rows and weights of the tasks.

text           a language first: stories, hidden facts and sums
mixture        all tasks, stories among them
instructions   questions nearly alone, with what is learned slowest asked most
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from gemini_workshop.errors import DataError


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """A part of a run.

    Args:
        share: of the rows of the run; the shares of all stages add up to 1.
        weights: how often each task is drawn, relative to the others. A task that is missing is not drawn.
    """

    name: str
    share: float
    weights: Mapping[str, float]

    def __post_init__(self) -> None:
        if not self.weights or min(self.weights.values()) < 0 or not sum(self.weights.values()):
            raise DataError(
                f"The weights of the tasks are {dict(self.weights)}. Give at least one, none of them negative."
            )


STAGES = (
    Stage(name="text", share=0.05, weights={"stories": 0.7, "needle": 0.15, "arithmetic": 0.15}),
    Stage(
        name="mixture",
        share=0.2,
        weights={
            "digits": 0.04,
            "mnist": 0.12,
            "fashion-mnist": 0.1,
            "digit-questions": 0.05,
            "emoji-names": 0.08,
            "icon-names": 0.02,
            "dial-tones": 0.05,
            "spoken-digits": 0.12,
            "image-sound": 0.08,
            "compare-images": 0.04,
            "films": 0.06,
            "stories": 0.12,
            "needle": 0.06,
            "arithmetic": 0.06,
        },
    ),
    Stage(
        name="instructions",
        share=0.75,
        weights={
            "digits": 0.05,
            "mnist": 0.18,
            "fashion-mnist": 0.15,
            "digit-questions": 0.02,
            "emoji-names": 0.2,
            "icon-names": 0.03,
            "dial-tones": 0.02,
            "spoken-digits": 0.1,
            "image-sound": 0.08,
            "compare-images": 0.02,
            "films": 0.06,
            "stories": 0.04,
            "needle": 0.03,
            "arithmetic": 0.02,
        },
    ),
)
"""Of a run on all tasks."""


def stages_of(tasks: Collection[str]) -> tuple[Stage, ...]:
    """The stages where only these tasks can be had: they get the share of the others."""
    kept = [(stage, {name: w for name, w in stage.weights.items() if name in tasks}) for stage in STAGES]
    total = sum(stage.share for stage, weights in kept if weights)
    return tuple(
        Stage(name=stage.name, share=stage.share / total, weights=weights) for stage, weights in kept if weights
    )


def stage_of(stages: Sequence[Stage], index: int, num_rows: int) -> Stage:
    """The stage that a row of a run belongs to.

    Example:
        >>> first, then = (Stage(name=name, share=0.5, weights={"sums": 1.0}) for name in ("first", "then"))
        >>> [stage_of([first, then], index, 4).name for index in range(4)]
        ['first', 'first', 'then', 'then']
    """
    end = 0.0
    for stage in stages:
        end += stage.share
        if index < round(end * num_rows):
            return stage
    return stages[-1]


def overall(stages: Sequence[Stage]) -> dict[str, float]:
    """How often each task is drawn in the whole run; the numbers add up to 1."""
    names = dict.fromkeys(name for stage in reversed(stages) for name in stage.weights)
    return {
        name: sum(stage.share * stage.weights.get(name, 0.0) / sum(stage.weights.values()) for stage in stages)
        for name in names
    }
