"""Lesson 05, feed-forward networks: its exercises, what is asked of an answer, and what learners get wrong."""

import math
from collections.abc import Callable
from numbers import Integral
from statistics import NormalDist
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gemini_workshop.exercises.comparison import number, same, written
from gemini_workshop.exercises.core import Exercise, Invariant, Misconception
from gemini_workshop.exercises.modules import Build, ModuleExercise, drawn_weights
from gemini_workshop.exercises.quiz import Option, Question, Quiz
from gemini_workshop.models.feedforward import (
    FeedForward,
    GatedFeedForward,
    gate_units,
    gated_ffn_dim,
    gelu,
)

Function = Callable[..., Any]

# --- 05.1 gelu -------------------------------------------------------------------------------------------------------


def _gelu_cases(generator: torch.Generator) -> list[tuple[Any, ...]]:
    return [
        (torch.tensor([0.0, 1.0, -1.0]),),
        (torch.tensor([-3.0, -0.5, 0.5, 2.0]),),
        (2 * torch.randn(3, 4, generator=generator),),
        (torch.tensor([2.0, -2.0, 0.5]), "tanh"),
        (torch.tensor([60.0, -60.0]), "tanh"),
        (2 * torch.randn(4, 5, generator=generator), "tanh"),
    ]


def _gelu_of_one(x: float) -> float:
    return x * NormalDist().cdf(x)


def _gelu_tanh_of_one(x: float) -> float:
    return 0.5 * x * (1.0 + math.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))


def _gelu_oracle(x: Tensor, approximate: str = "none") -> Tensor:
    return x.double().apply_(_gelu_tanh_of_one if approximate == "tanh" else _gelu_of_one)


def _explain_gelu(function: Function, case: tuple[Any, ...]) -> str | None:
    x, *approximate = case
    call = f', "{approximate[0]}"' if approximate else ""
    got, expected = function(*case).flatten(), _gelu_oracle(*case).flatten()
    i = int((got.double() - expected).abs().nan_to_num(nan=math.inf).argmax())
    return f"gelu({number(x.flatten()[i])}{call}) gave {number(got[i])}; {number(expected[i])} is needed."


def _not_the_mirror(function: Function) -> str | None:
    x = torch.tensor([0.5, 1.0, 2.0])
    for approximate in ("none", "tanh"):
        difference = function(x, approximate) - function(-x, approximate)
        if not same(difference, x):
            return (
                f'With approximate="{approximate}", gelu(2) - gelu(-2) is {number(difference[2])}. It should be 2: '
                "what a number passes and what its mirror image passes are together the whole."
            )
    return None


def _share(x: Tensor, approximate: str = "none") -> Tensor:
    if approximate == "tanh":
        return 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * (1 + torch.erf(x / math.sqrt(2)))


def _gelu_with(
    *, exact: Callable[[Tensor], Tensor] = _share, tanh: Callable[[Tensor], Tensor] = lambda x: _share(x, "tanh")
) -> Function:
    """GELU with another share that passes, in one of its two forms or in both."""
    return lambda x, approximate="none": x * (tanh(x) if approximate == "tanh" else exact(x))


def _always(share: Callable[[Tensor], Tensor]) -> Function:
    """The same share, whatever form was asked for: what stands there while only one form is written."""
    return _gelu_with(exact=share, tanh=share)


def _tanh_of(inside: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda x: 0.5 * (1 + torch.tanh(inside(x)))


ROOT = math.sqrt(2 / math.pi)

GELU = Exercise(
    id="05.1",
    minutes=6,
    reference=gelu,
    oracle=_gelu_oracle,
    cases=_gelu_cases,
    explain=_explain_gelu,
    invariants=(Invariant(name="mirror images add up", broken=_not_the_mirror),),
    misconceptions=(
        Misconception(
            name="always exact",
            says='`approximate` changes nothing: "tanh" gives the exact values. The two differ in the fourth '
            "decimal, and published models name the one they were trained with.",
            wrong=lambda x, approximate="none": gelu(x),  # noqa: ARG005
        ),
        Misconception(
            name="always tanh",
            says='The approximation is used even without `approximate="tanh"`. It is off in the fourth decimal, too '
            "little to see in a plot.",
            wrong=lambda x, approximate="none": gelu(x, "tanh"),  # noqa: ARG005
        ),
        Misconception(
            name="forms swapped",
            says='The two forms have changed places: `approximate="tanh"` gives the exact values, and without it the '
            "approximation comes. They differ in the fourth decimal, too little to see in a plot.",
            wrong=_gelu_with(exact=lambda x: _share(x, "tanh"), tanh=_share),
        ),
        Misconception(
            name="erf without the root",
            says="erf is given x itself. It measures in units of √2 standard deviations, so that Φ(1) = 0.84 needs "
            "erf(1/√2).",
            wrong=_gelu_with(exact=lambda x: 0.5 * (1 + torch.erf(x))),
        ),
        Misconception(
            name="erf without the root, both times",
            says="erf is given x itself. It measures in units of √2 standard deviations, so that Φ(1) = 0.84 needs "
            "erf(1/√2).",
            wrong=_always(lambda x: 0.5 * (1 + torch.erf(x))),
        ),
        Misconception(
            name="erf for the probability",
            says="erf runs from -1 to 1; a probability runs from 0 to 1. What moves the one range onto the other?",
            wrong=_gelu_with(exact=lambda x: torch.erf(x / math.sqrt(2))),
        ),
        Misconception(
            name="erf for the probability, both times",
            says="erf runs from -1 to 1; a probability runs from 0 to 1. What moves the one range onto the other?",
            wrong=_always(lambda x: torch.erf(x / math.sqrt(2))),
        ),
        Misconception(
            name="half forgotten",
            says="Large numbers come out twice as large as they went in: 1 + erf reaches 2, a probability reaches 1.",
            wrong=_gelu_with(exact=lambda x: 1 + torch.erf(x / math.sqrt(2))),
        ),
        Misconception(
            name="half forgotten, both times",
            says="Large numbers come out twice as large as they went in: 1 + erf reaches 2, a probability reaches 1.",
            wrong=_always(lambda x: 1 + torch.erf(x / math.sqrt(2))),
        ),
        Misconception(
            name="half forgotten in the tanh form",
            says="In the tanh form large numbers come out twice as large as they went in: 1 + tanh reaches 2, a share "
            "reaches 1.",
            wrong=_gelu_with(tanh=lambda x: 2 * _share(x, "tanh")),
        ),
        Misconception(
            name="half forgotten in each form",
            says="In both forms large numbers come out twice as large as they went in: 1 + erf and 1 + tanh reach 2, "
            "a share reaches 1.",
            wrong=_gelu_with(exact=lambda x: 2 * _share(x), tanh=lambda x: 2 * _share(x, "tanh")),
        ),
        Misconception(
            name="density",
            says="The bell curve itself is used: how likely it is to hit x. Needed is how likely it is to stay below "
            "x, the area to its left.",
            wrong=_gelu_with(exact=lambda x: torch.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)),
        ),
        Misconception(
            name="density, both times",
            says="The bell curve itself is used: how likely it is to hit x. Needed is how likely it is to stay below "
            "x, the area to its left.",
            wrong=_always(lambda x: torch.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)),
        ),
        Misconception(
            name="the share alone",
            says="This is the share that passes, between 0 and 1. A share of what?",
            wrong=_share,
        ),
        Misconception(
            name="SiLU",
            says="This is SiLU, x · sigmoid(x): the same idea with another S-shaped curve, which passes more below "
            "zero and less above.",
            wrong=_gelu_with(exact=torch.sigmoid),
        ),
        Misconception(
            name="SiLU both times",
            says="This is SiLU, x · sigmoid(x): the same idea with another S-shaped curve, which passes more below "
            "zero and less above.",
            wrong=lambda x, approximate="none": F.silu(x),  # noqa: ARG005
        ),
        Misconception(
            name="sigmoid approximation",
            says="This is x · sigmoid(1.702 x), a rougher approximation, off by up to 0.02. It is in use under the "
            "name quick GELU, and it is none of the two asked for.",
            wrong=_gelu_with(exact=lambda x: torch.sigmoid(1.702 * x)),
        ),
        Misconception(
            name="sigmoid approximation, both times",
            says="This is x · sigmoid(1.702 x), a rougher approximation, off by up to 0.02. It is in use under the "
            "name quick GELU, and it is none of the two asked for.",
            wrong=_always(lambda x: torch.sigmoid(1.702 * x)),
        ),
        Misconception(
            name="ReLU",
            says="This is ReLU: it cuts where GELU bends. Below zero something passes, too.",
            wrong=lambda x, approximate="none": F.relu(x),  # noqa: ARG005
        ),
        Misconception(
            name="no cube",
            says="In the tanh form the cubic term is missing: tanh alone leaves its middle too slowly and arrives too "
            "late.",
            wrong=_gelu_with(tanh=_tanh_of(lambda x: ROOT * x)),
        ),
        Misconception(
            name="square for cube",
            says="In the tanh form x is squared, which is the same for x and -x. The curve has to be odd: which power "
            "keeps the sign?",
            wrong=_gelu_with(tanh=_tanh_of(lambda x: ROOT * (x + 0.044715 * x**2))),
        ),
        Misconception(
            name="sum cubed",
            says="In the tanh form the whole sum is cubed. The cube belongs to x alone, and 0.044715 is how much of it "
            "is added to x.",
            wrong=_gelu_with(tanh=_tanh_of(lambda x: ROOT * (x + 0.044715) ** 3)),
        ),
        Misconception(
            name="cube outside the bracket",
            says="In the tanh form the factor √(2/π) multiplies x only. It stands before the bracket and goes for the "
            "cube as well.",
            wrong=_gelu_with(tanh=_tanh_of(lambda x: ROOT * x + 0.044715 * x**3)),
        ),
        Misconception(
            name="root over the 2 only",
            says="In the tanh form the factor is √2 / π. The root covers the whole fraction: √(2/π) = 0.80.",
            wrong=_gelu_with(tanh=_tanh_of(lambda x: math.sqrt(2) / math.pi * (x + 0.044715 * x**3))),
        ),
        Misconception(
            name="no root in the factor",
            says="In the tanh form the factor is 2/π, without its root: √(2/π) = 0.80.",
            wrong=_gelu_with(tanh=_tanh_of(lambda x: 2 / math.pi * (x + 0.044715 * x**3))),
        ),
        Misconception(
            name="tanh overflows",
            says="tanh is written out with exponentials, and infinity divided by infinity is not a number. "
            "`torch.tanh` knows the limits.",
            wrong=_gelu_with(tanh=lambda x: 0.5 * (1 + _naive_tanh(ROOT * (x + 0.044715 * x**3)))),
        ),
    ),
    hints=(
        "Two steps: the share that passes, and the product of that share and x. Only the share differs between the two "
        "forms.",
        "`torch.erf` runs from -1 to 1 and measures in units of √2. Shift it and halve it, and you have the "
        "probability of staying below x.",
        'Exact: the share is `0.5 * (1 + torch.erf(x / math.sqrt(2)))`. With approximate == "tanh", put `torch.tanh` '
        "of the bracket in the place of erf.",
    ),
)


def _naive_tanh(x: Tensor) -> Tensor:
    return (x.exp() - (-x).exp()) / (x.exp() + (-x).exp())


# --- 05.2 FeedForward ------------------------------------------------------------------------------------------------

CURVES: dict[str, Callable[[float], float]] = {
    "relu": lambda x: max(x, 0.0),
    "gelu": _gelu_of_one,
    "gelu_tanh": _gelu_tanh_of_one,
    "silu": lambda x: x / (1.0 + math.exp(-x)),
}


def _layer_cases(generator: torch.Generator) -> list[tuple[Any, ...]]:
    def draw(*shape: int) -> Tensor:
        return 2 * torch.randn(*shape, generator=generator)

    return [
        (Build(embed_dim=3, ffn_dim=5, activation="relu"), draw(2, 3)),
        (Build(embed_dim=4, ffn_dim=7, activation="gelu"), draw(2, 5, 4)),
        (Build(embed_dim=3, ffn_dim=8, activation="silu"), draw(4, 3)),
        (Build(embed_dim=5, ffn_dim=6, activation="relu", bias=True), draw(3, 5)),
        (Build(embed_dim=5, ffn_dim=9, activation="gelu_tanh"), draw(4, 5)),
    ]


def _project(weights: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    """One matrix, one output channel at a time, in float64."""
    rows, bias = weights[f"{name}.weight"].double(), weights.get(f"{name}.bias")
    out = torch.stack([(x * row).sum(-1) for row in rows], dim=-1)
    return out if bias is None else out + bias.double()


def _plain_oracle(build: Build, x: Tensor) -> Tensor:
    """Every neuron by itself: how strongly it answers, times what it says."""
    w, x = drawn_weights(FeedForward, build), x.double()
    strengths = _project(w, "up", x).apply_(CURVES[build["activation"]])
    return _project(w, "down", strengths)


def _wrong(
    reference: type[FeedForward | GatedFeedForward],
    forward: Function | None = None,
    takes: Callable[[str], str] = lambda activation: activation,
    has_bias: Callable[[bool], bool] = lambda bias: bias,
) -> type[nn.Module]:
    """A layer with another forward pass, or that takes another activation or bias than it is told."""

    def build(self: Any, embed_dim: int, ffn_dim: int, activation: str, bias: bool = False) -> None:
        reference.__init__(self, embed_dim, ffn_dim, takes(activation), has_bias(bias))

    return type(reference.__name__, (reference,), {"__init__": build, "forward": forward or reference.forward})


class _OtherWayRound(FeedForward):
    def __init__(self, embed_dim: int, ffn_dim: int, activation: str, bias: bool = False) -> None:
        super().__init__(ffn_dim, embed_dim, activation, bias)


def _told_only_on_the_way_up(*, down_has_bias: bool) -> type[nn.Module]:
    """A layer in which `down` has a bias or has none, whatever is asked for."""

    class FeedForwardOfTwoMinds(FeedForward):
        def __init__(self, embed_dim: int, ffn_dim: int, activation: str, bias: bool = False) -> None:
            super().__init__(embed_dim, ffn_dim, activation, bias)
            self.down = nn.Linear(ffn_dim, embed_dim, bias=down_has_bias)

    return FeedForwardOfTwoMinds


FEED_FORWARD = ModuleExercise(
    id="05.2",
    minutes=7,
    reference=FeedForward,
    oracle=_plain_oracle,
    cases=_layer_cases,
    misconceptions=(
        Misconception(
            name="no activation",
            says="Nothing bends between the two matrices, so that they are one matrix, as in section 1.",
            wrong=_wrong(FeedForward, lambda self, x: self.down(self.up(x))),
        ),
        Misconception(
            name="activation at the end",
            says="The activation comes after the second matrix. Between the two there is none, and they are one "
            "matrix; and the layer can no longer take anything away from the stream.",
            wrong=_wrong(FeedForward, lambda self, x: self.activation(self.down(self.up(x)))),
        ),
        Misconception(
            name="activation twice",
            says="The activation is applied again at the end. What a layer adds to the stream has to be free to go "
            "either way, so the last step is a plain matrix.",
            wrong=_wrong(FeedForward, lambda self, x: self.activation(self.down(self.activation(self.up(x))))),
        ),
        Misconception(
            name="activation first",
            says="The activation is applied to the input, channel by channel. The channels have to be mixed first: a "
            "neuron bends a weighted sum of them.",
            wrong=_wrong(FeedForward, lambda self, x: self.down(self.up(self.activation(x)))),
        ),
        Misconception(
            name="always ReLU",
            says="It looks as if `activation` is not used: the layer always takes ReLU.",
            wrong=_wrong(FeedForward, takes=lambda _: "relu"),
        ),
        Misconception(
            name="always GELU",
            says="It looks as if `activation` is not used: the layer always takes GELU.",
            wrong=_wrong(FeedForward, takes=lambda _: "gelu"),
        ),
        Misconception(
            name="the other way round",
            says="The two matrices lead the other way round. `nn.Linear` is told first how many channels come in, then "
            "how many go out.",
            wrong=_OtherWayRound,
        ),
        Misconception(
            name="bias left on",
            says="There are biases although bias=False. `nn.Linear` has one unless it is told otherwise.",
            wrong=_wrong(FeedForward, has_bias=lambda _: True),
        ),
        Misconception(
            name="bias left off",
            says="There is no bias although bias=True: hand the argument on to both matrices.",
            wrong=_wrong(FeedForward, has_bias=lambda _: False),
        ),
        Misconception(
            name="bias handed to up only",
            says="`up` is told about the bias and `down` is not: it has one even with bias=False. `nn.Linear` has one "
            "unless it is told otherwise.",
            wrong=_told_only_on_the_way_up(down_has_bias=True),
        ),
        Misconception(
            name="bias on the way up only",
            says="With bias=True there is a bias on the way up and none on the way down. The argument is meant for "
            "both matrices.",
            wrong=_told_only_on_the_way_up(down_has_bias=False),
        ),
        Misconception(
            name="input added",
            says="The input is added to the result. That sum is the residual stream's business, which lesson 06 puts "
            "around this layer; here it would be counted twice.",
            wrong=_wrong(FeedForward, lambda self, x: x + self.down(self.activation(self.up(x)))),
        ),
    ),
    hints=(
        "Two matrices as `nn.Linear`: one from embed_dim up to ffn_dim, one down again. What has to stand between?",
        "In `__init__`: `self.up = nn.Linear(embed_dim, ffn_dim, bias=bias)`, and `self.down` the other way round. "
        "Keep `ACTIVATIONS[activation]`, which is a function, as `self.activation`.",
        "`forward` reads from the inside out: up, then the activation, then down.",
    ),
)

# --- 05.3 gate_units -------------------------------------------------------------------------------------------------


def _gate_cases(generator: torch.Generator) -> list[tuple[Any, ...]]:
    def draw(*shape: int) -> Tensor:
        return 2 * torch.randn(*shape, generator=generator)

    return [
        (torch.tensor([-1.0, 2.0, 0.5]), torch.tensor([5.0, -3.0, 0.25]), F.relu),
        (draw(2, 3), draw(2, 3), F.silu),
        (draw(4, 2, 3), draw(4, 2, 3), torch.tanh),
    ]


ONE_BY_ONE: dict[Function, Callable[[float], float]] = {
    F.relu: CURVES["relu"],
    F.silu: CURVES["silu"],
    torch.tanh: math.tanh,
}


def _gate_oracle(gate: Tensor, up: Tensor, activation: Function) -> Tensor:
    pairs = zip(gate.flatten().tolist(), up.flatten().tolist(), strict=True)
    return torch.tensor([ONE_BY_ONE[activation](g) * u for g, u in pairs], dtype=torch.float64).view(gate.shape)


def _explain_gate(function: Function, case: tuple[Any, ...]) -> str | None:
    gate, up, activation = case
    got, expected = function(*case).flatten(), _gate_oracle(*case).flatten()
    i = int((got.double() - expected).abs().nan_to_num(nan=math.inf).argmax())
    return (
        f"Gate {number(gate.flatten()[i])} and up {number(up.flatten()[i])} with {activation.__name__} gave "
        f"{number(got[i])}; {number(expected[i])} is needed."
    )


GATE_UNITS = Exercise(
    id="05.3",
    minutes=3,
    reference=gate_units,
    oracle=_gate_oracle,
    cases=_gate_cases,
    explain=_explain_gate,
    misconceptions=(
        Misconception(
            name="the wrong one is bent",
            says="`up` goes through the activation and `gate` does not. Which of the two decides, and which is decided "
            "about?",
            wrong=lambda gate, up, activation: gate * activation(up),
        ),
        Misconception(
            name="both bent",
            says="Both go through the activation. What passes the gate has to keep its sign and size: only the gate is "
            "bent.",
            wrong=lambda gate, up, activation: activation(gate) * activation(up),
        ),
        Misconception(
            name="product bent",
            says="The product goes through the activation, and then two negatives open the gate. Bend the gate first, "
            "then multiply.",
            wrong=lambda gate, up, activation: activation(gate * up),
        ),
        Misconception(
            name="not bent",
            says="Neither is bent: this is the bare product. It is a layer of its own (bilinear), but its gate never "
            "closes.",
            wrong=lambda gate, up, activation: gate * up,  # noqa: ARG005
        ),
        Misconception(
            name="added",
            says="The two are added. Then neither can switch the other off: that takes a product.",
            wrong=lambda gate, up, activation: activation(gate) + up,
        ),
        Misconception(
            name="up forgotten",
            says="`up` has no part in the result. The bent gate decides about something: about what?",
            wrong=lambda gate, up, activation: activation(gate),  # noqa: ARG005
        ),
        Misconception(
            name="sigmoid gate",
            says="The gate always goes through a sigmoid. That is the first gated unit (GLU); here the activation is "
            "an argument.",
            wrong=lambda gate, up, activation: torch.sigmoid(gate) * up,  # noqa: ARG005
        ),
        Misconception(
            name="always ReLU",
            says="The gate always goes through ReLU. Which curve bends it is not fixed: here the activation is an "
            "argument.",
            wrong=lambda gate, up, activation: F.relu(gate) * up,  # noqa: ARG005
        ),
        Misconception(
            name="always SiLU",
            says="The gate always goes through SiLU. That is SwiGLU, one gated unit of several; here the activation is "
            "an argument.",
            wrong=lambda gate, up, activation: F.silu(gate) * up,  # noqa: ARG005
        ),
    ),
    hints=(
        "One line. One of the two is bent by the activation; then they meet, number by number.",
        "To switch something off is to multiply it by zero.",
        "`activation(gate)` is how far each gate is open. Multiply it by what wants to pass.",
    ),
)

# --- 05.4 GatedFeedForward -------------------------------------------------------------------------------------------


def _gated_oracle(build: Build, x: Tensor) -> Tensor:
    w, x = drawn_weights(GatedFeedForward, build), x.double()
    opened = _project(w, "gate", x).apply_(CURVES[build["activation"]])
    return _project(w, "down", opened * _project(w, "up", x))


GATED_FEED_FORWARD = ModuleExercise(
    id="05.4",
    minutes=5,
    reference=GatedFeedForward,
    oracle=_gated_oracle,
    cases=_layer_cases,
    misconceptions=(
        Misconception(
            name="no gate",
            says="`gate` has no part in the result: this is the plain layer, with a matrix to spare.",
            wrong=_wrong(GatedFeedForward, lambda self, x: self.down(self.activation(self.up(x)))),
        ),
        Misconception(
            name="gate bent twice",
            says="The gate goes through the activation twice. `gate_units` takes it as it is, not yet bent.",
            wrong=_wrong(
                GatedFeedForward,
                lambda self, x: self.down(gate_units(self.activation(self.gate(x)), self.up(x), self.activation)),
            ),
        ),
        Misconception(
            name="gate and up swapped",
            says="The activation bends `up`. It is `gate` that decides: weights trained in one order are useless in "
            "the other.",
            wrong=_wrong(
                GatedFeedForward, lambda self, x: self.down(gate_units(self.up(x), self.gate(x), self.activation))
            ),
        ),
        Misconception(
            name="both bent",
            says="Both projections go through the activation. Only the gate does.",
            wrong=_wrong(
                GatedFeedForward, lambda self, x: self.down(self.activation(self.gate(x)) * self.activation(self.up(x)))
            ),
        ),
        Misconception(
            name="no activation",
            says="The two projections are multiplied as they are. Without its activation the gate never closes.",
            wrong=_wrong(GatedFeedForward, lambda self, x: self.down(self.gate(x) * self.up(x))),
        ),
        Misconception(
            name="one projection bent and gated",
            says="`up` has no part in the result: this is the plain layer, with a matrix to spare.",
            wrong=_wrong(GatedFeedForward, lambda self, x: self.down(self.activation(self.gate(x)))),
        ),
        Misconception(
            name="gate applied to itself",
            says="The projection is its own gate. The gate has a matrix to itself, so that one thing can decide about "
            "another.",
            wrong=_wrong(GatedFeedForward, lambda self, x: self.down(self.activation(self.up(x)) * self.up(x))),
        ),
        Misconception(
            name="added",
            says="The gate and the other projection are added. Only a product can switch something off.",
            wrong=_wrong(GatedFeedForward, lambda self, x: self.down(self.activation(self.gate(x)) + self.up(x))),
        ),
        Misconception(
            name="sigmoid gate",
            says="The gate goes through a sigmoid whatever `activation` says. That is the first gated unit (GLU) of "
            "2016; take the activation that was asked for.",
            wrong=_wrong(GatedFeedForward, lambda self, x: self.down(torch.sigmoid(self.gate(x)) * self.up(x))),
        ),
        Misconception(
            name="always SiLU",
            says="It looks as if `activation` is not used: the gate always takes SiLU. That is SwiGLU; GeGLU and its "
            "relatives differ in nothing else.",
            wrong=_wrong(GatedFeedForward, takes=lambda _: "silu"),
        ),
        Misconception(
            name="exact GELU for tanh GELU",
            says='With activation="gelu_tanh" the gate takes the exact GELU. They differ in the fourth decimal only, '
            "and yet a model trained with one is not quite itself with the other.",
            wrong=_wrong(GatedFeedForward, takes=lambda activation: activation.removesuffix("_tanh")),
        ),
        Misconception(
            name="bias left on",
            says="There are biases although bias=False. `nn.Linear` has one unless it is told otherwise.",
            wrong=_wrong(GatedFeedForward, has_bias=lambda _: True),
        ),
        Misconception(
            name="bias left off",
            says="There is no bias although bias=True: hand the argument on to all three matrices.",
            wrong=_wrong(GatedFeedForward, has_bias=lambda _: False),
        ),
        Misconception(
            name="input added",
            says="The input is added to the result. That is the residual stream's business, which lesson 06 puts "
            "around this layer.",
            wrong=_wrong(GatedFeedForward, lambda self, x: x + GatedFeedForward.forward(self, x)),
        ),
    ),
    hints=(
        "It is `FeedForward` with one matrix more. Where does the second way up begin, and where do both ways meet?",
        "Three matrices: `gate` and `up` lead from embed_dim to ffn_dim, `down` leads back. Both ways up start at x.",
        "`gate_units(self.gate(x), self.up(x), self.activation)` is the whole inside; `down` goes around it.",
    ),
)

# --- 05.5 gated_ffn_dim ----------------------------------------------------------------------------------------------


def _width_oracle(ffn_dim: int, multiple_of: int = 1) -> int:
    """Try every width: three matrices of it against two of the plain one."""
    widths = range(multiple_of, 2 * ffn_dim + multiple_of, multiple_of)
    return min(widths, key=lambda width: abs(3 * width - 2 * ffn_dim))


def _explain_width(function: Function, case: tuple[Any, ...]) -> str | None:
    got, expected = function(*case), _width_oracle(*case)
    return (
        f"gated_ffn_dim({', '.join(map(str, case))}) gave {written(got)}: three matrices of it hold {written(3 * got)} "
        f"numbers for each channel, two of the plain width {2 * case[0]}. {expected} is needed."
    )


def _not_whole(function: Function) -> str | None:
    got = function(12)
    if isinstance(got, Integral):
        return None
    return f"gated_ffn_dim(12) gave {got!r}. A width is a whole number: `nn.Linear` takes no other."


GATED_FFN_DIM = Exercise(
    id="05.5",
    minutes=4,
    reference=gated_ffn_dim,
    oracle=_width_oracle,
    cases=lambda generator: [(12,), (100,), (768,), (1000, 64), (16384, 256)],  # noqa: ARG005
    explain=_explain_width,
    invariants=(Invariant(name="whole numbers", broken=_not_whole),),
    misconceptions=(
        Misconception(
            name="width kept",
            says="The gated layer keeps the plain one's width. With its third matrix it is then half as large again, "
            "and the comparison is lost before it begins.",
            wrong=lambda ffn_dim, multiple_of=1: round(ffn_dim / multiple_of) * multiple_of,
        ),
        Misconception(
            name="half",
            says="The width is halved, as if the two matrices on the way up were all there is. Count the one on the "
            "way down as well.",
            wrong=lambda ffn_dim, multiple_of=1: round(ffn_dim / (2 * multiple_of)) * multiple_of,
        ),
        Misconception(
            name="three halves",
            says="The fraction is upside down: more matrices have to be narrower.",
            wrong=lambda ffn_dim, multiple_of=1: round(1.5 * ffn_dim / multiple_of) * multiple_of,
        ),
        Misconception(
            name="three halves, multiple ignored",
            says="The fraction is upside down: more matrices have to be narrower. And `multiple_of` has no part in "
            "the result yet.",
            wrong=lambda ffn_dim, multiple_of=1: round(1.5 * ffn_dim),  # noqa: ARG005
        ),
        Misconception(
            name="four thirds",
            says="Four thirds makes the gated layer wider than the plain one, although it has a matrix more. Count "
            "again how many matrices each of them has.",
            wrong=lambda ffn_dim, multiple_of=1: round(4 * ffn_dim / (3 * multiple_of)) * multiple_of,
        ),
        Misconception(
            name="eight thirds",
            says="Eight thirds is the factor from embed_dim, where the plain layer has four. This function begins at "
            "the plain layer's width.",
            wrong=lambda ffn_dim, multiple_of=1: round(8 * ffn_dim / (3 * multiple_of)) * multiple_of,
        ),
        Misconception(
            name="rounded down",
            says="It rounds down. The nearest multiple comes closer to equal.",
            wrong=lambda ffn_dim, multiple_of=1: 2 * ffn_dim // (3 * multiple_of) * multiple_of,
        ),
        Misconception(
            name="rounded up",
            says="It rounds up, as Llama's own code does. The nearest multiple comes closer to equal.",
            wrong=lambda ffn_dim, multiple_of=1: math.ceil(2 * ffn_dim / (3 * multiple_of)) * multiple_of,
        ),
        Misconception(
            name="multiple ignored",
            says="`multiple_of` is ignored.",
            wrong=lambda ffn_dim, multiple_of=1: round(2 * ffn_dim / 3),  # noqa: ARG005
        ),
        Misconception(
            name="rounded down, multiple ignored",
            says="Two thirds is right. Round to the nearest whole number and not down, then let `multiple_of` "
            "have its say.",
            wrong=lambda ffn_dim, multiple_of=1: 2 * ffn_dim // 3,  # noqa: ARG005
        ),
        Misconception(
            name="not rounded",
            says="The width is not rounded, and a layer cannot have a fraction of a neuron.",
            wrong=lambda ffn_dim, multiple_of=1: 2 * ffn_dim / 3,  # noqa: ARG005
        ),
        Misconception(
            name="number of multiples",
            says="This is how many multiples fit, not the width that they make.",
            wrong=lambda ffn_dim, multiple_of=1: round(2 * ffn_dim / (3 * multiple_of)),
        ),
    ),
    hints=(
        "A plain layer has 2 · embed_dim · ffn_dim numbers. How many has a gated one of width w? Set them equal.",
        "embed_dim cancels, and w is a fixed fraction of ffn_dim. How many times does multiple_of go into that? Round, "
        "and multiply back.",
        "`round(2 * ffn_dim / (3 * multiple_of))` says how many multiples; the width is that many times multiple_of.",
    ),
)

EXERCISES = (GELU, FEED_FORWARD, GATE_UNITS, GATED_FEED_FORWARD, GATED_FFN_DIM)

# --- Quiz ------------------------------------------------------------------------------------------------------------

QUIZ = Quiz(
    (
        Question(
            "A feed-forward layer is built without its activation, and twice as wide. What can it learn?",
            (
                Option(
                    "More than before: there are more parameters.",
                    "More numbers, the same functions. Section 1 multiplied three matrices into one and lost nothing.",
                ),
                Option(
                    "What a single matrix can, whatever its width.",
                    "Two matrices in a row multiply out to one. Width adds nothing that is not already a weighted sum "
                    "of the channels.",
                    is_right=True,
                ),
                Option(
                    "Nothing at all: no gradient passes.",
                    "Gradients pass a matrix very well. It learns, but only what a matrix can hold.",
                ),
            ),
        ),
        Question(
            "How does a feed-forward layer let one token learn from another?",
            (
                Option(
                    "Through its hidden neurons, which all tokens share.",
                    "They share the weights of the neurons, and each token gets strengths of its own. Nothing that one "
                    "token computes reaches another.",
                ),
                Option(
                    "Through the activation, which compares a token with the average.",
                    "An activation sees one number. Comparing with an average is what norms do, and they too take one "
                    "token at a time (lesson 06).",
                ),
                Option(
                    "Not at all: it treats each token by itself.",
                    "Moving things between tokens is attention's part. You changed one token and saw one output move.",
                    is_right=True,
                ),
            ),
        ),
        Question(
            "Why is the width of a gated layer usually two thirds of a plain one's?",
            (
                Option(
                    "It has three matrices instead of two, and this gives both the same number of parameters.",
                    "3 · w = 2 · ffn_dim. Comparing at equal width would compare a larger model with a smaller one.",
                    is_right=True,
                ),
                Option(
                    "A gate is closed a third of the time, so a third of the neurons would be idle.",
                    "How often gates are closed depends on the text and on training. The fraction is bookkeeping, "
                    "nothing more.",
                ),
                Option(
                    "Wider gated layers are unstable.",
                    "They train well at any width. The fraction only keeps comparisons fair.",
                ),
            ),
        ),
        Question(
            "The twenty strongest triggers of a neuron are all words for water. What do you know?",
            (
                Option(
                    "It predicts words for water.",
                    "What fires a neuron is its key. What it promotes is its value, and that is mostly something that "
                    "comes next: a sea is rarely followed by a pond.",
                ),
                Option(
                    "Where it answers most strongly, in this text. What it is needed for is another question.",
                    "It also answers, more weakly, to thousands of other tokens, and the layer's output is a sum over "
                    "many neurons. Silence it and measure.",
                    is_right=True,
                ),
                Option(
                    "The model keeps its concept of water in this neuron.",
                    "Then silencing it should cost the model its water. Usually it costs next to nothing: other "
                    "neurons answer to the same words.",
                ),
            ),
        ),
    )
)
