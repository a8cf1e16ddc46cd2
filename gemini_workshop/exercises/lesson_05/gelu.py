"""Exercise 05.1, ``gelu``: its cases, and what learners get wrong."""

import math
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from gemini_workshop.exercises.core.battery.declaration import Battery
from gemini_workshop.exercises.core.comparison import number, same, worst_index
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Invariant, Say
from gemini_workshop.exercises.lesson_05.tools import gelu_of_one, gelu_tanh_of_one
from gemini_workshop.models.feedforward import gelu


def _cases(generator: torch.Generator) -> list[Arguments]:
    return [
        (torch.tensor([0.0, 1.0, -1.0]),),
        (torch.tensor([-3.0, -0.5, 0.5, 2.0]),),
        (2 * torch.randn(3, 4, generator=generator),),
        (torch.tensor([2.0, -2.0, 0.5]), "tanh"),
        (torch.tensor([60.0, -60.0]), "tanh"),
        (2 * torch.randn(4, 5, generator=generator), "tanh"),
    ]


def _oracle(x: Tensor, approximate: str = "none") -> Tensor:
    return x.double().apply_(gelu_tanh_of_one if approximate == "tanh" else gelu_of_one)


def _explain(function: Function, case: Arguments) -> str | None:
    x, *approximate = case
    call = f', "{approximate[0]}"' if approximate else ""
    got, expected = function(*case).flatten(), _oracle(*case).flatten()
    (i,) = worst_index(got, expected)
    return f"gelu({number(x.flatten()[i])}{call}) gave {number(got[i])}; {number(expected[i])} is needed."


def _not_the_mirror(function: Function) -> str | None:
    x = torch.tensor([0.5, 1.0, 2.0])
    for approximate in ("none", "tanh"):
        difference = function(x, approximate) - function(-x, approximate)
        if not same(difference, x):
            return (
                f'With approximate="{approximate}", gelu(2) - gelu(-2) is {number(difference[2])}. It should be 2: '
                "for every x, gelu(x) - gelu(-x) is x."
            )
    return None


def _plain(x: Tensor, approximate: str = "none") -> Tensor:
    if approximate == "tanh":
        probability = 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    else:
        probability = 0.5 * (1 + torch.erf(x / math.sqrt(2)))
    return x * probability


def _passed(x: Tensor, approximate: str = "none") -> Tensor:
    if approximate == "tanh":
        return 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * (1 + torch.erf(x / math.sqrt(2)))


def _gelu(
    x: Tensor,
    approximate: str = "none",
    *,
    exact: Callable[[Tensor], Tensor] = _passed,
    tanh: Callable[[Tensor], Tensor] = lambda x: _passed(x, "tanh"),
) -> Tensor:
    """GELU with a place to go wrong in each of its two forms: what part of x they let pass."""
    return x * (tanh(x) if approximate == "tanh" else exact(x))


def _always(passed: Callable[[Tensor], Tensor]) -> Function:
    """The same part passes, whatever form was asked for: how it is while only one form is written."""
    return partial(_gelu, exact=passed, tanh=passed)


def _tanh_of(inside: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda x: 0.5 * (1 + torch.tanh(inside(x)))


ROOT = math.sqrt(2 / math.pi)

GELU = Exercise(
    id="05.1",
    minutes=6,
    difficulty=2,
    importance=3,
    reference=gelu,
    oracle=_oracle,
    cases=_cases,
    explain=_explain,
    invariants=(Invariant(name="mirror images add up", broken=_not_the_mirror),),
    plain=_plain,
    battery=Battery(
        untrained="the layers of lesson 05 take PyTorch's curves",
        beyond=lambda generator: [(torch.randn(2, 1, 3, 90, generator=generator),)],
    ),
    misconceptions={
        "always exact": Say(
            '`approximate` changes nothing: "tanh" gives the exact values. The two differ in the fourth decimal, and '
            "published models name the one they were trained with."
        ).to(lambda x, approximate="none": gelu(x)),
        "always tanh": Say(
            'The approximation is used even without `approximate="tanh"`. It is off in the fourth decimal, too little '
            "to see in a plot."
        ).to(lambda x, approximate="none": gelu(x, "tanh")),
        "forms swapped": Say(
            'The two forms are swapped: `approximate="tanh"` gives the exact values, and without it the approximation '
            "is used. They differ in the fourth decimal, too little to see in a plot."
        ).to(_gelu, exact=lambda x: _passed(x, "tanh"), tanh=_passed),
        "erf without the root": Say(
            "erf is applied to x itself. It measures in units of √2 standard deviations, so Φ(1) = 0.84 needs "
            "erf(1/√2)."
        ).to(_gelu, exact=lambda x: 0.5 * (1 + torch.erf(x))),
        "erf without the root, both times": Say(
            "erf is applied to x itself. It measures in units of √2 standard deviations, so Φ(1) = 0.84 needs "
            "erf(1/√2)."
        ).to(_always(lambda x: 0.5 * (1 + torch.erf(x)))),
        "erf for the probability": Say(
            "erf runs from -1 to 1; a probability runs from 0 to 1. What maps one range onto the other?"
        ).to(_gelu, exact=lambda x: torch.erf(x / math.sqrt(2))),
        "erf for the probability, both times": Say(
            "erf runs from -1 to 1; a probability runs from 0 to 1. What maps one range onto the other?"
        ).to(_always(lambda x: torch.erf(x / math.sqrt(2)))),
        "half forgotten": Say(
            "Large numbers come out twice as large as they went in: 1 + erf reaches 2, a probability reaches 1."
        ).to(_gelu, exact=lambda x: 1 + torch.erf(x / math.sqrt(2))),
        "half forgotten, both times": Say(
            "Large numbers come out twice as large as they went in: 1 + erf reaches 2, a probability reaches 1."
        ).to(_always(lambda x: 1 + torch.erf(x / math.sqrt(2)))),
        "half forgotten in the tanh form": Say(
            "In the tanh form large numbers come out twice as large as they went in: 1 + tanh reaches 2, a "
            "probability reaches 1."
        ).to(_gelu, tanh=lambda x: 2 * _passed(x, "tanh")),
        "half forgotten in each form": Say(
            "In both forms large numbers come out twice as large as they went in: 1 + erf and 1 + tanh reach 2, a "
            "probability reaches 1."
        ).to(_gelu, exact=lambda x: 2 * _passed(x), tanh=lambda x: 2 * _passed(x, "tanh")),
        "density": Say(
            "The bell curve itself is used: how likely a value at x is. What is needed is how likely a value below x "
            "is, the area to its left."
        ).to(_gelu, exact=lambda x: torch.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)),
        "density, both times": Say(
            "The bell curve itself is used: how likely a value at x is. What is needed is how likely a value below x "
            "is, the area to its left."
        ).to(_always(lambda x: torch.exp(-(x**2) / 2) / math.sqrt(2 * math.pi))),
        "the probability alone": Say("This is only the probability, between 0 and 1. What should it multiply?").to(
            _passed
        ),
        "SiLU": Say(
            "This is SiLU, x · sigmoid(x): the same idea with another S-shaped curve, which lets more through below "
            "zero and less above."
        ).to(_gelu, exact=torch.sigmoid),
        "SiLU both times": Say(
            "This is SiLU, x · sigmoid(x): the same idea with another S-shaped curve, which lets more through below "
            "zero and less above."
        ).to(lambda x, approximate="none": F.silu(x)),
        "sigmoid approximation": Say(
            "This is x · sigmoid(1.702 x), a rougher approximation, off by up to 0.02. It is known as quick GELU, and "
            "it is neither of the two asked for."
        ).to(_gelu, exact=lambda x: torch.sigmoid(1.702 * x)),
        "sigmoid approximation, both times": Say(
            "This is x · sigmoid(1.702 x), a rougher approximation, off by up to 0.02. It is known as quick GELU, and "
            "it is neither of the two asked for."
        ).to(_always(lambda x: torch.sigmoid(1.702 * x))),
        "ReLU": Say("This is ReLU: it cuts off where GELU bends. GELU lets something through below zero, too.").to(
            lambda x, approximate="none": F.relu(x)
        ),
        "no cube": Say("In the tanh form the cubic term is missing: tanh alone rises too slowly.").to(
            _gelu, tanh=_tanh_of(lambda x: ROOT * x)
        ),
        "square for cube": Say(
            "In the tanh form x is squared, which is the same for x and -x. The curve has to be odd: which power "
            "keeps the sign?"
        ).to(_gelu, tanh=_tanh_of(lambda x: ROOT * (x + 0.044715 * x**2))),
        "sum cubed": Say(
            "In the tanh form the whole sum is cubed. Only x is cubed, and 0.044715 is how much of that is added to x."
        ).to(_gelu, tanh=_tanh_of(lambda x: ROOT * (x + 0.044715) ** 3)),
        "cube outside the bracket": Say(
            "In the tanh form the factor √(2/π) multiplies x only. It is outside the bracket and applies to the cube "
            "as well."
        ).to(_gelu, tanh=_tanh_of(lambda x: ROOT * x + 0.044715 * x**3)),
        "root over the 2 only": Say(
            "In the tanh form the factor is √2 / π. The root covers the whole fraction: √(2/π) = 0.80."
        ).to(_gelu, tanh=_tanh_of(lambda x: math.sqrt(2) / math.pi * (x + 0.044715 * x**3))),
        "no root in the factor": Say("In the tanh form the factor is 2/π, without its root: √(2/π) = 0.80.").to(
            _gelu, tanh=_tanh_of(lambda x: 2 / math.pi * (x + 0.044715 * x**3))
        ),
        "tanh overflows": Say(
            "tanh is written out with exponentials, and infinity divided by infinity is not a number. `torch.tanh` "
            "handles the limits."
        ).to(_gelu, tanh=lambda x: 0.5 * (1 + _naive_tanh(ROOT * (x + 0.044715 * x**3)))),
    },
    hints=(
        "Two steps: the probability of staying below x, and its product with x. Only the probability differs between "
        "the two forms.",
        "`torch.erf` runs from -1 to 1 and measures in units of √2. Shift it and halve it, and you have the "
        "probability of staying below x.",
        'Exact: the probability is `0.5 * (1 + torch.erf(x / math.sqrt(2)))`. With approximate == "tanh", use '
        "`torch.tanh` of the bracket in place of erf.",
    ),
)


def _naive_tanh(x: Tensor) -> Tensor:
    return (x.exp() - (-x).exp()) / (x.exp() + (-x).exp())
