"""Exercise 02.4, ``additive_mask``: its cases, and what learners get wrong."""

import math

import torch
from torch import Tensor

from gemini_workshop.exercises.core.battery.declaration import Battery, Call
from gemini_workshop.exercises.core.battery.other_device import put_there
from gemini_workshop.exercises.core.comparison import number, same
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Say
from gemini_workshop.models.masks import additive_mask


def _oracle(mask: Tensor) -> Tensor:
    return torch.tensor([0.0 if may else -math.inf for may in mask.flatten().tolist()]).reshape(mask.shape)


def _kinds() -> list[Call]:
    mask = torch.tensor([[True, False, True], [False, True, True]])
    dtypes = (torch.float16, torch.bfloat16, torch.float64)
    return [Call(mask), *(Call(mask, dtype=dtype) for dtype in dtypes), Call(put_there(mask))]


def _explain(function: Function, case: Arguments) -> str | None:
    (mask,) = case
    got, expected = function(mask), _oracle(mask)
    for may, a, b in zip(mask.flatten().tolist(), got.flatten(), expected.flatten(), strict=True):
        if not same(a, b):
            return f"{may} became {number(a)}; {number(b)} is needed."
    return None


ADDITIVE_MASK = Exercise(
    id="02.4",
    minutes=5,
    difficulty=2,
    importance=2,
    reference=additive_mask,
    oracle=_oracle,
    cases=lambda generator: [
        (torch.tensor([[True, False, True]]),),
        (torch.ones(2, 3, 4, dtype=torch.bool).tril(1),),
    ],
    explain=_explain,
    battery=Battery(kinds=_kinds, beyond=lambda generator: [(torch.ones(2, 1, 3, 90, dtype=torch.bool).tril(80),)]),
    misconceptions={
        "zero times infinity": Say(
            "0 · ∞ is not a number. Multiplying by infinity turns the places that should stay 0 into nan: choose "
            "between two values instead of multiplying."
        ).to(lambda mask: (1.0 - mask.float()) * -math.inf),
        "upside down": Say(
            "The wrong places are minus infinity: True means may attend, and adding 0 leaves a score alone."
        ).to(lambda mask: torch.zeros(mask.shape).masked_fill(mask, -math.inf)),
        "ones and zeros": Say(
            "Adding 1 to permitted scores hides nothing. What has to be added to a score so that its attention weight "
            "becomes exactly zero, and what so that nothing changes?"
        ).to(lambda mask: mask.float()),
        "minus one": Say("Adding -1 makes an attention weight smaller by a factor of e, and not zero.").to(
            lambda mask: mask.float() - 1.0
        ),
        "large but finite": Say(
            "-1e9 often works, and fails quietly: a row in which everything is hidden then attends to all keys "
            "evenly, and in 16 bits -1e9 does not exist. Minus infinity is exactly what is meant."
        ).to(lambda mask: torch.zeros(mask.shape).masked_fill(~mask, -1e9)),
    },
    hints=(
        "Two values are enough. What must be added to a score so that nothing changes? So that exp of it is zero?",
        "Start from zeros of the mask's shape, in the dtype that was asked for and on the mask's device, and fill in "
        "minus infinity where attention is forbidden.",
        "`torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(...)`: fill where the mask is not True.",
    ),
)
