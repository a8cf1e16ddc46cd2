"""Lesson 06, the transformer block and a whole model: its exercises, and what learners get wrong."""

# ruff: noqa: ARG005 (many a mistake is an argument that is not used)

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gemini_workshop.exercises.comparison import number, same
from gemini_workshop.exercises.core import Arguments, Exercise, Invariant, Misconception
from gemini_workshop.exercises.modules import Build, ModuleExercise, drawn_weights
from gemini_workshop.exercises.quiz import Option, Question, Quiz
from gemini_workshop.models.masks import causal_mask
from gemini_workshop.models.normalization import RMSNorm, layer_norm
from gemini_workshop.models.plain_transformer import (
    PlainBlock,
    PlainTransformer,
    identity,
    parameters_and_flops,
    residual_step,
)

Function = Callable[..., Any]


def _with(correct: type[nn.Module], **methods: Function) -> type[nn.Module]:
    """A class that makes one mistake: right but for these methods."""
    return type(correct.__name__, (correct,), methods)


# --- 06.1 layer_norm -------------------------------------------------------------------------------------------------


def _layer_norm_cases(generator: torch.Generator) -> list[Arguments]:
    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    return [
        (torch.tensor([[1.0, 2.0, 6.0], [10.0, 10.0, 40.0]]), torch.ones(3), torch.zeros(3), 1e-5),
        (torch.full((2, 4), 7.0), 1 + draw(4), draw(4), 1e-5),
        (draw(4, 6) + 3, 1 + draw(6), draw(6), 1e-5),
        (0.01 * draw(3, 5), torch.ones(5), torch.zeros(5), 1e-4),
        (draw(2, 3, 5), 1 + draw(5), draw(5), 1e-5),
    ]


def _layer_norm_oracle(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """PyTorch's kernel, in float64."""
    return F.layer_norm(x.double(), weight.shape, weight.double(), bias.double(), eps)


def _explain_layer_norm(function: Function, case: Arguments) -> str | None:
    x, weight, bias, eps = case
    got, expected = function(*case), _layer_norm_oracle(*case)
    rows = zip(x.flatten(0, -2), got.flatten(0, -2), expected.flatten(0, -2), strict=True)
    for vector, row, needed in rows:
        if not same(row, needed):
            learned = "" if same(weight, torch.ones_like(weight)) else f" (weight {_row(weight)}, bias {_row(bias)})"
            small = f" with eps = {eps:g}" if eps > 1e-5 else ""
            return f"{_row(vector)}{small} became {_row(row)}; {_row(needed)} is needed{learned}."
    return None


def _row(values: Tensor) -> str:
    return f"({', '.join(f'{value:.3g}' for value in values.tolist())})"


def _normalise(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    eps: float,
    *,
    dim: int | tuple[int, ...] = -1,
    correction: int = 0,
    centre: bool = True,
    divide: Callable[[Tensor, Tensor, float], Tensor] = lambda x, variance, eps: x / (variance + eps).sqrt(),
    scale: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda x, weight, bias: x * weight + bias,
) -> Tensor:
    """Layer normalisation with a place to go wrong at each of its steps: the misconceptions fill them in."""
    variance = x.var(dim, keepdim=True, correction=correction)
    return scale(divide(x - x.mean(dim, keepdim=True) if centre else x, variance, eps), weight, bias)


def _mistaken(**steps: Any) -> Function:
    return lambda x, weight, bias, eps: _normalise(x, weight, bias, eps, **steps)


LAYER_NORM = Exercise(
    id="06.1",
    minutes=5,
    reference=layer_norm,
    oracle=_layer_norm_oracle,
    cases=_layer_norm_cases,
    explain=_explain_layer_norm,
    misconceptions=(
        Misconception(
            name="unbiased variance",
            says="The variance is divided by D - 1, as `torch.var` and `torch.std` do unless told otherwise. Nothing "
            "is estimated here: these D numbers are all there are, so divide by D. At width 512 nobody would notice.",
            wrong=_mistaken(correction=1),
        ),
        Misconception(
            name="standard deviation with D - 1 and eps outside",
            says="Two things: `torch.std` divides by D - 1 unless told otherwise, and eps is added to the root instead "
            "of under it.",
            wrong=_mistaken(correction=1, divide=lambda x, variance, eps: x / (variance.sqrt() + eps)),
        ),
        Misconception(
            name="mean not subtracted",
            says="The mean is still in there: each vector is divided by its spread, but not shifted to zero first.",
            wrong=_mistaken(centre=False),
        ),
        Misconception(
            name="over the tokens",
            says="Mean and variance run over the tokens. Then a token's numbers depend on its neighbours, future ones "
            "too. Each token is normalised by itself, over its own channels.",
            wrong=_mistaken(dim=-2),
        ),
        Misconception(
            name="over the first axis",
            says="Mean and variance run over the first axis. Each token is normalised by itself, over its own "
            "channels, which are the last axis.",
            wrong=_mistaken(dim=0),
        ),
        Misconception(
            name="over the second axis",
            says="Mean and variance run over axis 1. The channels are the last axis, `dim=-1`, however many there are.",
            wrong=_mistaken(dim=1),
        ),
        Misconception(
            name="squares of x itself",
            says="The mean square of x is taken, and not that of its distances to the mean. Square what is left after "
            "the mean has been subtracted.",
            wrong=lambda x, weight, bias, eps: (
                (x - x.mean(-1, keepdim=True)) / (x.square().mean(-1, keepdim=True) + eps).sqrt() * weight + bias
            ),
        ),
        Misconception(
            name="over everything",
            says="One mean and one variance are taken for the whole tensor, so that tokens are still of different size "
            "afterwards. Each token needs its own.",
            wrong=lambda x, weight, bias, eps: _normalise(x, weight, bias, eps, dim=tuple(range(x.ndim))),
        ),
        Misconception(
            name="one spread for all tokens",
            says="Each token's own mean is subtracted, but one variance is taken for all of them, so loud tokens stay "
            "loud. The variance runs along the last axis, too.",
            wrong=lambda x, weight, bias, eps: (
                (x - x.mean(-1, keepdim=True)) / ((x - x.mean(-1, keepdim=True)).square().mean() + eps).sqrt() * weight
                + bias
            ),
        ),
        Misconception(
            name="everything at once, by torch.std",
            says="Mean and spread are those of the whole tensor. Each token needs its own: `dim=-1, keepdim=True`. "
            "(And `torch.std` divides by D - 1 and knows no eps.)",
            wrong=lambda x, weight, bias, eps: (x - x.mean()) / x.std() * weight + bias,
        ),
        Misconception(
            name="torch.std without eps",
            says="Two things: `torch.std` divides by D - 1 unless told otherwise, and eps is left out.",
            wrong=_mistaken(correction=1, divide=lambda x, variance, eps: x / variance.sqrt()),
        ),
        Misconception(
            name="squares summed",
            says="The squared distances are summed and not averaged, so that the result shrinks as the width grows.",
            wrong=_mistaken(divide=lambda x, variance, eps: x / (variance * x.shape[-1] + eps).sqrt()),
        ),
        Misconception(
            name="no root",
            says="It is divided by the variance itself, which has the unit of x squared. Its root has the unit of x.",
            wrong=_mistaken(divide=lambda x, variance, eps: x / (variance + eps)),
        ),
        Misconception(
            name="eps outside the root",
            says="eps stands outside the root. For vectors of ordinary size nobody sees the difference; for small ones "
            "it counts, and weights trained with one formula do not fit the other.",
            wrong=_mistaken(divide=lambda x, variance, eps: x / (variance.sqrt() + eps)),
        ),
        Misconception(
            name="eps left out",
            says="eps is left out. A vector whose channels are all equal has variance 0, and 0 / 0 is not a number.",
            wrong=_mistaken(divide=lambda x, variance, eps: x / variance.sqrt()),
        ),
        Misconception(
            name="weight and bias forgotten",
            says="It is normalised well and then left so: the learned scale and shift of each channel are missing.",
            wrong=_mistaken(scale=lambda x, weight, bias: x),
        ),
        Misconception(
            name="bias forgotten",
            says="The learned shift of each channel is missing.",
            wrong=_mistaken(scale=lambda x, weight, bias: x * weight),
        ),
        Misconception(
            name="bias scaled too",
            says="The bias is added before the scaling, so that the weight multiplies it as well. Scale, then shift.",
            wrong=_mistaken(scale=lambda x, weight, bias: (x + bias) * weight),
        ),
        Misconception(
            name="weight before normalising",
            says="The weight is applied before normalising, which then undoes part of it. Normalise first: the weight "
            "decides how large each channel is afterwards.",
            wrong=lambda x, weight, bias, eps: F.layer_norm(x * weight, weight.shape, None, None, eps) + bias,
        ),
    ),
    hints=(
        "Four steps: mean, variance, normalise, scale and shift. Everything happens along the last axis, one token at "
        "a time.",
        "`x.mean(dim=-1, keepdim=True)` keeps the axis, so that it can be subtracted. The variance is the mean of the "
        "squared distances to it; eps is added to the variance, before the root.",
        "`variance = (x - mean).square().mean(dim=-1, keepdim=True)`, then `(x - mean) / torch.sqrt(variance + eps)`, "
        "then times the weight plus the bias.",
    ),
)

# --- 06.2 RMSNorm ----------------------------------------------------------------------------------------------------


def _rms_norm_cases(generator: torch.Generator) -> list[Arguments]:
    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    return [
        (Build(dim=2, eps=1e-6, starts_as_it_is=True), torch.tensor([[3.0, 4.0], [30.0, 40.0], [0.0, 0.0]])),
        (Build(dim=6, eps=1e-6), draw(4, 6) + 2),
        (Build(dim=5, eps=1e-4), 0.01 * draw(3, 5)),
        (Build(dim=5, eps=1e-6), draw(2, 3, 5)),
    ]


def _rms_norm_oracle(build: Build, x: Tensor) -> Tensor:
    """PyTorch's kernel, in float64."""
    weight = torch.ones(build["dim"]) if build.starts_as_it_is else drawn_weights(RMSNorm, build)["weight"]
    return F.rms_norm(x.double(), (build["dim"],), weight.double(), build["eps"])


def _explain_rms_norm(function: Function, case: Arguments) -> str | None:
    build, x = case
    got, expected = function(*case), _rms_norm_oracle(*case)
    for vector, row, needed in zip(x.flatten(0, -2), got.flatten(0, -2), expected.flatten(0, -2), strict=True):
        if not same(row, needed):
            weight = "weight 1" if build.starts_as_it_is else f"weight {_row(drawn_weights(RMSNorm, build)['weight'])}"
            return f"{_row(vector)} became {_row(row)}; {_row(needed)} is needed ({weight}, eps = {build['eps']:g})."
    return None


def _squares_overflow(function: Function) -> str | None:
    build, small = Build(dim=4, eps=1e-6, starts_as_it_is=True), torch.full((1, 4), 3.0, dtype=torch.float16)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's own norm says that it is slower so
        fits, got = (function(build, x).double() for x in (small, 100 * small))
    ones = torch.ones(1, 4).double()
    if torch.allclose(fits, ones, atol=0.01) and not torch.allclose(got, ones, atol=0.01):
        return (
            f"A vector of four times 300 in float16 became {_row(got[0])}; ones should come out. 300 squared does not "
            "fit in 16 bits: compute the mean square in float32."
        )
    return None


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
        return self.scale(self.divide(self.centre(x.float())))

    def centre(self, x: Tensor) -> Tensor:
        return x

    def mean_square(self, x: Tensor) -> Tensor:
        return x.square().mean(-1, keepdim=True)

    def divide(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(self.mean_square(x) + self.eps)

    def scale(self, x: Tensor) -> Tensor:
        return x * self.weight


class _NoParameter(_RMS):
    def __init__(self, dim: int, eps: float) -> None:
        super().__init__(dim, eps)
        del self.weight
        self.weight = torch.ones(dim)  # type: ignore[assignment]


class _WithBias(_RMS):
    def __init__(self, dim: int, eps: float) -> None:
        super().__init__(dim, eps)
        self.bias = nn.Parameter(torch.zeros(dim))

    def scale(self, x: Tensor) -> Tensor:
        return x * self.weight + self.bias


RMS_NORM = ModuleExercise(
    id="06.2",
    minutes=6,
    reference=RMSNorm,
    oracle=_rms_norm_oracle,
    cases=_rms_norm_cases,
    explain=_explain_rms_norm,
    invariants=(Invariant(name="squares fit", broken=_squares_overflow),),
    misconceptions=(
        Misconception(
            name="subtracts the mean",
            says="The mean is subtracted. That is layer normalisation; RMSNorm divides and does nothing else.",
            wrong=_with(_RMS, centre=lambda self, x: x - x.mean(-1, keepdim=True)),
        ),
        Misconception(
            name="no root",
            says="It is divided by the mean square. Ten times the input must give the same output, so the divisor has "
            "to grow tenfold and not a hundredfold: take the root.",
            wrong=_with(_RMS, divide=lambda self, x: x / (self.mean_square(x) + self.eps)),
        ),
        Misconception(
            name="multiplied",
            says="It is multiplied with the root mean square instead of divided by it. `torch.rsqrt` is 1 / sqrt; "
            "`torch.sqrt` is not.",
            wrong=_with(_RMS, divide=lambda self, x: x * torch.sqrt(self.mean_square(x) + self.eps)),
        ),
        Misconception(
            name="eps outside the root",
            says="eps stands outside the root. For vectors of ordinary size nobody sees the difference; for small ones "
            "it counts.",
            wrong=_with(_RMS, divide=lambda self, x: x / (self.mean_square(x).sqrt() + self.eps)),
        ),
        Misconception(
            name="eps left out",
            says="eps is left out. Vectors of zeros do occur (a padded place, a block that is silent at first), and "
            "0 / 0 is not a number.",
            wrong=_with(_RMS, divide=lambda self, x: x / self.mean_square(x).sqrt()),
        ),
        Misconception(
            name="sum of squares",
            says="The squares are summed and not averaged. Then the vector gets length 1 and its channels shrink as "
            "the width grows; with the mean each channel is about 1 at any width.",
            wrong=_with(_RMS, mean_square=lambda self, x: x.square().sum(-1, keepdim=True)),
        ),
        Misconception(
            name="divided by the length",
            says="It is divided by the vector's length, the root of the sum of its squares. The root of their mean is "
            "needed, so that each channel is about 1 at any width; eps belongs under that root.",
            wrong=_with(_RMS, divide=lambda self, x: x / (x.norm(dim=-1, keepdim=True) + self.eps)),
        ),
        Misconception(
            name="square of the mean",
            says="It is divided by the mean of the channels, squared and rooted. Square first, then take the mean: "
            "root of the mean of the squares.",
            wrong=_with(_RMS, mean_square=lambda self, x: x.mean(-1, keepdim=True).square()),
        ),
        Misconception(
            name="over the tokens",
            says="The mean square runs over the tokens. Then a token's numbers depend on its neighbours, future ones "
            "too. Each token is normalised by itself, over its own channels.",
            wrong=_with(_RMS, mean_square=lambda self, x: x.square().mean(-2, keepdim=True)),
        ),
        Misconception(
            name="over everything",
            says="One mean square is taken for the whole tensor: loud tokens stay loud. Each token needs its own.",
            wrong=_with(_RMS, mean_square=lambda self, x: x.square().mean()),
        ),
        Misconception(
            name="weight not used",
            says="It is normalised well, and the learned weight of each channel is not used.",
            wrong=_with(_RMS, scale=lambda self, x: x),
        ),
        Misconception(
            name="one plus the weight",
            says="It is multiplied with 1 + weight. Gemma 1 to 3 store their weights so; here the weight itself is the "
            "factor and starts at one.",
            wrong=_with(_RMS, scale=lambda self, x: x * (1 + self.weight)),
        ),
        Misconception(
            name="starts at zero",
            says="The weight starts at zero, so that nothing gets through. A norm should start by only normalising: "
            "which factor changes nothing?",
            wrong=_with(_RMS, start=lambda self: nn.init.zeros_(self.weight)),
        ),
        Misconception(
            name="weight is no parameter",
            says="The weight is a plain tensor. No optimizer finds it, `state_dict` does not save it and `.to(device)` "
            "leaves it behind; `nn.Parameter` makes it part of the module.",
            wrong=_NoParameter,
        ),
        Misconception(
            name="with a bias",
            says="There is a bias. LayerNorm has one; RMSNorm leaves out both the mean and the shift.",
            wrong=_WithBias,
        ),
    ),
    hints=(
        "Read the name backwards: square, mean, root. Then divide by it and scale every channel.",
        "`self.weight = nn.Parameter(torch.ones(dim))` in `__init__`. In `forward`, the mean of the squares along the "
        "last axis, with `keepdim=True`, and eps added before the root.",
        "`wide = x.float()`, then `wide * torch.rsqrt(wide.square().mean(dim=-1, keepdim=True) + self.eps)`, brought "
        "back with `.to(x.dtype)` and multiplied with the weight.",
    ),
)

# --- 06.3 residual_step ----------------------------------------------------------------------------------------------


def add_10(x: Tensor) -> Tensor:
    """A sublayer whose work is seen at once."""
    return x + 10


def double(x: Tensor) -> Tensor:
    """Stands for a norm."""
    return 2 * x


def add_1(x: Tensor) -> Tensor:
    """Stands for a norm."""
    return x + 1


def square(x: Tensor) -> Tensor:
    """Stands for a norm."""
    return x**2


def _residual_cases(generator: torch.Generator) -> list[Arguments]:
    x = torch.randn(2, 3, generator=generator)
    return [
        (torch.tensor([3.0]), add_10),
        (torch.tensor([3.0]), add_10, double),
        (torch.tensor([3.0]), add_10, identity, identity, double),
        (torch.tensor([3.0]), add_10, double, square, identity),
        (torch.tensor([3.0]), add_10, double, square, add_1),
        (x, square, double, add_1, add_10),
    ]


def _residual_oracle(x: Tensor, sublayer: Function, *norms: Function) -> Tensor:
    """The three placements spelt out, in float64."""
    norm, output_norm, stream_norm = (*norms, *[identity] * (3 - len(norms)))
    read = norm(x.double())
    written = output_norm(sublayer(read))
    return stream_norm(x.double() + written)


def _explain_residual(function: Function, case: Arguments) -> str | None:
    x, sublayer, *norms = case
    got, expected = function(*case), _residual_oracle(*case)
    if x.numel() > 1 or same(got, expected):
        return None
    names = ["norm", "output_norm", "stream_norm"]
    given = [f"sublayer = {sublayer.__name__}"]
    given += [f"{name} = {f.__name__}" for name, f in zip(names, norms, strict=False) if f is not identity]
    return f"With x = {number(x[0])}, {', '.join(given)} it gave {number(got[0])}; {number(expected[0])} is needed."


def _step(wrong: Callable[..., Tensor]) -> Function:
    """A wrong step with all its norms given."""

    def step(x: Tensor, sublayer: Function, *norms: Function) -> Tensor:
        return wrong(x, sublayer, *(*norms, *[identity] * (3 - len(norms))))

    return step


RESIDUAL_STEP = Exercise(
    id="06.3",
    minutes=5,
    reference=residual_step,
    oracle=_residual_oracle,
    cases=_residual_cases,
    explain=_explain_residual,
    misconceptions=(
        Misconception(
            name="nothing is added",
            says="The sublayer's finding replaces the stream. It has to be added: what a sublayer does not find must "
            "not be lost.",
            wrong=_step(lambda x, f, norm, out, stream: stream(out(f(norm(x))))),
        ),
        Misconception(
            name="stream taken after the norm",
            says="The finding is added to the normalised stream. Then nothing passes a block untouched. Keep x as it "
            "came, and let only the sublayer read the normalised copy.",
            wrong=_step(lambda x, f, norm, out, stream: stream(norm(x) + out(f(norm(x))))),
        ),
        Misconception(
            name="output norm on the sum",
            says="`output_norm` is applied to the sum. It belongs to what the sublayer found, before that is added; "
            "the stream itself stays free. (Papers on Gemma call it 'post-norm', which leads here.)",
            wrong=_step(lambda x, f, norm, out, stream: stream(out(x + f(norm(x))))),
        ),
        Misconception(
            name="stream norm before the sum",
            says="`stream_norm` is applied before the addition. In the first transformer the norm comes after it: the "
            "sum is normalised.",
            wrong=_step(lambda x, f, norm, out, stream: x + stream(out(f(norm(x))))),
        ),
        Misconception(
            name="stream norm on x alone",
            says="`stream_norm` is applied to x alone, before anything is added. It comes last: the sum is normalised.",
            wrong=_step(lambda x, f, norm, out, stream: stream(x) + out(f(norm(x)))),
        ),
        Misconception(
            name="stream norm inside",
            says="`stream_norm` is applied to x before the sublayer reads it. It comes last: the sum is normalised.",
            wrong=_step(lambda x, f, norm, out, stream: x + out(f(norm(stream(x))))),
        ),
        Misconception(
            name="norm after the sublayer",
            says="`norm` is applied to what the sublayer found. It belongs to what the sublayer reads.",
            wrong=_step(lambda x, f, norm, out, stream: stream(x + out(norm(f(x))))),
        ),
        Misconception(
            name="norm on the sum",
            says="`norm` is applied to the sum. `stream_norm` is for that; `norm` is for what the sublayer reads.",
            wrong=_step(lambda x, f, norm, out, stream: stream(norm(x + out(f(x))))),
        ),
        Misconception(
            name="norm not used",
            says="The sublayer reads the stream as it is; `norm` is not used.",
            wrong=_step(lambda x, f, norm, out, stream: stream(x + out(f(x)))),
        ),
        Misconception(
            name="output norm not used",
            says="What the sublayer found is added as it is; `output_norm` is not used.",
            wrong=_step(lambda x, f, norm, out, stream: stream(x + f(norm(x)))),
        ),
        Misconception(
            name="stream norm not used",
            says="The sum is handed on as it is; `stream_norm` is not used.",
            wrong=_step(lambda x, f, norm, out, stream: x + out(f(norm(x)))),
        ),
        Misconception(
            name="only the first norm",
            says="This is right for norms before the sublayer (pre). `output_norm` and `stream_norm` are not used.",
            wrong=_step(lambda x, f, norm, out, stream: x + f(norm(x))),
        ),
        Misconception(
            name="stream taken after the norm, others not used",
            says="The finding is added to the normalised stream. Then nothing passes a block untouched: add it to x "
            "as it came. (And `output_norm` and `stream_norm` are not used.)",
            wrong=_step(lambda x, f, norm, out, stream: norm(x) + f(norm(x))),
        ),
        Misconception(
            name="output norm and stream norm swapped",
            says="`output_norm` and `stream_norm` have changed places: the first belongs to what the sublayer found, "
            "the second to the sum.",
            wrong=_step(lambda x, f, norm, out, stream: out(x + stream(f(norm(x))))),
        ),
    ),
    hints=(
        "Say it in the order in which it happens: read, work, write, hand on. Each of the three norms belongs to one "
        "of these words.",
        "What the sublayer reads is `norm(x)`; what it writes passes `output_norm`; then it is added to `x` itself.",
        "From the inside out: `norm`, `sublayer`, `output_norm`, plus x, `stream_norm`.",
    ),
)

# --- 06.4 PlainBlock -------------------------------------------------------------------------------------------------


def _block_cases(generator: torch.Generator) -> list[Arguments]:
    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    size: dict[str, Any] = {"embed_dim": 6, "num_heads": 2, "ffn_dim": 5}
    return [
        (Build(**size), draw(1, 1, 6)),
        (Build(**size), draw(2, 3, 6)),
        (Build(**size), draw(2, 4, 6), causal_mask(4, 4)),
        (Build(embed_dim=8, num_heads=2, ffn_dim=7, placement="post"), draw(2, 3, 8), causal_mask(3, 3)),
        (Build(embed_dim=8, num_heads=2, ffn_dim=7, placement="sandwich"), draw(2, 3, 8), causal_mask(3, 3)),
    ]


def _block_oracle(build: Build, x: Tensor, mask: Tensor | None = None) -> Tensor:
    w = {name: weight.double() for name, weight in drawn_weights(PlainBlock, build).items()}
    return _block_by_hand(w, "", build["num_heads"], x.double(), mask)


def _block_by_hand(
    w: dict[str, Tensor], at: str, num_heads: int, x: Tensor, mask: Tensor | None, eps: float = 1e-6
) -> Tensor:
    """A block from the formulas and PyTorch's own functions, in float64. Where there is no weight there is no norm."""

    def norm(x: Tensor, name: str) -> Tensor:
        weight = w.get(f"{at}{name}.weight")
        return x if weight is None else F.rms_norm(x, weight.shape, weight, eps)

    def attend(x: Tensor) -> Tensor:
        q, k, v = (
            F.linear(x, w[f"{at}attention.{name}.weight"]).unflatten(-1, (num_heads, -1)).transpose(1, 2)
            for name in ("query", "key", "value")
        )
        found = F.scaled_dot_product_attention(q, k, v, mask).transpose(1, 2).flatten(2)
        return F.linear(found, w[f"{at}attention.output.weight"])

    def think(x: Tensor) -> Tensor:
        gate, up = (F.linear(x, w[f"{at}feed_forward.{name}.weight"]) for name in ("gate", "up"))
        return F.linear(F.silu(gate) * up, w[f"{at}feed_forward.down.weight"])

    x = norm(x + norm(attend(norm(x, "attention_norm")), "attention_output_norm"), "attention_stream_norm")
    return norm(x + norm(think(norm(x, "feed_forward_norm")), "feed_forward_output_norm"), "feed_forward_stream_norm")


def _explain_block(function: Function, case: Arguments) -> str | None:
    build, x, *mask = case
    got, expected = function(*case), _block_oracle(*case)
    if got.shape != expected.shape or same(got, expected):
        return None
    b, t, d = (int(i) for i in np.unravel_index(int((got.double() - expected).abs().argmax()), got.shape))
    placement = build.arguments.get("placement", "pre")
    how = f"norms: {placement}, {x.shape[1]} token{'s' * (x.shape[1] > 1)}, {'causal' if mask else 'no'} mask"
    return (
        f"Token {t}, channel {d} goes in as {number(x[b, t, d])} and comes out as {number(got[b, t, d])}; "
        f"{number(expected[b, t, d])} is needed ({how})."
    )


class _Block(PlainBlock):
    """A block in small pieces, which the misconceptions put together otherwise. Adding to 0 is not adding."""

    def norms(self, name: str) -> list[nn.Module]:
        return [getattr(self, f"{name}_{which}") for which in ("norm", "output_norm", "stream_norm")]

    def attended(self, x: Tensor, mask: Tensor | None) -> Tensor:
        return self.attention_output_norm(self.attention(self.attention_norm(x), mask=mask))

    def thought(self, x: Tensor) -> Tensor:
        return self.feed_forward_output_norm(self.feed_forward(self.feed_forward_norm(x)))

    def add_attended(self, x: Tensor | int, found: Tensor) -> Tensor:
        return self.attention_stream_norm(x + found)

    def add_thought(self, x: Tensor | int, found: Tensor) -> Tensor:
        return self.feed_forward_stream_norm(x + found)

    def gather(self, x: Tensor, mask: Tensor | None) -> Tensor:
        return self.add_attended(x, self.attended(x, mask))

    def think(self, x: Tensor) -> Tensor:
        return self.add_thought(x, self.thought(x))

    def pre_gather(self, x: Tensor, mask: Tensor | None) -> Tensor:
        return x + self.attention(self.attention_norm(x), mask=mask)

    def pre_think(self, x: Tensor) -> Tensor:
        return x + self.feed_forward(self.feed_forward_norm(x))


def _block(forward: Callable[[Any, Tensor, Tensor | None], Tensor]) -> type[nn.Module]:
    """A block whose forward pass is this function of block, input and mask."""
    return _with(_Block, forward=lambda self, x, mask=None: forward(self, x, mask))


def _closed_over_the_sum(b: Any, x: Tensor, mask: Tensor | None) -> Tensor:
    x = b.add_attended(0, b.attention_output_norm(b.pre_gather(x, mask)))
    return b.add_thought(0, b.feed_forward_output_norm(b.pre_think(x)))


def _swapped(**is_swapped: bool) -> type[nn.Module]:
    """A block in which the output norm and the stream norm of these sublayers have changed places."""

    def forward(b: Any, x: Tensor, mask: Tensor | None) -> Tensor:
        sublayers = {"attention": lambda normed: b.attention(normed, mask=mask), "feed_forward": b.feed_forward}
        for name, sublayer in sublayers.items():
            norm, *others = b.norms(name)
            x = residual_step(x, sublayer, norm, *(reversed(others) if is_swapped[name] else others))
        return x

    return _block(forward)


PLAIN_BLOCK = ModuleExercise(
    id="06.4",
    minutes=5,
    reference=PlainBlock,
    oracle=_block_oracle,
    cases=_block_cases,
    explain=_explain_block,
    misconceptions=(
        Misconception(
            name="parallel",
            says="Attention and feed-forward both read the block's input. (Some models do that, GPT-J and PaLM among "
            "them.) Here the feed-forward reads what attention has already added.",
            wrong=_block(lambda b, x, mask: b.add_thought(b.gather(x, mask), b.thought(x))),
        ),
        Misconception(
            name="parallel and only pre",
            says="Attention and feed-forward both read the block's input. Here the feed-forward reads what attention "
            "has already added. (And the norms of the other placements are not used: hand them to `residual_step`.)",
            wrong=_block(lambda b, x, mask: b.pre_gather(x, mask) + b.pre_think(x) - x),
        ),
        Misconception(
            name="second sum from the block's input",
            says="The feed-forward's finding is added to the block's input, so what attention had added is lost. Add "
            "it to the stream as it stands after attention.",
            wrong=_block(lambda b, x, mask: b.add_thought(x, b.thought(b.gather(x, mask)))),
        ),
        Misconception(
            name="feed-forward first",
            says="The feed-forward comes before attention. First a token gathers from others, then it works on what it "
            "has.",
            wrong=_block(lambda b, x, mask: b.gather(b.think(x), mask)),
        ),
        Misconception(
            name="mask forgotten",
            says="The mask does not reach attention, so every token sees the future. Attention takes it by name, as "
            "`mask=`; its second argument is something else.",
            wrong=_block(lambda b, x, mask: b.think(b.gather(x, None))),
        ),
        Misconception(
            name="attention not added",
            says="Attention's finding replaces the stream instead of being added to it.",
            wrong=_block(lambda b, x, mask: b.think(b.add_attended(0, b.attended(x, mask)))),
        ),
        Misconception(
            name="feed-forward not added",
            says="The feed-forward's finding replaces the stream instead of being added to it.",
            wrong=_block(lambda b, x, mask: b.add_thought(0, b.thought(b.gather(x, mask)))),
        ),
        Misconception(
            name="no residual at all",
            says="Neither sublayer's finding is added to the stream: each replaces it. `residual_step` adds.",
            wrong=_block(lambda b, x, mask: b.add_thought(0, b.thought(b.add_attended(0, b.attended(x, mask))))),
        ),
        Misconception(
            name="feed-forward left out",
            says="The block ends after attention. The second half, the feed-forward, is missing.",
            wrong=_block(lambda b, x, mask: b.gather(x, mask)),
        ),
        Misconception(
            name="attention lost",
            says="What attention found is not in the result. The second step has to start from what the first "
            "returned, and not from the block's input.",
            wrong=_block(lambda b, x, mask: b.think(x)),
        ),
        Misconception(
            name="attention reads the stream itself",
            says="Attention reads the stream as it came, and not normalised. The function that is given to "
            "`residual_step` has to hand on its own argument: that one is normalised, the x around it is not.",
            wrong=_block(
                lambda b, x, mask: b.think(b.add_attended(x, b.attention_output_norm(b.attention(x, mask=mask))))
            ),
        ),
        Misconception(
            name="no norms",
            says="No norm is used: both sublayers read the stream as it is. Hand all three norms of each sublayer to "
            "`residual_step`.",
            wrong=_block(lambda b, x, mask: (y := x + b.attention(x, mask=mask)) + b.feed_forward(y)),
        ),
        Misconception(
            name="attention's norms for both",
            says="The feed-forward is given the three norms of attention. It has its own, with weights of their own.",
            wrong=_block(lambda b, x, mask: residual_step(b.gather(x, mask), b.feed_forward, *b.norms("attention"))),
        ),
        Misconception(
            name="output norm and stream norm swapped",
            says="The output norms and the stream norms have changed places. `residual_step` takes norm, output norm, "
            "stream norm, in this order.",
            wrong=_swapped(attention=True, feed_forward=True),
        ),
        Misconception(
            name="attention's output norm and stream norm swapped",
            says="Attention's output norm and stream norm have changed places. `residual_step` takes norm, output "
            "norm, stream norm, in this order.",
            wrong=_swapped(attention=True, feed_forward=False),
        ),
        Misconception(
            name="one norm for both",
            says="Both sublayers read through the same norm. Each has its own, with weights of its own.",
            wrong=_block(
                lambda b, x, mask: b.add_thought(
                    y := b.gather(x, mask), b.feed_forward_output_norm(b.feed_forward(b.attention_norm(y)))
                )
            ),
        ),
        Misconception(
            name="only pre",
            says="It is right for norms before the sublayers and ignores the others. Hand all three norms of each "
            "sublayer to `residual_step`: those that are not there pass everything unchanged.",
            wrong=_block(lambda b, x, mask: b.pre_think(b.pre_gather(x, mask))),
        ),
        Misconception(
            name="sandwich closed over the sum",
            says="The output norm is applied to the sum of stream and finding. In the sandwich it belongs to the "
            "finding alone, and the stream stays free.",
            wrong=_block(_closed_over_the_sum),
        ),
    ),
    hints=(
        "Two residual steps, one after the other. The second starts from what the first returned.",
        "`residual_step` takes a function of one argument. For attention that is "
        "`lambda normed: self.attention(normed, mask=mask)`; the feed-forward is one already.",
        "`x = residual_step(x, <attention>, self.attention_norm, self.attention_output_norm, "
        "self.attention_stream_norm)`, and the same once more with `self.feed_forward` and its three norms.",
    ),
)

# --- 06.5 PlainTransformer -------------------------------------------------------------------------------------------


def _model_cases(generator: torch.Generator) -> list[Arguments]:
    def ids(vocab_size: int, *shape: int) -> Tensor:
        return torch.randint(vocab_size, shape, generator=generator)

    size: dict[str, Any] = {"context_tokens": 10, "embed_dim": 4, "num_heads": 2, "ffn_dim": 5}
    return [
        (Build(vocab_size=3, num_layers=1, **size), torch.tensor([[2]])),
        (Build(vocab_size=3, num_layers=1, **size), torch.tensor([[2, 0, 1, 1]])),
        (Build(vocab_size=9, num_layers=3, **size), ids(9, 2, 7)),
        (Build(vocab_size=9, num_layers=2, **size, placement="post"), ids(9, 2, 5)),
        (Build(vocab_size=9, num_layers=2, **size, placement="sandwich", eps=0.1), ids(9, 2, 5)),
    ]


def _model_oracle(build: Build, token_ids: Tensor) -> Tensor:
    """The whole model from the formulas and PyTorch's own functions, in float64."""
    w = {name: weight.double() for name, weight in drawn_weights(PlainTransformer, build).items()}
    T = token_ids.shape[1]
    x, eps = w["embedding.weight"][token_ids] + w["position_embedding.weight"][:T], build.arguments.get("eps", 1e-6)
    for i in range(build["num_layers"]):
        x = _block_by_hand(w, f"blocks.{i}.", build["num_heads"], x, torch.ones(T, T, dtype=torch.bool).tril(), eps)
    if "norm.weight" in w:
        x = F.rms_norm(x, x.shape[-1:], w["norm.weight"], eps)
    return F.linear(x, w["embedding.weight"])


def _explain_model(function: Function, case: Arguments) -> str | None:
    build, token_ids = case
    got, expected = function(*case), _model_oracle(*case)
    if got.shape != expected.shape or same(got, expected):
        return None
    b, t, v = (int(i) for i in np.unravel_index(int((got.double() - expected).abs().argmax()), got.shape))
    blocks = f"{build['num_layers']} block{'s' * (build['num_layers'] > 1)}"
    return (
        f"After the ids {token_ids[b, : t + 1].tolist()}, id {v} gets the score {number(got[b, t, v])}; "
        f"{number(expected[b, t, v])} is needed ({blocks}, norms: {build.arguments.get('placement', 'pre')})."
    )


def _reads_the_future(function: Function) -> str | None:
    build, token_ids = _model_cases(torch.Generator().manual_seed(1))[2]
    changed = token_ids.clone()
    changed[:, 4] = (changed[:, 4] + 1) % build["vocab_size"]
    moved = (function(build, changed) - function(build, token_ids)).abs().amax((0, 2))
    early = [t for t in range(4) if moved[t] > 1e-5]
    if early:
        return (
            f"Token 4 was changed, and the scores at token {early[0]} moved by {number(moved[early[0]])}: the model "
            "reads its own future. What did lesson 02 put between them?"
        )
    return None


class _Model(PlainTransformer):
    """A whole model with its stages as methods, which the misconceptions replace."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.arrange(kwargs)

    def arrange(self, arguments: dict[str, Any]) -> None:
        """What else there is to do at first."""

    def embed(self, token_ids: Tensor) -> Tensor:
        return self.embedding(token_ids) + self.positions(token_ids.shape[1])

    def positions(self, T: int) -> Tensor:
        return self.position_embedding.weight[:T]

    def mask(self, T: int) -> Tensor | None:
        return causal_mask(T, T)

    def score(self, x: Tensor) -> Tensor:
        return F.linear(self.norm(x), self.embedding.weight)

    def through(self, x: Tensor, mask: Tensor | None) -> Tensor:
        for block in self.blocks:
            x = block(x, mask)
        return x

    def forward(self, token_ids: Tensor) -> Tensor:
        return self.score(self.through(self.embed(token_ids), self.mask(token_ids.shape[1])))


def _forgetting(*names: str) -> type[nn.Module]:
    """A model that does not hand these arguments on to its blocks."""

    def arrange(self: _Model, arguments: dict[str, Any]) -> None:
        wanted = ("embed_dim", "num_heads", "ffn_dim", "placement", "eps")
        handed_on = {name: arguments[name] for name in wanted if name in arguments and name not in names}
        self.blocks = nn.ModuleList(PlainBlock(**handed_on) for _ in self.blocks)

    return _with(_Model, arrange=arrange)


def _normed_through(self: _Model, x: Tensor, mask: Tensor | None) -> Tensor:
    for block in self.blocks:
        x = self.norm(block(x, mask))
    return x


def _own_head(*, bias: bool) -> type[nn.Module]:
    """A model whose head is a layer of its own."""

    def arrange(self: _Model, arguments: dict[str, Any]) -> None:
        self.head = nn.Linear(arguments["embed_dim"], arguments["vocab_size"], bias=bias)

    return _with(_Model, arrange=arrange, score=lambda self, x: self.head(self.norm(x)))


class _PlainList(_Model):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        blocks = list(self.blocks)
        del self.blocks
        self.blocks = blocks  # type: ignore[assignment]


PLAIN_TRANSFORMER = ModuleExercise(
    id="06.5",
    minutes=10,
    reference=PlainTransformer,
    oracle=_model_oracle,
    cases=_model_cases,
    explain=_explain_model,
    invariants=(Invariant(name="no future", broken=_reads_the_future),),
    misconceptions=(
        Misconception(
            name="no mask",
            says="The blocks get no causal mask, so the model reads its own future: splendid in training, useless when "
            "it has to write.",
            wrong=_with(_Model, mask=lambda self, T: None),
        ),
        Misconception(
            name="no positions",
            says="The positions are missing. To this model a sentence is a heap of words with a first one: nothing "
            "says how far apart two tokens are.",
            wrong=_with(_Model, embed=lambda self, ids: self.embedding(ids)),
        ),
        Misconception(
            name="positions from one",
            says="Positions are counted from 1. The first token stands at position 0; counted from 1, the last one "
            "falls off the table.",
            wrong=_with(_Model, positions=lambda self, T: self.position_embedding(torch.arange(T) + 1)),
        ),
        Misconception(
            name="positions looked up by token",
            says="The position table is asked for the token ids. A position is where a token stands, 0, 1, 2, …, and "
            "not which token it is.",
            wrong=_with(_Model, embed=lambda self, ids: self.embedding(ids) + self.position_embedding(ids)),
        ),
        Misconception(
            name="embedding scaled",
            says="The embedding is multiplied with √embed_dim. The first transformer and Gemma do that; this model "
            "does not.",
            wrong=_with(_Model, embed=lambda self, ids: self.embedding(ids) * 2 + self.positions(ids.shape[1])),
        ),
        Misconception(
            name="final norm left out",
            says="The last norm is missing. Every sublayer read a normalised stream; the head should, too, or the size "
            "of its scores depends on the number of blocks.",
            wrong=_with(_Model, score=lambda self, x: F.linear(x, self.embedding.weight)),
        ),
        Misconception(
            name="softmax at the end",
            says="Probabilities come out. Scores are needed (logits): the loss applies the softmax itself, and twice "
            "is wrong.",
            wrong=_with(_Model, score=lambda self, x: _Model.score(self, x).softmax(-1)),
        ),
        Misconception(
            name="log-softmax at the end",
            says="Log-probabilities come out. Scores are needed (logits): the loss does the rest itself.",
            wrong=_with(_Model, score=lambda self, x: _Model.score(self, x).log_softmax(-1)),
        ),
        Misconception(
            name="no head",
            says="The normalised stream comes out, embed_dim numbers for each token. One score for every token of the "
            "vocabulary is needed: how alike are stream and embedding?",
            wrong=_with(_Model, score=lambda self, x: self.norm(x)),
        ),
        Misconception(
            name="first block only",
            says="Only the first block is used. Each block must read what the one before it returned.",
            wrong=_with(_Model, through=lambda self, x, mask: self.blocks[0](x, mask)),
        ),
        Misconception(
            name="each block reads the embedding",
            says="Each block reads the embedding, so that only the last one counts. Each must read what the one before "
            "it returned.",
            wrong=_with(_Model, through=lambda self, x, mask: self.blocks[-1](x, mask)),
        ),
        Misconception(
            name="one block repeated",
            says="There is one block only. Make a new one for each layer: `[block] * n` makes n names for one object.",
            wrong=_with(_Model, arrange=lambda self, arguments: self.blocks.__delitem__(slice(1, None))),
        ),
        Misconception(
            name="blocks in a plain list",
            says="The blocks stand in a Python list, where PyTorch does not see them: they have no parameters, and no "
            "optimizer would ever train them. `nn.ModuleList` is a list that is seen.",
            wrong=_PlainList,
        ),
        Misconception(
            name="placement lost",
            says="`placement` does not reach the blocks, which then always put their norms before the sublayers. Hand "
            "it on, and `eps` with it.",
            wrong=_forgetting("placement", "eps"),
        ),
        Misconception(
            name="eps lost",
            says="`eps` does not reach the blocks, whose norms then add 1e-6 whatever was asked for. Hand it on.",
            wrong=_forgetting("eps"),
        ),
        Misconception(
            name="blocks not used",
            says="No block has a part in the scores: what they return is not what the last norm reads.",
            wrong=_with(_Model, through=lambda self, x, mask: x),
        ),
        Misconception(
            name="normalised after each block",
            says="The last norm is applied after every block. It belongs after the last one; between the blocks the "
            "stream stays as it is.",
            wrong=_with(_Model, through=_normed_through),
        ),
        Misconception(
            name="head of its own, with a bias",
            says="The head has a matrix of its own, and a bias. A tied head is the embedding table itself, used once "
            "more, and has no bias.",
            wrong=_own_head(bias=True),
        ),
        Misconception(
            name="head of its own",
            says="The head has a matrix of its own. A tied head is the embedding table itself, used once more: "
            "vocab_size times embed_dim numbers fewer.",
            wrong=_own_head(bias=False),
        ),
    ),
    hints=(
        "In `__init__` only the blocks are missing: one new `PlainBlock` for each layer, in something that PyTorch "
        "looks into. `forward` has four steps: embed, mask, blocks, scores.",
        "`nn.ModuleList(PlainBlock(...) for _ in range(num_layers))`. Positions are "
        "`torch.arange(T, device=token_ids.device)`, and their vectors are added to those of the tokens.",
        "The score of a token is the product of the normalised stream with that token's embedding: "
        "`self.norm(x) @ self.embedding.weight.T`.",
    ),
)

# --- 06.6 parameters_and_flops ---------------------------------------------------------------------------------------

COST_NAMES = ("vocab_size", "context_tokens", "embed_dim", "num_layers", "ffn_dim", "num_tokens")
COST_WORDS = ("token in the vocabulary", "position", "channel", "block", "unit of the feed-forward", "token to read")


def _cost_oracle(
    vocab_size: int, context_tokens: int, embed_dim: int, num_layers: int, ffn_dim: int, num_tokens: int
) -> tuple[int, int]:
    """Both counts from lists: the shape of everything stored, and of every product that is computed."""
    D, T = embed_dim, num_tokens
    norm, table = (D,), (vocab_size, D)
    matrices = [(D, D)] * 4 + [(D, ffn_dim), (D, ffn_dim), (ffn_dim, D)]
    stored = [table, (context_tokens, D), norm] + [norm, norm, *matrices] * num_layers
    inside = [(T, D, T), (T, T, D)]  # queries with keys, shares with values
    products = [(T, D, vocab_size)] + [*[(T, m, n) for m, n in matrices], *inside] * num_layers
    return sum(math.prod(shape) for shape in stored), sum(2 * math.prod(shape) for shape in products)


def _explain_costs(function: Function, case: Arguments) -> str | None:
    """What one more of each thing adds, which points at the term that is wrong."""
    for which, unit in enumerate(("parameters", "FLOPs")):
        if same(function(*case)[which], _cost_oracle(*case)[which]):
            continue
        for i in (3, 0, 1, 4, 5, 2):
            more = (*case[:i], case[i] + 1, *case[i + 1 :])
            added = function(*more)[which] - function(*case)[which]
            needed = _cost_oracle(*more)[which] - _cost_oracle(*case)[which]
            if not same(added, needed):
                given = ", ".join(f"{name}={value}" for name, value in zip(COST_NAMES, case, strict=True))
                return f"One {COST_WORDS[i]} more adds {added:,} {unit}; it should be {needed:,} ({given})."
    return None


def _costs(
    V: int,
    N: int,
    D: int,
    L: int,
    F: int,
    T: int,
    *,
    attention: int = 4,
    feed_forward: int = 3,
    heads: int = 1,
    stored_heads: int = 1,
    positions: int = 1,
    norms_of_block: int = 2,
    last_norm: int = 1,
    biases: int = 0,
    blocks: int | None = None,
    multiply_add: int = 2,
    quadratic: int = 4,
    readers: int | None = None,
    seen: int | None = None,
) -> tuple[int, int]:
    """Both counts with every coefficient open to mistakes."""
    L, readers, seen = blocks or L, readers or T, seen or T
    matrices = L * (attention * D * D + feed_forward * D * F)
    vectors = (norms_of_block * L + last_norm) * D + positions * N * D + biases * L * (4 * D + 2 * F + D)
    flops = multiply_add * readers * (matrices + heads * V * D) + quadratic * L * T * seen * D
    return matrices + stored_heads * V * D + vectors, flops


def _miscounted(**coefficients: Any) -> Function:
    return lambda *case: _costs(*case, **coefficients)


PARAMETERS_AND_FLOPS = Exercise(
    id="06.6",
    minutes=8,
    reference=parameters_and_flops,
    oracle=_cost_oracle,
    cases=lambda generator: [(11, 5, 2, 1, 3, 4), (7, 9, 6, 2, 5, 3), (100, 32, 8, 3, 20, 16)],
    explain=_explain_costs,
    misconceptions=(
        Misconception(
            name="tied head counted twice",
            says="The head's matrix is counted as parameters of its own. It is the embedding table, used a second "
            "time: stored once.",
            wrong=_miscounted(stored_heads=2),
        ),
        Misconception(
            name="two matrices in the feed-forward",
            says="Two matrices are counted in the feed-forward. A gated one has three: gate, up and down.",
            wrong=_miscounted(feed_forward=2),
        ),
        Misconception(
            name="three matrices in attention",
            says="Three matrices are counted in attention: queries, keys, values. What merges the heads again is a "
            "fourth.",
            wrong=_miscounted(attention=3),
        ),
        Misconception(
            name="positions left out",
            says="The table of positions is left out of the parameters.",
            wrong=_miscounted(positions=0),
        ),
        Misconception(
            name="norms left out",
            says="The weights of the norms are left out: two in each block, and one before the head.",
            wrong=_miscounted(norms_of_block=0, last_norm=0),
        ),
        Misconception(
            name="last norm left out",
            says="One norm is missing: after the last block, before the head.",
            wrong=_miscounted(last_norm=0),
        ),
        Misconception(
            name="one norm a block",
            says="One norm is counted for each block. There are two: one for each sublayer.",
            wrong=_miscounted(norms_of_block=1),
        ),
        Misconception(
            name="biases",
            says="Biases are counted. None of these matrices has one.",
            wrong=_miscounted(biases=1),
        ),
        Misconception(
            name="one block only",
            says="One block is counted, whatever the number of layers.",
            wrong=_miscounted(blocks=1),
        ),
        Misconception(
            name="multiplications only",
            says="Each term of a product is counted as one operation. It takes two: a multiplication and an addition.",
            wrong=_miscounted(multiply_add=1, quadratic=2),
        ),
        Misconception(
            name="multiplications only, in the matrices",
            says="In the products with matrices each term is counted as one operation. It takes two: a multiplication "
            "and an addition.",
            wrong=_miscounted(multiply_add=1),
        ),
        Misconception(
            name="matrices for one token",
            says="The products with matrices are counted for one token. Every token of the text takes them.",
            wrong=_miscounted(readers=1),
        ),
        Misconception(
            name="one key for each query",
            says="Attention's own products are counted as if a token saw one token. It sees all T, so that they grow "
            "with T · T.",
            wrong=_miscounted(seen=1),
        ),
        Misconception(
            name="vocabulary left out",
            says="The table of the vocabulary is left out of both counts. It is stored once, and as the head every "
            "token is multiplied with it.",
            wrong=_miscounted(heads=0, stored_heads=0),
        ),
        Misconception(
            name="norms of the sandwich",
            says="Four norms are counted in each block, as in the sandwich. Here there are two, before the sublayers.",
            wrong=_miscounted(norms_of_block=4),
        ),
        Misconception(
            name="norms and positions as products",
            says="Norms and positions are counted in the FLOPs. No matrix is multiplied there.",
            wrong=lambda V, N, D, L, F, T: (
                _costs(V, N, D, L, F, T)[0],
                2 * T * _costs(V, N, D, L, F, T)[0] + 4 * L * T * T * D,
            ),
        ),
        Misconception(
            name="scores left out",
            says="Attention's own products are left out of the FLOPs: every query with every key, and every share with "
            "every value. They have no parameters and cost all the same.",
            wrong=_miscounted(quadratic=0),
        ),
        Misconception(
            name="two operations for every parameter",
            says="The FLOPs are two for every parameter and token. That is the rule of thumb. Exactly, norms and "
            "positions are no products, and attention's own two products are missing: they have no parameters.",
            wrong=lambda *case: (_costs(*case)[0], 2 * case[-1] * _costs(*case)[0]),
        ),
        Misconception(
            name="only one product of attention",
            says="One of attention's two products is missing from the FLOPs. Queries meet keys, and shares meet "
            "values: each takes 2 · T · T · D in all heads together.",
            wrong=_miscounted(quadratic=2),
        ),
        Misconception(
            name="head free of charge",
            says="The head is left out of the FLOPs. Its matrix is stored once, as the embedding; but looking a row up "
            "costs no product, and scoring every token does.",
            wrong=_miscounted(heads=0),
        ),
        Misconception(
            name="embedding counted as a product",
            says="The embedding is counted as a product in the FLOPs, besides the head. Looking up a row multiplies "
            "nothing.",
            wrong=_miscounted(heads=2),
        ),
    ),
    hints=(
        "Make a list of the matrices that a token is multiplied with, and their shapes. Both counts begin with that "
        "list: each entry is one parameter, and two operations for each token.",
        "A block: four (D, D) matrices in attention, three (D, F) in the feed-forward. The head: (V, D), the same "
        "table as the embedding. Only parameters: positions, 2 L + 1 norms. Only FLOPs: attention's own two products.",
        "`matrices = num_layers * (4 * D * D + 3 * D * ffn_dim) + vocab_size * D`. FLOPs are "
        "`2 * T * matrices + num_layers * 4 * D * T * T`.",
    ),
)

EXERCISES = (LAYER_NORM, RMS_NORM, RESIDUAL_STEP, PLAIN_BLOCK, PLAIN_TRANSFORMER, PARAMETERS_AND_FLOPS)

# --- Quiz ------------------------------------------------------------------------------------------------------------

QUIZ = Quiz(
    (
        Question(
            "What does a block do to the stream if both its sublayers write zeros? (Norms before the sublayers.)",
            (
                Option(
                    "It becomes zero.",
                    "It would if findings replaced the stream. They are added to it, and adding zero changes nothing.",
                ),
                Option(
                    "It is normalised.",
                    "Only the copy that a sublayer reads is normalised. The stream itself passes untouched, which is "
                    "the point of putting the norm before the sublayer.",
                ),
                Option(
                    "Nothing: the block is the identity.",
                    "That is why a deep stack can be trained at all. Each block starts from 'leave it as it is' and "
                    "learns what to add.",
                    is_right=True,
                ),
            ),
        ),
        Question(
            "Over what does RMSNorm take its mean?",
            (
                Option(
                    "Over the channels of one token.",
                    "Each token by itself, so a token's result never depends on the others, nor on the batch.",
                    is_right=True,
                ),
                Option(
                    "Over the tokens of the batch, channel by channel.",
                    "That is batch normalisation. In a language model it would let a token see the future, and its "
                    "result would depend on what else is in the batch.",
                ),
                Option(
                    "Over everything at once.",
                    "Then one loud token would make all others quiet.",
                ),
            ),
        ),
        Question(
            "A new model reaches a loss of 0.01 on one small batch. What have you learned?",
            (
                Option(
                    "That it will generalise.",
                    "It has learned a few sentences by heart. About other sentences that says nothing.",
                ),
                Option(
                    "That the learning rate is right.",
                    "A rate that memorises a tiny batch may well fail on a large model and real data.",
                ),
                Option(
                    "That gradients reach what they must to memorise it. Not that the model is right.",
                    "A model that reads its own future passes this test, too, as you saw. It needs the test of lesson "
                    "02 besides.",
                    is_right=True,
                ),
            ),
        ),
        Question(
            "The head is tied to the embedding. What does that change?",
            (
                Option(
                    "The head costs no operations.",
                    "It costs no memory. Looking up a row is free, but scoring each of V tokens takes V products of "
                    "length D.",
                ),
                Option(
                    "One table is stored and trained instead of two; the arithmetic is the same.",
                    "The product with every row of the vocabulary still has to be computed.",
                    is_right=True,
                ),
                Option(
                    "The model can only repeat its input.",
                    "A freshly made model does tend to name the token that it has just read. What the blocks add "
                    "changes that, as the logit lens showed.",
                ),
            ),
        ),
    )
)
