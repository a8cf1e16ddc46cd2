"""Exercise 05.3, ``gate_units``: its cases, and what learners get wrong."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from gemini_workshop.exercises.core.battery.declaration import Battery
from gemini_workshop.exercises.core.comparison import number, worst_index
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Say
from gemini_workshop.exercises.core.tools import drawing
from gemini_workshop.exercises.lesson_05.tools import CURVES
from gemini_workshop.models.feedforward import gate_units


def _cases(generator: torch.Generator) -> list[Arguments]:
    draw = drawing(generator, scale=2.0)
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


def _oracle(gate: Tensor, up: Tensor, activation: Function) -> Tensor:
    pairs = zip(gate.flatten().tolist(), up.flatten().tolist(), strict=True)
    return torch.tensor([ONE_BY_ONE[activation](g) * u for g, u in pairs], dtype=torch.float64).view(gate.shape)


def _explain(function: Function, case: Arguments) -> str | None:
    gate, up, activation = case
    got, expected = function(*case), _oracle(*case)
    i = worst_index(got, expected)
    return (
        f"Gate {number(gate[i])} and up {number(up[i])} with {activation.__name__} gave "
        f"{number(got[i])}; {number(expected[i])} is needed."
    )


GATE_UNITS = Exercise(
    id="05.3",
    minutes=3,
    difficulty=1,
    importance=4,
    reference=gate_units,
    oracle=_oracle,
    cases=_cases,
    explain=_explain,
    battery=Battery(beyond=lambda generator: [(*torch.randn(2, 3, 1, 2, 90, generator=generator), torch.tanh)]),
    misconceptions={
        "activation on the wrong one": Say(
            "`up` goes through the activation and `gate` does not. Which of the two is the gate, and which is what "
            "passes through it?"
        ).to(lambda gate, up, activation: gate * activation(up)),
        "both activated": Say(
            "Both go through the activation. What passes the gate has to keep its sign and size: only the gate is "
            "activated."
        ).to(lambda gate, up, activation: activation(gate) * activation(up)),
        "product activated": Say(
            "The product goes through the activation, and then two negatives open the gate. Activate the gate first, "
            "then multiply."
        ).to(lambda gate, up, activation: activation(gate * up)),
        "no activation": Say(
            "Neither goes through the activation: this is the bare product. Such a layer exists (bilinear), but its "
            "gate never closes."
        ).to(lambda gate, up, activation: gate * up),
        "added": Say("The two are added. Then neither can switch the other off: that takes a product.").to(
            lambda gate, up, activation: activation(gate) + up
        ),
        "up forgotten": Say("`up` is not used. The gate decides how much of something passes: of what?").to(
            lambda gate, up, activation: activation(gate)
        ),
        "sigmoid gate": Say(
            "The gate always goes through a sigmoid. That is the first gated unit (GLU); here the activation is an "
            "argument."
        ).to(lambda gate, up, activation: torch.sigmoid(gate) * up),
        "always ReLU": Say("The gate always goes through ReLU. The activation is not fixed: it is an argument.").to(
            lambda gate, up, activation: F.relu(gate) * up
        ),
        "always SiLU": Say(
            "The gate always goes through SiLU. That is SwiGLU, one of several gated units; here the activation is an "
            "argument."
        ).to(lambda gate, up, activation: F.silu(gate) * up),
    },
    hints=(
        "One line. One of the two goes through the activation; then they are multiplied, number by number.",
        "To switch something off is to multiply it by zero.",
        "`activation(gate)` is how far each gate is open. Multiply it by what is to pass.",
    ),
)
