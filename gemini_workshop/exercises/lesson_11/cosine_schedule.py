"""Exercise 11.4, ``cosine_schedule``: its cases, and what learners get wrong."""

import math
from collections.abc import Callable

import torch

from gemini_workshop.exercises.core.comparison import number
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Say
from gemini_workshop.training.schedule import cosine_schedule


def _cases(generator: torch.Generator) -> list[Arguments]:
    run = (110, 10, 3.0, 1.0)
    steps = [0, 5, 10, 60, 35, 85, 110, 150, 11]
    drawn = torch.randint(12, 88, (3,), generator=generator).tolist()
    return [
        *[(step, *run) for step in steps],
        *[(step, 90, 0, 0.5, 0.125) for step in (0, 45, *drawn)],
        (20, 40, 30, 2.0, 0.0),
        (33, 40, 30, 2.0, 0.0),
    ]


def _oracle(step: int, steps: int, warmup_steps: int, highest: float, final: float) -> float:
    """From the half-angle: (1 + cos a) / 2 is the square of cos(a / 2)."""
    if step < warmup_steps:
        return highest / warmup_steps * step
    angle = math.pi / 2 * min(step - warmup_steps, steps - warmup_steps) / (steps - warmup_steps)
    return highest * math.cos(angle) ** 2 + final * math.sin(angle) ** 2


def _explain(function: Function, case: Arguments) -> str | None:
    step, steps, warmup_steps, highest, final = case
    got, needed = function(*case), _oracle(*case)
    phase = "in the warm-up" if step < warmup_steps else "after the last step" if step > steps else "in the decay"
    run = f"steps={steps}, warmup_steps={warmup_steps}, highest={highest:g}, final={final:g}"
    return f"Step {step} ({phase}): the rate is {number(got)}; {number(needed)} is needed ({run})."


def _plain(step: int, steps: int, warmup_steps: int, highest: float, final: float) -> float:
    if step < warmup_steps:
        return highest * step / warmup_steps
    over = min(1.0, (step - warmup_steps) / (steps - warmup_steps))
    return final + (highest - final) * (1 + math.cos(math.pi * over)) / 2


def _schedule(
    step: int,
    steps: int,
    warmup_steps: int,
    highest: float,
    final: float,
    *,
    warmup: Callable[[int, int], float] = lambda step, warmup_steps: step / warmup_steps,
    progress: Callable[[int, int, int], float] = lambda step, first, last: min(1.0, (step - first) / (last - first)),
    curve: Callable[[float], float] = lambda progress: (1 + math.cos(math.pi * progress)) / 2,
    between: Callable[[float, float, float], float] = lambda height, highest, final: final + (highest - final) * height,
) -> float:
    """Right but for the steps."""
    if step < warmup_steps:
        return highest * warmup(step, warmup_steps)
    return between(curve(progress(step, warmup_steps, steps)), highest, final)


def _warmup_from_final(step: int, steps: int, warmup_steps: int, highest: float, final: float) -> float:
    if step < warmup_steps:
        return final + (highest - final) * step / warmup_steps
    return _schedule(step, steps, warmup_steps, highest, final)


def _warmup_of_the_decayed(step: int, steps: int, warmup_steps: int, highest: float, final: float) -> float:
    decayed = _schedule(step, steps, 0, highest, final)
    return decayed * min(1.0, step / warmup_steps) if warmup_steps else decayed


def _no_warmup(step: int, steps: int, warmup_steps: int, highest: float, final: float) -> float:
    return _schedule(step, steps, 0, highest, final)


def _waits(step: int, steps: int, warmup_steps: int, highest: float, final: float) -> float:
    return _schedule(max(step, warmup_steps), steps, warmup_steps, highest, final)


COSINE_SCHEDULE = Exercise(
    id="11.4",
    minutes=8,
    difficulty=2,
    importance=4,
    reference=cosine_schedule,
    oracle=_oracle,
    cases=_cases,
    explain=_explain,
    plain=_plain,
    misconceptions={
        "progress from step 0": Say(
            "The decay is measured from step 0, so that the rate jumps down where the warm-up ends. Its progress "
            "should be 0 at that step: subtract `warmup_steps`, above and below the fraction line."
        ).to(_schedule, progress=lambda step, first, last: min(1.0, step / last)),
        "progress over all steps": Say(
            "The decay begins at the right step, but it is spread over all `steps`, so that it is not finished at the "
            "last one. There are `steps - warmup_steps` left for it."
        ).to(_schedule, progress=lambda step, first, last: min(1.0, (step - first) / last)),
        "floor left out": Say("The rate falls to 0. It should end at `final`.").to(
            _schedule, between=lambda height, highest, final: highest * height
        ),
        "floor added": Say(
            "`final` is added to the whole curve, so that it begins above `highest`. The curve falls from `highest` to "
            "`final`: by their difference."
        ).to(_schedule, between=lambda height, highest, final: final + highest * height),
        "cut off at the floor": Say(
            "The curve falls towards 0 and is cut off at `final`. It should come down to `final` smoothly, and reach "
            "it at the last step."
        ).to(_schedule, between=lambda height, highest, final: max(final, highest * height)),
        "a straight line": Say("The rate falls in a straight line. Half a cosine wave is needed.").to(
            _schedule, curve=lambda progress: 1 - progress
        ),
        "a quarter of a wave": Say(
            "This is the cosine from 0 to π/2: it falls steepest at the end. From 0 to π it is flat at both ends; "
            "shift and scale it from (1, -1) to (1, 0)."
        ).to(_schedule, curve=lambda progress: math.cos(math.pi / 2 * progress)),
        "a whole wave": Say(
            "This is a whole wave: the rate is lowest in the middle and comes back up. Half a wave, from 0 to π, falls "
            "once."
        ).to(_schedule, curve=lambda progress: (1 + math.cos(2 * math.pi * progress)) / 2),
        "cosine not shifted": Say(
            "A cosine runs from 1 to -1, so that the rate becomes lower than `final`, or negative. Add 1 and halve it: "
            "then it runs from 1 to 0."
        ).to(_schedule, curve=lambda progress: math.cos(math.pi * progress)),
        "not halved": Say(
            "1 + cos runs from 2 to 0, so that the rate begins twice as far above `final` as it should. Halve it."
        ).to(_schedule, curve=lambda progress: 1 + math.cos(math.pi * progress)),
        "rises": Say("The rate rises in the decay: the cosine is subtracted where it should be added.").to(
            _schedule, curve=lambda progress: (1 - math.cos(math.pi * progress)) / 2
        ),
        "no warm-up": Say("There is no warm-up: the rate is highest at step 0.").to(_no_warmup),
        "waits instead of warming up": Say(
            "The rate is `highest` during the whole warm-up. It should grow from 0, by the same amount at each step."
        ).to(_waits),
        "warm-up from the floor": Say("The warm-up begins at `final`. It should begin at 0.").to(_warmup_from_final),
        "warm-up one step ahead": Say(
            "The warm-up is one step ahead: step 0 has rate 0 here. (The first step that is taken has the number 1, so "
            "nothing is wasted.)"
        ).to(_schedule, warmup=lambda step, warmup_steps: (step + 1) / warmup_steps),
        "warm-up of the decayed rate": Say(
            "Warm-up and decay run at the same time. First comes the one, then the other: during the warm-up, nothing "
            "decays."
        ).to(_warmup_of_the_decayed),
        "rises again after the end": Say(
            "After the last step the rate rises again, as a cosine does after π. It should stay at `final`: limit the "
            "progress to 1."
        ).to(_schedule, progress=lambda step, first, last: (step - first) / (last - first)),
        "degrees": Say("The cosine is given degrees. `math.cos` takes radians, in which half a wave is `math.pi`.").to(
            _schedule, curve=lambda progress: (1 + math.cos(180 * progress)) / 2
        ),
    },
    hints=(
        "Two phases, so two formulas. In the second, first work out how far the run is between the end of the warm-up "
        "and the last step, as a number from 0 to 1.",
        "`progress = (step - warmup_steps) / (steps - warmup_steps)`, not more than 1. (1 + cos(π · progress)) / 2 "
        "falls from 1 to 0. Stretch that between `highest` and `final`.",
        "`return final + (highest - final) * (1 + math.cos(math.pi * progress)) / 2`",
    ),
)
