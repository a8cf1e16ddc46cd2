"""Exercise 05.2, ``FeedForward``: its cases, and what learners get wrong."""

from typing import Any

from torch import Tensor, nn

from gemini_workshop.exercises.core.battery.declaration import Battery
from gemini_workshop.exercises.core.exercise import Function, Say
from gemini_workshop.exercises.core.modules import Build, ModuleExercise, drawn_weights
from gemini_workshop.exercises.lesson_05.tools import CURVES, layer_cases, layer_cases_beyond, project, told
from gemini_workshop.models.feedforward import FeedForward


def _oracle(build: Build, x: Tensor) -> Tensor:
    """Every neuron by itself: how strongly it answers, times what it says."""
    w, x = drawn_weights(FeedForward, build), x.double()
    strengths = project(w, "up", x).apply_(CURVES[build["activation"]])
    return project(w, "down", strengths)


def _down(*, bias: bool) -> Function:
    """An ``__init__`` in which `down` has a bias or has none, whatever is asked for."""

    def build(self: Any, embed_dim: int, ffn_dim: int, **others: Any) -> None:
        FeedForward.__init__(self, embed_dim, ffn_dim, **others)
        self.down = nn.Linear(ffn_dim, embed_dim, bias=bias)

    return build


FEED_FORWARD = ModuleExercise(
    id="05.2",
    minutes=7,
    difficulty=2,
    importance=5,
    reference=FeedForward,
    oracle=_oracle,
    cases=layer_cases,
    battery=Battery(beyond=layer_cases_beyond),
    misconceptions={
        "no activation": Say("Nothing bends between the two matrices, so they are one matrix, as in section 1.").to(
            FeedForward, forward=lambda self, x: self.down(self.up(x))
        ),
        "activation at the end": Say(
            "The activation comes after the second matrix. Between the two there is none, and they are one matrix; "
            "and the layer can no longer subtract anything from the stream."
        ).to(FeedForward, forward=lambda self, x: self.activation(self.down(self.up(x)))),
        "activation twice": Say(
            "The activation is applied again at the end. What a layer adds to the stream has to be free to be "
            "positive or negative, so the last step is a plain matrix."
        ).to(FeedForward, forward=lambda self, x: self.activation(self.down(self.activation(self.up(x))))),
        "activation first": Say(
            "The activation is applied to the input, channel by channel. The channels have to be mixed first: a "
            "neuron bends a weighted sum of them."
        ).to(FeedForward, forward=lambda self, x: self.down(self.up(self.activation(x)))),
        "always ReLU": Say("It looks as if `activation` is not used: the layer always takes ReLU.").to(
            told(FeedForward, activation=lambda _: "relu")
        ),
        "always GELU": Say("It looks as if `activation` is not used: the layer always takes GELU.").to(
            told(FeedForward, activation=lambda _: "gelu")
        ),
        "the other way round": Say(
            "The two matrices are the wrong way round. `nn.Linear` takes first how many channels come in, then how "
            "many go out."
        ).to(
            FeedForward,
            __init__=lambda self, embed_dim, ffn_dim, **others: FeedForward.__init__(
                self, ffn_dim, embed_dim, **others
            ),
        ),
        "bias left on": Say("There are biases although bias=False. `nn.Linear` has one by default.").to(
            told(FeedForward, bias=lambda _: True)
        ),
        "bias left off": Say("There is no bias although bias=True: pass the argument to both matrices.").to(
            told(FeedForward, bias=lambda _: False)
        ),
        "bias passed to up only": Say(
            "`bias` is passed to `up` and not to `down`, which has one even with bias=False. `nn.Linear` has one by "
            "default."
        ).to(FeedForward, __init__=_down(bias=True)),
        "bias on the way up only": Say(
            "With bias=True there is a bias on the way up and none on the way down. The argument is meant for both "
            "matrices."
        ).to(FeedForward, __init__=_down(bias=False)),
        "input added": Say(
            "The input is added to the result. That sum belongs to the residual stream, which lesson 06 puts around "
            "this layer; here it would be counted twice."
        ).to(FeedForward, forward=lambda self, x: x + self.down(self.activation(self.up(x)))),
    },
    hints=(
        "Two matrices as `nn.Linear`: one from embed_dim up to ffn_dim, one down again. What has to come between?",
        "In `__init__`: `self.up = nn.Linear(embed_dim, ffn_dim, bias=bias)`, and `self.down` the other way round. "
        "Keep `ACTIVATIONS[activation]`, which is a function, as `self.activation`.",
        "`forward` reads from the inside out: up, then the activation, then down.",
    ),
)
