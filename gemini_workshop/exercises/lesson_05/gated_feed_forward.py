"""Exercise 05.4, ``GatedFeedForward``: its cases, and what learners get wrong."""

import torch
from torch import Tensor

from gemini_workshop.exercises.core.battery.declaration import Battery
from gemini_workshop.exercises.core.exercise import Say
from gemini_workshop.exercises.core.modules import Build, ModuleExercise, drawn_weights
from gemini_workshop.exercises.lesson_05.gate_units import GATE_UNITS
from gemini_workshop.exercises.lesson_05.tools import CURVES, layer_cases, layer_cases_beyond, project, told
from gemini_workshop.models.feedforward import GatedFeedForward, gate_units


def _oracle(build: Build, x: Tensor) -> Tensor:
    w, x = drawn_weights(GatedFeedForward, build), x.double()
    opened = project(w, "gate", x).apply_(CURVES[build["activation"]])
    return project(w, "down", opened * project(w, "up", x))


class _Plain(GatedFeedForward):
    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate(x), self.up(x)
        return self.down(self.activation(gate) * up)


GATED_FEED_FORWARD = ModuleExercise(
    id="05.4",
    minutes=5,
    difficulty=2,
    importance=5,
    reference=GatedFeedForward,
    oracle=_oracle,
    cases=layer_cases,
    plain=_Plain,
    battery=Battery(beyond=layer_cases_beyond),
    misconceptions={
        "no gate": Say("`gate` is not used: this is the plain layer, with an extra matrix.").to(
            GatedFeedForward, forward=lambda self, x: self.down(self.activation(self.up(x)))
        ),
        "gate activated twice": Say(
            "The gate goes through the activation twice. `gate_units` takes it before the activation."
        ).to(
            GatedFeedForward,
            forward=lambda self, x: self.down(gate_units(self.activation(self.gate(x)), self.up(x), self.activation)),
        ),
        "gate and up swapped": Say(
            "The activation is applied to `up`. It is `gate` that decides: weights trained in one order are useless "
            "in the other."
        ).to(
            GatedFeedForward, forward=lambda self, x: self.down(gate_units(self.up(x), self.gate(x), self.activation))
        ),
        "both activated": Say("Both projections go through the activation. Only the gate does.").to(
            GatedFeedForward,
            forward=lambda self, x: self.down(self.activation(self.gate(x)) * self.activation(self.up(x))),
        ),
        "no activation": Say(
            "The two projections are multiplied directly. Without its activation the gate never closes."
        ).to(GatedFeedForward, forward=lambda self, x: self.down(self.gate(x) * self.up(x))),
        "one projection activated and gated": Say(
            "`up` is not used: this is the plain layer, with an extra matrix."
        ).to(GatedFeedForward, forward=lambda self, x: self.down(self.activation(self.gate(x)))),
        "gate applied to itself": Say(
            "The projection is its own gate. The gate has its own matrix, so that one thing can decide about another."
        ).to(GatedFeedForward, forward=lambda self, x: self.down(self.activation(self.up(x)) * self.up(x))),
        "added": Say("The gate and the other projection are added. Only a product can switch something off.").to(
            GatedFeedForward, forward=lambda self, x: self.down(self.activation(self.gate(x)) + self.up(x))
        ),
        "sigmoid gate": Say(
            "The gate goes through a sigmoid whatever `activation` says. That is the first gated unit (GLU) of 2016; "
            "take the activation that was asked for."
        ).to(GatedFeedForward, forward=lambda self, x: self.down(torch.sigmoid(self.gate(x)) * self.up(x))),
        "always SiLU": Say(
            "It looks as if `activation` is not used: the gate always takes SiLU. That is SwiGLU; GeGLU and its "
            "relatives differ in nothing else."
        ).to(told(GatedFeedForward, activation=lambda _: "silu")),
        "exact GELU for tanh GELU": Say(
            'With activation="gelu_tanh" the gate takes the exact GELU. They differ in the fourth decimal only, but a '
            "model trained with one is not quite the same with the other."
        ).to(told(GatedFeedForward, activation=lambda activation: activation.removesuffix("_tanh"))),
        "bias left on": Say("There are biases although bias=False. `nn.Linear` has one by default.").to(
            told(GatedFeedForward, bias=lambda _: True)
        ),
        "bias left off": Say("There is no bias although bias=True: pass the argument to all three matrices.").to(
            told(GatedFeedForward, bias=lambda _: False)
        ),
        "input added": Say(
            "The input is added to the result. That sum belongs to the residual stream, which lesson 06 puts around "
            "this layer."
        ).to(GatedFeedForward, forward=lambda self, x: x + GatedFeedForward.forward(self, x)),
    },
    parts=(GATE_UNITS,),
    hints=(
        "It is `FeedForward` with one more matrix. Where does the second way up begin, and where do both ways meet?",
        "Three matrices: `gate` and `up` lead from embed_dim to ffn_dim, `down` leads back. Both ways up start at x.",
        "`gate_units(self.gate(x), self.up(x), self.activation)` is the whole inside; `down` goes around it.",
    ),
)
