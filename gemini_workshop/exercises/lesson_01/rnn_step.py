"""Exercise 01.1, ``rnn_step``: its cases, and what learners get wrong."""

import torch
from torch import Tensor, nn

from gemini_workshop.exercises.core.battery.declaration import Battery
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Say
from gemini_workshop.exercises.core.tools import drawing
from gemini_workshop.exercises.lesson_01.tools import load
from gemini_workshop.models.recurrent import rnn_step


def _cases(generator: torch.Generator) -> list[Arguments]:
    draw = drawing(generator)
    small = (
        torch.tensor([1.0, -1.0]),
        torch.tensor([0.5, -0.5, 1.0]),
        torch.tensor([[1.0, 0.5], [0.0, 1.0], [-1.0, 0.5]]),
        torch.tensor([[0.0, 1.0, 0.0], [0.5, 0.0, -0.5], [1.0, 0.5, 0.0]]),
        torch.tensor([0.25, 0.0, -0.25]),
    )
    return [
        small,
        (draw(4, 5), draw(4, 3), draw(3, 5), draw(3, 3), draw(3)),
        (draw(2, 3, 6), draw(2, 3, 5), draw(5, 6), draw(5, 5), draw(5)),
    ]


def _beyond(generator: torch.Generator) -> list[Arguments]:
    draw = drawing(generator, scale=0.1)
    return [(draw(2, 1, 3, 70), draw(2, 1, 3, 90), draw(90, 70), draw(90, 90), draw(90))]


def _oracle(x: Tensor, state: Tensor, input_weight: Tensor, recurrent_weight: Tensor, bias: Tensor) -> Tensor:
    """PyTorch's own cell, in float64."""
    cell = nn.RNNCell(x.shape[-1], state.shape[-1], dtype=torch.float64)
    with torch.no_grad():
        load(cell, input_weight, recurrent_weight, bias)
        new = cell(x.double().reshape(-1, x.shape[-1]), state.double().reshape(-1, state.shape[-1]))
    return new.reshape(state.shape)


RNN_STEP = Exercise(
    id="01.1",
    minutes=5,
    difficulty=2,
    importance=3,
    reference=rnn_step,
    oracle=_oracle,
    cases=_cases,
    battery=Battery(
        by_name=("input_weight", "recurrent_weight", "bias"),
        beyond=_beyond,
    ),
    misconceptions={
        "not squashed": Say(
            "Nothing keeps these numbers between -1 and 1, and over many steps they can run away. What surrounds the "
            "sum in the formula?"
        ).to(lambda x, h, W, U, b: x @ W.T + h @ U.T + b),
        "recurrent weights transposed": Say(
            "The recurrent weights are transposed. They are square, so no shape complains. Their row i belongs to "
            "unit i of the *new* state."
        ).to(lambda x, h, W, U, b: torch.tanh(x @ W.T + h @ U + b)),
        "old state ignored": Say(
            "The new state does not depend on the old one: this cell remembers nothing. Where does `state` enter?"
        ).to(lambda x, h, W, U, b: torch.tanh(x @ W.T + b)),
        "input ignored": Say("The new state does not depend on what is read. Where does `x` enter?").to(
            lambda x, h, W, U, b: torch.tanh(h @ U.T + b)
        ),
        "bias left out": Say(
            "The bias is missing: from an input and a state of zeros this cell can never reach another state."
        ).to(lambda x, h, W, U, b: torch.tanh(x @ W.T + h @ U.T)),
        "bias after the tanh": Say(
            "The bias is added after the tanh, so the state can leave (-1, 1). It belongs to the sum inside."
        ).to(lambda x, h, W, U, b: torch.tanh(x @ W.T + h @ U.T) + b),
        "only the input squashed": Say(
            "The tanh covers the input's part only. The state's part is added outside, where nothing bounds it."
        ).to(lambda x, h, W, U, b: torch.tanh(x @ W.T + b) + h @ U.T),
        "squashed one by one": Say(
            "The two parts are squashed one by one and then added. They have to be weighed against each other first: "
            "one tanh around the whole sum."
        ).to(lambda x, h, W, U, b: torch.tanh(x @ W.T) + torch.tanh(h @ U.T) + b),
        "state not weighted": Say(
            "The old state is added as it is. Its weights are missing: they let one unit act on another."
        ).to(lambda x, h, W, U, b: torch.tanh(x @ W.T + h + b)),
        "state added once more": Say(
            "The old state is added to the result once more. Such a shortcut is a fine idea (lesson 06), but it makes "
            "a different cell."
        ).to(lambda x, h, W, U, b: h + torch.tanh(x @ W.T + h @ U.T + b)),
        "sigmoid": Say(
            "It looks like a sigmoid, whose values are between 0 and 1. This cell's state can be negative too."
        ).to(lambda x, h, W, U, b: torch.sigmoid(x @ W.T + h @ U.T + b)),
        "cut off": Say(
            "Sums beyond -1 and 1 are cut off there, and the others stay as they are. tanh has no such corners: it "
            "bends smoothly, and its slope is never 0."
        ).to(lambda x, h, W, U, b: (x @ W.T + h @ U.T + b).clamp(-1, 1)),
        "ReLU": Say(
            "It looks like a ReLU: negative sums become 0 and large ones stay large. Here the state is kept between "
            "-1 and 1 on both sides."
        ).to(lambda x, h, W, U, b: torch.relu(x @ W.T + h @ U.T + b)),
    },
    hints=(
        "A sum of three terms inside one tanh: what is read, what was kept, and the bias.",
        "A vector is a row here, so `x @ input_weight.T` has one number for each unit of the state. The old state "
        "goes the same way through its own weights.",
        "`torch.tanh(x @ input_weight.T + ... + bias)`: what is missing has `state` and `recurrent_weight` in it.",
    ),
)
