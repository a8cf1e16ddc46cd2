"""Exercise 08.7, ``expert_capacity``: its cases, and what learners get wrong."""

import math
from fractions import Fraction

from gemini_workshop.exercises.core.comparison import written
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Say
from gemini_workshop.models.routing import expert_capacity


def _oracle(num_tokens: int, num_experts: int, experts_per_token: int, capacity_factor: float) -> int:
    """The smallest whole number that is not below the even split times the factor, found by counting up."""
    needed = Fraction(num_tokens * experts_per_token, num_experts) * Fraction(capacity_factor)
    capacity = 0
    while capacity < needed:
        capacity += 1
    return capacity


def _explain(function: Function, case: Arguments) -> str | None:
    tokens, experts, per_token, factor = case
    each = f"{per_token} expert{'s' if per_token > 1 else ''} each"
    given = f"{tokens} tokens with {each}, {experts} experts in all, a factor of {factor:g}"
    return f"For {given} it is {written(function(*case))}; {_oracle(*case)} is needed."


EXPERT_CAPACITY = Exercise(
    id="08.7",
    minutes=3,
    difficulty=1,
    importance=3,
    reference=expert_capacity,
    oracle=_oracle,
    cases=lambda generator: [
        (16, 8, 2, 1.0),
        (10, 8, 2, 1.0),
        (10, 8, 3, 1.25),
        (13, 4, 1, 1.5),
        (17, 8, 1, 1.0),
        (64, 16, 2, 1.25),
        (12, 8, 2, 0.25),
        (9, 4, 1, 2.0),
    ],
    explain=_explain,
    misconceptions={
        "rounded down": Say(
            "It is rounded down. Then even a perfectly even split would not fit: with a factor of 1 nothing should be "
            "dropped if the load is even."
        ).to(lambda N, E, A, factor: math.floor(N * A * factor / E)),
        "rounded to the nearest": Say("It is rounded to the nearest whole number. Round up.").to(
            lambda N, E, A, factor: round(N * A * factor / E)
        ),
        "always one more": Say(
            "It is one more than the whole part, even where nothing has to be rounded. Round up: 4.0 stays 4."
        ).to(lambda N, E, A, factor: math.floor(N * A * factor / E) + 1),
        "not rounded": Say("It is not a whole number. An expert takes whole tokens: round up.").to(
            lambda N, E, A, factor: N * A * factor / E
        ),
        "one choice per token": Say(
            "Each token is counted once. It goes to several experts, and takes up room in each of them."
        ).to(lambda N, E, A, factor: math.ceil(N * factor / E)),
        "factor ignored": Say("The capacity factor is ignored. It is the room beyond an even split.").to(
            lambda N, E, A, factor: math.ceil(N * A / E)
        ),
        "divided by the factor": Say("It is divided by the capacity factor. A larger factor means more room.").to(
            lambda N, E, A, factor: math.ceil(N * A / E / factor)
        ),
        "rounded before the factor": Say(
            "The even split is rounded before it is multiplied by the factor. Multiply first, and round once, in the "
            "end."
        ).to(lambda N, E, A, factor: math.ceil(math.ceil(N * A / E) * factor)),
        "whole division before the factor": Say(
            "The even split is rounded down (by `//`) before it is multiplied by the factor. Multiply first, and round "
            "once, in the end."
        ).to(lambda N, E, A, factor: math.ceil(N * A // E * factor)),
        "whole division, never rounded up": Say(
            "`//` rounds the even split down before it is multiplied by the factor, and then nothing is rounded up. "
            "Multiply first, divide by `/`, and round up in the end."
        ).to(lambda N, E, A, factor: N * A // E * factor),
        "divided by the choices": Say(
            "It is divided by the number of choices per token. More choices make more work, so multiply."
        ).to(lambda N, E, A, factor: math.ceil(N * factor / (E * A))),
        "not divided by the experts": Say("This is the room of all experts together. Divide it by their number.").to(
            lambda N, E, A, factor: math.ceil(N * A * factor)
        ),
    },
    hints=(
        "How many choices are there in all? How many per expert, if they were spread evenly?",
        "All choices, times the factor, divided by the experts; rounded up at the very end.",
        "`math.ceil(num_tokens * experts_per_token * capacity_factor / num_experts)`.",
    ),
)
