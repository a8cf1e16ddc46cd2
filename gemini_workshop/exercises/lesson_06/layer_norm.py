"""Exercise 06.1, ``layer_norm``: its cases, and what learners get wrong."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from gemini_workshop.exercises.core.battery.declaration import Battery
from gemini_workshop.exercises.core.comparison import same
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Say
from gemini_workshop.exercises.core.tools import drawing, first_wrong_row, vector
from gemini_workshop.models.normalization import layer_norm

_UNTOUCHED = torch.ones(4), torch.zeros(4)


def _cases(generator: torch.Generator) -> list[Arguments]:
    draw = drawing(generator)
    return [
        (torch.tensor([[1.0, 2.0, 6.0], [10.0, 10.0, 40.0]]), torch.ones(3), torch.zeros(3), 1e-5),
        (torch.full((2, 4), 7.0), 1 + draw(4), draw(4), 1e-5),
        (draw(4, 6) + 3, 1 + draw(6), draw(6), 1e-5),
        (0.01 * draw(3, 5), torch.ones(5), torch.zeros(5), 1e-4),
        (draw(2, 3, 5), 1 + draw(5), draw(5), 1e-5),
        (torch.tensor([[5000.0, 5001.0, 5003.0, 5008.0], [7000.0, 7002.0, 7002.0, 7008.0]]), *_UNTOUCHED, 1e-5),
    ]


def _beyond(generator: torch.Generator) -> list[Arguments]:
    draw = drawing(generator)
    return [(draw(90), draw(90), draw(90), 1e-5), (draw(2, 1, 3, 2, 5), draw(5), draw(5), 1e-5)]


def _oracle(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """PyTorch's kernel, in float64."""
    return F.layer_norm(x.double(), weight.shape, weight.double(), bias.double(), eps)


def _explain(function: Function, case: Arguments) -> str | None:
    x, weight, bias, eps = case
    got, expected = function(*case), _oracle(*case)
    if (wrong := first_wrong_row(x, got, expected)) is None:
        return None
    token, row, needed = map(vector, wrong)
    small = f" with eps = {eps:g}" if eps > 1e-5 else ""
    learned = "" if same(weight, torch.ones_like(weight)) else f" (weight {vector(weight)}, bias {vector(bias)})"
    return f"{token}{small} became {row}; {needed} is needed{learned}."


def _plain(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    centered = x - x.mean(dim=-1, keepdim=True)
    variance = centered.square().mean(dim=-1, keepdim=True)
    return centered / torch.sqrt(variance + eps) * weight + bias


def _normalize(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    eps: float,
    *,
    dim: int | None = -1,
    correction: int = 0,
    center: bool = True,
    divide: Callable[[Tensor, Tensor, float], Tensor] = lambda x, variance, eps: x / (variance + eps).sqrt(),
    scale: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda x, weight, bias: x * weight + bias,
) -> Tensor:
    """Layer normalization with a place to go wrong at each of its steps: the misconceptions fill them in."""
    variance = x.var(dim, keepdim=True, correction=correction)
    return scale(divide(x - x.mean(dim, keepdim=True) if center else x, variance, eps), weight, bias)


def _difference_of_squares(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    mean, square = x.mean(-1, keepdim=True), x.square().mean(-1, keepdim=True)
    return (x - mean) / (square - mean.square() + eps).sqrt() * weight + bias


LAYER_NORM = Exercise(
    id="06.1",
    minutes=5,
    difficulty=2,
    importance=3,
    reference=layer_norm,
    oracle=_oracle,
    cases=_cases,
    plain=_plain,
    explain=_explain,
    battery=Battery(untrained="the models of lesson 06 use RMSNorm", beyond=_beyond),
    misconceptions={
        "difference of large squares": Say(
            "The variance is the mean of the squares minus the square of the mean. On paper that is the same. Where "
            "the mean is large two large numbers are subtracted, and in float32 few digits are left: subtract the "
            "mean first, then square."
        ).to(_difference_of_squares),
        "unbiased variance": Say(
            "The variance is divided by D - 1, as `torch.var` and `torch.std` do unless told otherwise. Nothing is "
            "estimated here: these D numbers are all there are, so divide by D. At width 512 nobody would notice."
        ).to(_normalize, correction=1),
        "standard deviation with D - 1 and eps outside": Say(
            "Two things: `torch.std` divides by D - 1 unless told otherwise, and eps is added to the root instead of "
            "under it."
        ).to(_normalize, correction=1, divide=lambda x, variance, eps: x / (variance.sqrt() + eps)),
        "mean not subtracted": Say(
            "The mean is not subtracted: each vector is divided by its standard deviation, but not shifted to zero "
            "first."
        ).to(_normalize, center=False),
        "over the tokens": Say(
            "Mean and variance run over the tokens. Then a token's numbers depend on its neighbors, future ones too. "
            "Each token is normalized by itself, over its own channels."
        ).to(_normalize, dim=-2),
        "over the first axis": Say(
            "Mean and variance run over the first axis. Each token is normalized by itself, over its own channels, "
            "which are the last axis."
        ).to(_normalize, dim=0),
        "over the second axis": Say(
            "Mean and variance run over axis 1. The channels are the last axis, `dim=-1`, however many there are."
        ).to(_normalize, dim=1),
        "squares of x itself": Say(
            "The mean square of x itself is used, not that of its distances to the mean. Square what is left after "
            "the mean has been subtracted."
        ).to(
            lambda x, weight, bias, eps: (
                (x - x.mean(-1, keepdim=True)) / (x.square().mean(-1, keepdim=True) + eps).sqrt() * weight + bias
            )
        ),
        "over everything": Say(
            "One mean and one variance are taken for the whole tensor, so tokens still differ in size afterwards. "
            "Each token needs its own."
        ).to(_normalize, dim=None),
        "one variance for all tokens": Say(
            "Each token's own mean is subtracted, but one variance is taken for all of them, so large tokens stay "
            "large. The variance runs along the last axis, too."
        ).to(
            lambda x, weight, bias, eps: (
                (x - x.mean(-1, keepdim=True)) / ((x - x.mean(-1, keepdim=True)).square().mean() + eps).sqrt() * weight
                + bias
            )
        ),
        "everything at once, by torch.std": Say(
            "Mean and standard deviation are those of the whole tensor. Each token needs its own: `dim=-1, "
            "keepdim=True`. (And `torch.std` divides by D - 1 and has no eps.)"
        ).to(lambda x, weight, bias, eps: (x - x.mean()) / x.std() * weight + bias),
        "torch.std without eps": Say(
            "Two things: `torch.std` divides by D - 1 unless told otherwise, and eps is left out."
        ).to(_normalize, correction=1, divide=lambda x, variance, eps: x / variance.sqrt()),
        "squares summed": Say(
            "The squared distances are summed and not averaged, so the result shrinks as the width grows."
        ).to(_normalize, divide=lambda x, variance, eps: x / (variance * x.shape[-1] + eps).sqrt()),
        "no root": Say(
            "It is divided by the variance itself, which has the unit of x squared. Its root has the unit of x."
        ).to(_normalize, divide=lambda x, variance, eps: x / (variance + eps)),
        "eps outside the root": Say(
            "eps is outside the root. For vectors of ordinary size nobody sees the difference; for small ones it "
            "matters, and weights trained with one formula do not fit the other."
        ).to(_normalize, divide=lambda x, variance, eps: x / (variance.sqrt() + eps)),
        "eps left out": Say(
            "eps is left out. A vector whose channels are all equal has variance 0, and 0 / 0 is not a number."
        ).to(_normalize, divide=lambda x, variance, eps: x / variance.sqrt()),
        "weight and bias forgotten": Say(
            "The normalization is right, but the learned scale and shift of each channel are missing."
        ).to(_normalize, scale=lambda x, weight, bias: x),
        "bias forgotten": Say("The learned shift of each channel is missing.").to(
            _normalize, scale=lambda x, weight, bias: x * weight
        ),
        "bias scaled too": Say(
            "The bias is added before the scaling, so the weight multiplies it as well. Scale, then shift."
        ).to(_normalize, scale=lambda x, weight, bias: (x + bias) * weight),
        "weight before normalizing": Say(
            "The weight is applied before normalizing, which then undoes part of it. Normalize first: the weight "
            "decides how large each channel is afterwards."
        ).to(lambda x, weight, bias, eps: F.layer_norm(x * weight, weight.shape, None, None, eps) + bias),
    },
    hints=(
        "Four steps: mean, variance, normalize, scale and shift. Everything happens along the last axis, one token at "
        "a time.",
        "`x.mean(dim=-1, keepdim=True)` keeps the axis, so that it can be subtracted. The variance is the mean of the "
        "squared distances to it; eps is added to the variance, before the root.",
        "`variance = (x - mean).square().mean(dim=-1, keepdim=True)`, then `(x - mean) / torch.sqrt(variance + eps)`, "
        "then times the weight plus the bias.",
    ),
)
