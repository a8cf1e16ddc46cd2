"""Exercise 06.2, ``RMSNorm``: its cases, and what learners get wrong."""

import warnings
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gemini_workshop.exercises.core.battery.declaration import Battery
from gemini_workshop.exercises.core.exercise import Arguments, Function, Invariant, Say
from gemini_workshop.exercises.core.modules import Build, ModuleExercise, drawn_weights
from gemini_workshop.exercises.core.tools import drawing, first_wrong_row, vector
from gemini_workshop.models.normalization import RMSNorm


def _cases(generator: torch.Generator) -> list[Arguments]:
    draw = drawing(generator)
    return [
        (Build(dim=2, eps=1e-6, starts_as_it_is=True), torch.tensor([[3.0, 4.0], [30.0, 40.0], [0.0, 0.0]])),
        (Build(dim=6, eps=1e-6), draw(4, 6) + 2),
        (Build(dim=5, eps=1e-4), 0.01 * draw(3, 5)),
        (Build(dim=5, eps=1e-6), draw(2, 3, 5)),
    ]


def _beyond(generator: torch.Generator) -> list[Arguments]:
    draw = drawing(generator)
    return [(Build(dim=90, eps=1e-6), draw(90)), (Build(dim=5, eps=1e-6), draw(2, 1, 3, 2, 5))]


def _oracle(build: Build, x: Tensor) -> Tensor:
    """PyTorch's kernel, in float64."""
    weight = torch.ones(build["dim"]) if build.starts_as_it_is else drawn_weights(RMSNorm, build)["weight"]
    return F.rms_norm(x.double(), (build["dim"],), weight.double(), build["eps"])


def _explain(function: Function, case: Arguments) -> str | None:
    build, x = case
    got, expected = function(*case), _oracle(*case)
    if (wrong := first_wrong_row(x, got, expected)) is None:
        return None
    token, row, needed = map(vector, wrong)
    weight = "1" if build.starts_as_it_is else vector(drawn_weights(RMSNorm, build)["weight"])
    return f"{token} became {row}; {needed} is needed (weight {weight}, eps = {build['eps']:g})."


def _squares_overflow(function: Function) -> str | None:
    build, small = Build(dim=4, eps=1e-6, starts_as_it_is=True), torch.full((1, 4), 3.0, dtype=torch.float16)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's own norm says that it is slower so
        fits, got = (function(build, x).double() for x in (small, 100 * small))
    ones = torch.ones(1, 4).double()
    if torch.allclose(fits, ones, atol=0.01) and not torch.allclose(got, ones, atol=0.01):
        return (
            f"A vector of four times 300 in float16 became {vector(got)}; ones should come out. 300 squared does not "
            "fit in 16 bits: compute the mean square in float32."
        )
    return None


class _Plain(RMSNorm):
    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        mean_square = wide.square().mean(dim=-1, keepdim=True)
        return (wide / torch.sqrt(mean_square + self.eps)).to(x.dtype) * self.weight


class _RMS(nn.Module):
    """RMSNorm with a place to go wrong at each of its steps: the misconceptions fill them in."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))
        self.start()

    def start(self) -> None:
        """What else there is to do at first."""

    def forward(self, x: Tensor) -> Tensor:
        return self.scale(self.divide(self.center(x.float())))

    def center(self, x: Tensor) -> Tensor:
        return x

    def mean_square(self, x: Tensor) -> Tensor:
        return x.square().mean(-1, keepdim=True)

    def divide(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(self.mean_square(x) + self.eps)

    def scale(self, x: Tensor) -> Tensor:
        return x * self.weight


def _plain_weight(self: Any) -> None:
    weight = self.weight.detach()
    del self.weight
    self.weight = weight


def _add_bias(self: Any) -> None:
    self.bias = nn.Parameter(torch.zeros_like(self.weight))


RMS_NORM = ModuleExercise(
    id="06.2",
    minutes=6,
    difficulty=3,
    importance=5,
    reference=RMSNorm,
    oracle=_oracle,
    cases=_cases,
    plain=_Plain,
    explain=_explain,
    invariants=(Invariant(name="squares fit", broken=_squares_overflow),),
    battery=Battery(dtypes=(torch.bfloat16, torch.float16, torch.float64), beyond=_beyond),
    misconceptions={
        "subtracts the mean": Say(
            "The mean is subtracted. That is layer normalization; RMSNorm divides and does nothing else."
        ).to(_RMS, center=lambda self, x: x - x.mean(-1, keepdim=True)),
        "no root": Say(
            "It is divided by the mean square. Ten times the input must give the same output, so the divisor has to "
            "grow tenfold and not a hundredfold: take the root."
        ).to(_RMS, divide=lambda self, x: x / (self.mean_square(x) + self.eps)),
        "standard deviation": Say(
            "It is divided by the standard deviation, which measures distances from the mean. RMSNorm measures them "
            "from zero: the mean of the squares themselves."
        ).to(_RMS, divide=lambda self, x: x / (x.std(-1, keepdim=True) + self.eps)),
        "weight before": Say(
            "The weight is applied before normalizing, which then undoes part of it. Normalize first: the weight "
            "decides how large each channel is afterwards."
        ).to(_RMS, center=lambda self, x: x * self.weight, scale=lambda self, x: x),
        "multiplied": Say(
            "It is multiplied by the root mean square instead of divided by it. `torch.rsqrt` is 1 / sqrt; "
            "`torch.sqrt` is not."
        ).to(_RMS, divide=lambda self, x: x * torch.sqrt(self.mean_square(x) + self.eps)),
        "eps outside the root": Say(
            "eps is outside the root. For vectors of ordinary size nobody sees the difference; for small ones it "
            "matters."
        ).to(_RMS, divide=lambda self, x: x / (self.mean_square(x).sqrt() + self.eps)),
        "eps left out": Say(
            "eps is left out. Vectors of zeros do occur (padding, a block that writes nothing at first), and 0 / 0 is "
            "not a number."
        ).to(_RMS, divide=lambda self, x: x / self.mean_square(x).sqrt()),
        "sum of squares": Say(
            "The squares are summed and not averaged. Then the vector gets length 1 and its channels shrink as the "
            "width grows; with the mean each channel is about 1 at any width."
        ).to(_RMS, mean_square=lambda self, x: x.square().sum(-1, keepdim=True)),
        "divided by the length": Say(
            "It is divided by the vector's length, the root of the sum of its squares. The root of their mean is "
            "needed, so that each channel is about 1 at any width; eps belongs under that root."
        ).to(_RMS, divide=lambda self, x: x / (x.norm(dim=-1, keepdim=True) + self.eps)),
        "square of the mean": Say(
            "The mean is taken before squaring. Square first, then take the mean: the root of the mean of the squares."
        ).to(_RMS, mean_square=lambda self, x: x.mean(-1, keepdim=True).square()),
        "over the tokens": Say(
            "The mean square runs over the tokens. Then a token's numbers depend on its neighbors, future ones too. "
            "Each token is normalized by itself, over its own channels."
        ).to(_RMS, mean_square=lambda self, x: x.square().mean(-2, keepdim=True)),
        "over everything": Say(
            "One mean square is taken for the whole tensor: large tokens stay large. Each token needs its own."
        ).to(_RMS, mean_square=lambda self, x: x.square().mean()),
        "weight not used": Say("The normalization is right, but the learned weight of each channel is not used.").to(
            _RMS, scale=lambda self, x: x
        ),
        "one plus the weight": Say(
            "It is multiplied by 1 + weight. Gemma 1 to 3 store their weights that way; here the weight itself is the "
            "factor and starts at one."
        ).to(_RMS, scale=lambda self, x: x * (1 + self.weight)),
        "starts at zero": Say(
            "The weight starts at zero, so nothing gets through. A norm should start by only normalizing: which "
            "factor changes nothing?"
        ).to(_RMS, start=lambda self: nn.init.zeros_(self.weight)),
        "weight is not a parameter": Say(
            "The weight is a plain tensor. No optimizer finds it, `state_dict` does not save it and `.to(device)` "
            "leaves it behind; `nn.Parameter` makes it part of the module."
        ).to(_RMS, start=_plain_weight),
        "with a bias": Say("There is a bias. LayerNorm has one; RMSNorm leaves out both the mean and the shift.").to(
            _RMS, start=_add_bias, scale=lambda self, x: x * self.weight + self.bias
        ),
    },
    hints=(
        "Read the name backwards: square, mean, root. Then divide by it and scale every channel.",
        "`self.weight = nn.Parameter(torch.ones(dim))` in `__init__`. In `forward`, the mean of the squares along the "
        "last axis, with `keepdim=True`, and eps added before the root.",
        "`wide = x.float()`, then `wide * torch.rsqrt(wide.square().mean(dim=-1, keepdim=True) + self.eps)`, "
        "converted back with `.to(x.dtype)` and multiplied by the weight.",
    ),
)
