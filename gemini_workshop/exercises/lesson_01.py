"""Lesson 01, recurrent networks: its exercises, what is asked of an answer, and what learners get wrong."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gemini_workshop.exercises.attempt import Attempt
from gemini_workshop.exercises.comparison import number, same
from gemini_workshop.exercises.core import Exercise, Invariant, Misconception
from gemini_workshop.exercises.quiz import Option, Question, Quiz
from gemini_workshop.models.recurrent import gradient_norm_by_distance, lstm_step, rnn_step, unroll

Function = Callable[..., Any]


@dataclass(frozen=True)
class _Named:
    """A function to hand to a learner's code, which a verdict shows by its text and not by its address."""

    text: str
    function: Function

    def __call__(self, *args: Any) -> Any:
        return self.function(*args)

    def __repr__(self) -> str:
        return self.text

    def __deepcopy__(self, memo: object) -> "_Named":  # a function is not copied either
        return self


# --- 01.1 rnn_step ---------------------------------------------------------------------------------------------------


def _rnn_cases(generator: torch.Generator) -> list[tuple[Any, ...]]:
    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

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


def _rnn_oracle(x: Tensor, state: Tensor, input_weight: Tensor, recurrent_weight: Tensor, bias: Tensor) -> Tensor:
    """PyTorch's own cell, in float64."""
    cell = nn.RNNCell(x.shape[-1], state.shape[-1], dtype=torch.float64)
    with torch.no_grad():
        _load(cell, input_weight, recurrent_weight, bias)
        new = cell(x.double().reshape(-1, x.shape[-1]), state.double().reshape(-1, state.shape[-1]))
    return new.reshape(state.shape)


def _load(cell: nn.RNNCell | nn.LSTMCell, input_weight: Tensor, recurrent_weight: Tensor, bias: Tensor) -> None:
    cell.weight_ih.copy_(input_weight)
    cell.weight_hh.copy_(recurrent_weight)
    cell.bias_ih.copy_(bias)
    cell.bias_hh.zero_()


RNN_STEP = Exercise(
    id="01.1",
    minutes=5,
    reference=rnn_step,
    oracle=_rnn_oracle,
    cases=_rnn_cases,
    misconceptions=(
        Misconception(
            name="not squashed",
            says="Nothing keeps these numbers between -1 and 1, and over many steps they can run away. What stands "
            "around the sum in the formula?",
            wrong=lambda x, h, W, U, b: x @ W.T + h @ U.T + b,
        ),
        Misconception(
            name="recurrent weights turned over",
            says="The recurrent weights are used turned over, columns for rows. They are square, so no shape "
            "complains. Row i of them belongs to unit i of the *new* state.",
            wrong=lambda x, h, W, U, b: torch.tanh(x @ W.T + h @ U + b),
        ),
        Misconception(
            name="old state ignored",
            says="The new state does not depend on the old one: this cell remembers nothing. Where does `state` enter?",
            wrong=lambda x, h, W, U, b: torch.tanh(x @ W.T + b),  # noqa: ARG005
        ),
        Misconception(
            name="input ignored",
            says="The new state does not depend on what is read. Where does `x` enter?",
            wrong=lambda x, h, W, U, b: torch.tanh(h @ U.T + b),  # noqa: ARG005
        ),
        Misconception(
            name="bias left out",
            says="The bias is missing: from an input and a state of zeros this cell can never come to another state.",
            wrong=lambda x, h, W, U, b: torch.tanh(x @ W.T + h @ U.T),  # noqa: ARG005
        ),
        Misconception(
            name="bias after the tanh",
            says="The bias is added after the tanh, so the state can leave (-1, 1). It belongs to the sum inside.",
            wrong=lambda x, h, W, U, b: torch.tanh(x @ W.T + h @ U.T) + b,
        ),
        Misconception(
            name="only the input squashed",
            says="The tanh covers the input's part only. The state's part is added outside, where nothing bounds it.",
            wrong=lambda x, h, W, U, b: torch.tanh(x @ W.T + b) + h @ U.T,
        ),
        Misconception(
            name="squashed one by one",
            says="The two parts are squashed one by one and then added. They are to be weighed against each other "
            "first: one tanh around the whole sum.",
            wrong=lambda x, h, W, U, b: torch.tanh(x @ W.T) + torch.tanh(h @ U.T) + b,
        ),
        Misconception(
            name="state not weighted",
            says="The old state is added as it is. Its weights are missing: they let one unit act on another.",
            wrong=lambda x, h, W, U, b: torch.tanh(x @ W.T + h + b),  # noqa: ARG005
        ),
        Misconception(
            name="state added once more",
            says="The old state is added to the result once more. Such a shortcut is a fine idea (lesson 06), but it "
            "is another cell.",
            wrong=lambda x, h, W, U, b: h + torch.tanh(x @ W.T + h @ U.T + b),
        ),
        Misconception(
            name="sigmoid",
            says="It looks like a sigmoid, whose values lie between 0 and 1. This cell's state can be negative too.",
            wrong=lambda x, h, W, U, b: torch.sigmoid(x @ W.T + h @ U.T + b),
        ),
        Misconception(
            name="ReLU",
            says="It looks like a ReLU: negative sums become 0 and large ones stay large. Here the state is kept "
            "between -1 and 1 on both sides.",
            wrong=lambda x, h, W, U, b: torch.relu(x @ W.T + h @ U.T + b),
        ),
    ),
    hints=(
        "A sum of three terms inside one tanh: what is read, what was kept, and the bias.",
        "A vector stands in a row here, so `x @ input_weight.T` has one number for each unit of the state. The old "
        "state goes the same way through its own weights.",
        "`torch.tanh(x @ input_weight.T + ... + bias)`: what is missing has `state` and `recurrent_weight` in it.",
    ),
)

# --- 01.2 unroll -----------------------------------------------------------------------------------------------------


def _unroll_cases(generator: torch.Generator) -> list[tuple[Any, ...]]:
    halve = _Named("lambda x, state: state / 2 + x", lambda x, state: state / 2 + x)
    bend = _Named("lambda x, state: (x + 2 * state).tanh()", lambda x, state: (x + 2 * state).tanh())
    pair = _Named(
        "lambda x, state: (state[0] + x, state[1] / 2 - state[0])",
        lambda x, state: (state[0] + x, state[1] / 2 - state[0]),
    )

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    return [
        (halve, torch.tensor([[[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]]]), torch.tensor([[8.0, 0.0]])),
        (bend, draw(2, 4, 3), draw(2, 3)),
        (pair, draw(4, 5, 2), (draw(4, 2), draw(4, 2))),
    ]


def _unroll_oracle(step: Function, inputs: Tensor, state: Any) -> list[Any]:
    """Each state from the very beginning, as a fold over the inputs so far."""
    return [reduce(lambda s, t: step(inputs[:, t], s), range(last + 1), state) for last in range(inputs.shape[1])]


def _explain_unroll(function: Function, case: tuple[Any, ...]) -> str | None:
    got, expected = function(*case), _unroll_oracle(*case)
    if not isinstance(got, list | tuple) or len(got) != len(expected):
        return None
    t = next(t for t, pair in enumerate(zip(got, expected, strict=True)) if not same(*pair))
    if not isinstance(expected[t], Tensor) or not isinstance(got[t], Tensor) or expected[t].numel() > 6:
        return f"The state after input {t} is not what it should be (counting from 0): {case[0]!r} was the step."
    return (
        f"With the step `{case[0]!r}`, the state after input {t} is {_row(got[t])}; it should be {_row(expected[t])} "
        "(counting from 0)."
    )


def _row(values: Tensor) -> str:
    return f"({', '.join(number(value) for value in values.flatten())})"


def _gradient_stops(function: Function) -> str | None:
    """The last state's slope in a factor that every step uses: 3 w² s + 2 w x₀ + x₁, if the steps are connected."""
    factor = torch.tensor(2.0, requires_grad=True)
    inputs, start = torch.tensor([[[1.0], [1.0], [1.0]]]), torch.ones(1, 1)
    last = function(lambda x, state: factor * state + x, inputs, start)[-1]
    if not same(last.detach(), torch.tensor([[15.0]])):
        return None  # a wrong state is shown as such
    if not last.requires_grad or not same(torch.autograd.grad(last.sum(), factor)[0], torch.tensor(17.0)):
        return (
            "The states are right, but the gradient does not reach from the last one back to the first: something on "
            "the way detaches or copies the state. What is learned from a sequence comes back along this chain."
        )
    return None


def _carried(step: Function, inputs: Any, state: Any) -> list[Any]:
    states = []
    for x in inputs:
        state = step(x, state)
        states.append(state)
    return states


UNROLL = Exercise(
    id="01.2",
    minutes=5,
    reference=unroll,
    oracle=_unroll_oracle,
    cases=_unroll_cases,
    explain=_explain_unroll,
    invariants=(Invariant(name="gradients reach back", broken=_gradient_stops),),
    misconceptions=(
        Misconception(
            name="state not carried",
            says="Every step starts from the first state again, so nothing is remembered from one input to the next. "
            "What one step returns is what the next one needs.",
            wrong=lambda step, inputs, state: [step(x, state) for x in inputs.unbind(1)],
        ),
        Misconception(
            name="over the batch",
            says="The loop runs over the sequences of the batch. Time is axis 1: one step takes the t-th input of "
            "all sequences at once.",
            wrong=_carried,
        ),
        Misconception(
            name="as many steps as sequences",
            says="It takes as many steps as the batch has sequences. `len(inputs)` is the size of axis 0; time is "
            "axis 1.",
            wrong=lambda step, inputs, state: _carried(step, inputs.unbind(1)[: len(inputs)], state),
        ),
        Misconception(
            name="one step only",
            says="It comes back after the first input. Is the `return` inside the loop?",
            wrong=lambda step, inputs, state: _carried(step, inputs.unbind(1)[:1], state),
        ),
        Misconception(
            name="only the last listed",
            says="The list holds the last state only. Every round of the loop should add its own.",
            wrong=lambda step, inputs, state: _carried(step, inputs.unbind(1), state)[-1:],
        ),
        Misconception(
            name="last input skipped",
            says="The last input is never read.",
            wrong=lambda step, inputs, state: _carried(step, inputs.unbind(1)[:-1], state),
        ),
        Misconception(
            name="backwards",
            says="The inputs are read from the last to the first.",
            wrong=lambda step, inputs, state: _carried(step, inputs.flip(1).unbind(1), state),
        ),
        Misconception(
            name="read forwards, listed backwards",
            says="The states are right and in the wrong order: the first input's state comes first.",
            wrong=lambda step, inputs, state: _carried(step, inputs.unbind(1), state)[::-1],
        ),
        Misconception(
            name="the first state listed too",
            says="The list begins with the state that was given. Only what comes *after* an input belongs in it: one "
            "state for each input.",
            wrong=lambda step, inputs, state: [state, *_carried(step, inputs.unbind(1), state)],
        ),
        Misconception(
            name="states one step late",
            says="Each state is noted before its step and not after it, so the list starts with the state that was "
            "given and lacks the last.",
            wrong=lambda step, inputs, state: [state, *_carried(step, inputs.unbind(1), state)][:-1],
        ),
        Misconception(
            name="only the last",
            says="Only the last state comes back. Later sections look at every one of them.",
            wrong=lambda step, inputs, state: _carried(step, inputs.unbind(1), state)[-1],
        ),
        Misconception(
            name="arguments swapped",
            says="The step is given the state first. It is called as `step(x, state)`.",
            wrong=lambda step, inputs, state: _carried(lambda x, s: step(s, x), inputs.unbind(1), state),
        ),
        Misconception(
            name="stacked",
            says="The states come back as one tensor. A list is needed, because a state need not be a tensor: an "
            "LSTM's is a pair.",
            wrong=lambda step, inputs, state: torch.stack(_carried(step, inputs.unbind(1), state), 1),
        ),
        Misconception(
            name="first input skipped",
            says="The first input is never read.",
            wrong=lambda step, inputs, state: _carried(step, inputs.unbind(1)[1:], state),
        ),
    ),
    hints=(
        "A loop over time with one variable that changes: the state. Each round also puts it into a list.",
        "`inputs[:, t]` is what all sequences of the batch read at time t; `inputs.unbind(dim=1)` is the list of "
        "these. Start the list of states empty.",
        "Inside the loop, two lines: `state = step(x, state)`, then `states.append(state)`.",
    ),
)

# --- 01.3 gradient_norm_by_distance ----------------------------------------------------------------------------------


def _gradient_cases(generator: torch.Generator) -> list[tuple[Any, ...]]:
    halve = _Named("y[t] = y[t-1] / 2 + x[t]", _fading)
    cases: list[tuple[Any, ...]] = [(halve, torch.tensor([[[1.0, 2.0], [0.0, 1.0], [3.0, 0.0]]]))]
    for B, T, D, R in ((2, 4, 3, 5), (3, 5, 2, 4)):
        mixing = 0.7 * torch.randn(D, R, generator=generator)
        run = _Named("tanh of a fading sum, mixed", partial(_bent, mixing=mixing))
        cases.append((run, torch.randn(B, T, D, generator=generator)))
    return cases


def _fading(inputs: Tensor) -> Tensor:
    steps = torch.arange(inputs.shape[1])
    return torch.tril(0.5 ** (steps[:, None] - steps).to(inputs.dtype)) @ inputs


def _bent(inputs: Tensor, mixing: Tensor) -> Tensor:
    return torch.tanh(_fading(inputs) @ mixing.to(inputs.dtype))


def _gradient_oracle(run: Function, inputs: Tensor) -> Tensor:
    """Finite differences in float64: nudge each number and see how the last output moves."""
    inputs, nudge = inputs.double(), 1e-5
    slopes = torch.zeros_like(inputs)
    for t in range(inputs.shape[1]):
        for d in range(inputs.shape[2]):
            up, down = inputs.clone(), inputs.clone()
            up[:, t, d] += nudge
            down[:, t, d] -= nudge
            slopes[:, t, d] = (run(up)[:, -1] - run(down)[:, -1]).sum(-1) / (2 * nudge)
    return torch.stack([slopes[:, t].square().sum(-1).sqrt().mean() for t in reversed(range(inputs.shape[1]))])


def _explain_gradient(function: Function, case: tuple[Any, ...]) -> str | None:
    got, expected = function(*case), _gradient_oracle(*case)
    if got.shape != expected.shape:
        return None
    distance = int((got.detach().double() - expected).abs().nan_to_num(nan=torch.inf).argmax())
    B, T, D = case[1].shape
    size = f"{B} sequence{'s' * (B > 1)} of {T} inputs with {D} channels"
    return f"At distance {distance} it gives {number(got[distance])}; {number(expected[distance])} is needed ({size})."


def _gradients_pile_up(function: Function) -> str | None:
    """Ask the same tensor twice, without the copies that an attempt is usually given."""
    call = function.function if isinstance(function, Attempt) else function
    inputs = torch.ones(2, 3, 4)
    first, second = call(_fading, inputs), call(_fading, inputs)
    if not same(second, first):
        return (
            f"Asked twice about the same tensor, it answers {number(first[0])} and then {number(second[0])}: "
            "`backward()` adds to the gradient that is already there. Work on a fresh copy each time."
        )
    return None


def _caller_collects_gradients(function: Function) -> str | None:
    """Hand over a tensor without the copy that an attempt is usually given, and look at it afterwards."""
    call = function.function if isinstance(function, Attempt) else function
    inputs = torch.ones(2, 3, 4)
    call(_fading, inputs)
    if inputs.requires_grad:
        return (
            "The caller's tensor collects gradients from now on, and so does all that is computed from it: it can no "
            "longer be drawn, for one. Call `requires_grad_()` on a copy."
        )
    return None


def _slopes(run: Function, inputs: Tensor, of: Callable[[Tensor], Tensor] = lambda y: y[:, -1].sum()) -> Tensor:
    x = inputs.detach().clone().requires_grad_()
    return torch.autograd.grad(of(run(x)), x)[0]


def _norms(gradient: Tensor) -> Tensor:
    return gradient.norm(dim=-1).mean(0).flip(0)


GRADIENT = Exercise(
    id="01.3",
    minutes=8,
    reference=gradient_norm_by_distance,
    oracle=_gradient_oracle,
    cases=_gradient_cases,
    explain=_explain_gradient,
    invariants=(
        Invariant(name="gradients do not pile up", broken=_gradients_pile_up),
        Invariant(name="the caller's tensor is left alone", broken=_caller_collects_gradients),
    ),
    misconceptions=(
        Misconception(
            name="oldest first",
            says="The numbers stand in order of time, oldest first. Distance counts from the last input backwards: "
            "element 0 is the last input itself.",
            wrong=lambda run, inputs: _slopes(run, inputs).norm(dim=-1).mean(0),
        ),
        Misconception(
            name="all outputs",
            says="This is the gradient of all outputs together. Only the last is asked: early inputs matter to early "
            "outputs anyway, and that would hide what is lost on the way.",
            wrong=lambda run, inputs: _norms(_slopes(run, inputs, lambda y: y.sum())),
        ),
        Misconception(
            name="first output",
            says="This is the gradient of the *first* output, which no later input can reach.",
            wrong=lambda run, inputs: _norms(_slopes(run, inputs, lambda y: y[:, 0].sum())),
        ),
        Misconception(
            name="last sequence",
            says="`[-1]` takes the last sequence of the batch, with all its outputs. The last output of every "
            "sequence is meant: axis 1 is time.",
            wrong=lambda run, inputs: _norms(_slopes(run, inputs, lambda y: y[-1].sum())),
        ),
        Misconception(
            name="mean of the output",
            says="The gradient is taken of the output's mean, which makes it smaller the wider the output and the "
            "larger the batch. Take it of the sum.",
            wrong=lambda run, inputs: _norms(_slopes(run, inputs, lambda y: y[:, -1].mean())),
        ),
        Misconception(
            name="no root",
            says="These are the squares of the norms. A norm is the root of the sum of squares.",
            wrong=lambda run, inputs: _slopes(run, inputs).square().sum(-1).mean(0).flip(0),
        ),
        Misconception(
            name="slopes summed",
            says="The slopes of the channels are added with their signs, and cancel. A norm has no sign.",
            wrong=lambda run, inputs: _slopes(run, inputs).sum(-1).mean(0).flip(0),
        ),
        Misconception(
            name="absolute values summed",
            says="These are sums of absolute values. The norm asked for is the ordinary length: root of the sum of "
            "squares.",
            wrong=lambda run, inputs: _slopes(run, inputs).abs().sum(-1).mean(0).flip(0),
        ),
        Misconception(
            name="summed over the batch",
            says="The norms are added up over the batch, so a batch twice as large gives twice as much. Average them.",
            wrong=lambda run, inputs: _slopes(run, inputs).norm(dim=-1).sum(0).flip(0),
        ),
        Misconception(
            name="one norm for the batch",
            says="One norm is taken over batch and channels together. Each sequence has a norm of its own; then "
            "average.",
            wrong=lambda run, inputs: _slopes(run, inputs).norm(dim=(0, 2)).flip(0),
        ),
        Misconception(
            name="mean before the norm",
            says="The gradients are averaged over the batch before the norm is taken, so different sequences cancel "
            "each other. First the norm, then the mean.",
            wrong=lambda run, inputs: _slopes(run, inputs).mean(0).norm(dim=-1).flip(0),
        ),
        Misconception(
            name="not averaged",
            says="Each sequence of the batch has its own row. Average over the batch, so that one number a step is "
            "left; and the nearest step comes first.",
            wrong=lambda run, inputs: _slopes(run, inputs).norm(dim=-1),
        ),
        Misconception(
            name="not averaged, nearest first",
            says="Each sequence of the batch has its own row. Average over the batch: one number a step is needed.",
            wrong=lambda run, inputs: _slopes(run, inputs).norm(dim=-1).flip(1),
        ),
        Misconception(
            name="norm over time",
            says="The norm runs over time, and one number a channel is left. It should run over the channels and "
            "leave one number a step.",
            wrong=lambda run, inputs: _slopes(run, inputs).norm(dim=1).mean(0).flip(0),
        ),
    ),
    hints=(
        "Three steps: run the network on a copy of the inputs that collects gradients, ask for the gradient of the "
        "last output's sum, then turn it into one number for each step.",
        "`inputs.detach().clone().requires_grad_()` is such a copy, and `torch.autograd.grad(number, copy)` gives a "
        "tuple with one gradient, of the shape (B, T, D). The last outputs are `run(copy)[:, -1]`.",
        "`gradient.norm(dim=-1)` leaves (B, T). Average over the batch, and `.flip(0)` puts the nearest first.",
    ),
)

# --- 01.4 lstm_step --------------------------------------------------------------------------------------------------


def _lstm_cases(generator: torch.Generator) -> list[tuple[Any, ...]]:
    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    def case(*batch: int, D: int, R: int) -> tuple[Any, ...]:
        state = (draw(*batch, R), 2 * draw(*batch, R))
        return (draw(*batch, D), state, draw(4 * R, D), draw(4 * R, R), draw(4 * R))

    return [case(D=2, R=3), case(4, D=5, R=3), case(2, 3, D=4, R=5)]


def _lstm_oracle(
    x: Tensor, state: tuple[Tensor, Tensor], input_weight: Tensor, recurrent_weight: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor]:
    """PyTorch's own cell, in float64."""
    hidden, memory = (part.double().reshape(-1, part.shape[-1]) for part in state)
    cell = nn.LSTMCell(x.shape[-1], hidden.shape[-1], dtype=torch.float64)
    with torch.no_grad():
        _load(cell, input_weight, recurrent_weight, bias)
        new = cell(x.double().reshape(-1, x.shape[-1]), (hidden, memory))
    return new[0].reshape(state[0].shape), new[1].reshape(state[1].shape)


def _explain_lstm(function: Function, case: tuple[Any, ...]) -> str | None:
    parts = dict(zip(("hidden state", "cell"), zip(function(*case), _lstm_oracle(*case), strict=True), strict=True))
    wrong = {name: pair for name, pair in parts.items() if not same(*pair)}
    name, (got, expected) = next(reversed(wrong.items()))  # the cell first: the hidden state is made from it
    if got.shape != expected.shape:
        return f"The new {name} has shape {tuple(got.shape)}; {tuple(expected.shape)} is needed."
    index = tuple(int(i) for i in np.unravel_index(int((got.double() - expected).abs().argmax()), got.shape))
    other = "" if len(wrong) == 2 else f" The {'cell' if name == 'hidden state' else 'hidden state'} is right."
    return (
        f"Unit {index[-1]} of the new {name} is {number(got[index])}; {number(expected[index])} is needed "
        f"(counting from 0).{other}"
    )


def _step(
    x: Tensor,
    state: tuple[Tensor, Tensor],
    W: Tensor,
    U: Tensor,
    b: Tensor,
    *,
    order: str = "ifgo",
    squash: Callable[[Tensor], Tensor] = lambda total: total,
    keep: Callable[..., Tensor] = lambda i, f, g, c, h: f.sigmoid() * c + i.sigmoid() * g.tanh(),  # noqa: ARG005
    reveal: Callable[..., Tensor] = lambda o, c, old: o.sigmoid() * c.tanh(),  # noqa: ARG005
) -> tuple[Tensor, Tensor]:
    """An LSTM with a place to go wrong at each of its steps: the misconceptions below fill them in."""
    hidden, old = state
    gates = dict(zip(order, squash(x @ W.T + hidden @ U.T + b).chunk(4, -1), strict=True))
    cell = keep(gates["i"], gates["f"], gates["g"], old, hidden)
    return reveal(gates["o"], cell, old), cell


def _mistaken(**steps: Any) -> Function:
    return lambda x, state, W, U, b: _step(x, state, W, U, b, **steps)


LSTM_STEP = Exercise(
    id="01.4",
    minutes=10,
    reference=lstm_step,
    oracle=_lstm_oracle,
    cases=_lstm_cases,
    explain=_explain_lstm,
    misconceptions=(
        Misconception(
            name="output gate third",
            says="It looks as if the third quarter is taken for the output gate and the fourth for the candidate. "
            "The order here, and PyTorch's, is input, forget, candidate, output.",
            wrong=_mistaken(order="ifog"),
        ),
        Misconception(
            name="forget gate first",
            says="It looks as if the first quarter is taken for the forget gate and the second for the input gate. "
            "The order here, and PyTorch's, is input, forget, candidate, output.",
            wrong=_mistaken(order="figo"),
        ),
        Misconception(
            name="forget gate upside down",
            says="The forget gate works the wrong way round. In spite of its name it says how much is *kept*: 1 keeps "
            "all, 0 wipes out.",
            wrong=_mistaken(keep=lambda i, f, g, c, h: (1 - f.sigmoid()) * c + i.sigmoid() * g.tanh()),  # noqa: ARG005
        ),
        Misconception(
            name="nothing forgotten",
            says="The old cell is kept whole; the forget gate has no part in it. So it was in the LSTM of 1997, whose "
            "cells had no way to empty themselves.",
            wrong=_mistaken(keep=lambda i, f, g, c, h: c + i.sigmoid() * g.tanh()),  # noqa: ARG005
        ),
        Misconception(
            name="kept part from the input gate",
            says="What is kept is one minus the input gate. That is a cousin of the LSTM (the GRU does it); here the "
            "forget gate decides by itself.",
            wrong=_mistaken(keep=lambda i, f, g, c, h: (1 - i.sigmoid()) * c + i.sigmoid() * g.tanh()),  # noqa: ARG005
        ),
        Misconception(
            name="everything let in",
            says="The candidate is added whole: the input gate has no part in it.",
            wrong=_mistaken(keep=lambda i, f, g, c, h: f.sigmoid() * c + g.tanh()),  # noqa: ARG005
        ),
        Misconception(
            name="candidate through a sigmoid",
            says="The candidate goes through a sigmoid, so it can only add to a cell and never take away. Gates lie "
            "between 0 and 1, what is written lies between -1 and 1.",
            wrong=_mistaken(keep=lambda i, f, g, c, h: f.sigmoid() * c + i.sigmoid() * g.sigmoid()),  # noqa: ARG005
        ),
        Misconception(
            name="gates not squashed",
            says="The gates are used as they come out of the sum. A gate is a fraction between 0 and 1: which "
            "function makes one of any number?",
            wrong=_mistaken(keep=lambda i, f, g, c, h: f * c + i * g.tanh(), reveal=lambda o, c, old: o * c.tanh()),  # noqa: ARG005
        ),
        Misconception(
            name="nothing squashed",
            says="The four quarters are used as they come out of the sum. Gates are fractions between 0 and 1, the "
            "candidate lies between -1 and 1: each needs a function of its own.",
            wrong=_mistaken(keep=lambda i, f, g, c, h: f * c + i * g, reveal=lambda o, c, old: o * c.tanh()),  # noqa: ARG005
        ),
        Misconception(
            name="candidate not squashed",
            says="The candidate is written as it comes out of the sum. What is written lies between -1 and 1.",
            wrong=_mistaken(keep=lambda i, f, g, c, h: f.sigmoid() * c + i.sigmoid() * g),  # noqa: ARG005
        ),
        Misconception(
            name="bias left out",
            says="The bias is missing from the sums. It is how a gate can stand open before anything is learned.",
            wrong=lambda x, state, W, U, b: _step(x, state, W, U, 0 * b),
        ),
        Misconception(
            name="hidden state ignored",
            says="The sums do not depend on the hidden state: no gate knows what was read before.",
            wrong=lambda x, state, W, U, b: _step(x, state, W, 0 * U, b),
        ),
        Misconception(
            name="cell in the sums",
            says="The recurrent weights are applied to the cell. The gates look at the *hidden state*; no matrix "
            "touches the cell.",
            wrong=lambda x, state, W, U, b: _step(x, (state[1], state[1]), W, U, b),
        ),
        Misconception(
            name="sum squashed before it is cut",
            says="The sum goes through a tanh before it is cut apart, as in the plain cell. Here each quarter has a "
            "function of its own, and only the candidate's is tanh.",
            wrong=_mistaken(squash=torch.tanh),
        ),
        Misconception(
            name="hidden state kept",
            says="The forget gate is applied to the hidden state. It is the *cell* that is carried from step to step; "
            "the hidden state is what is shown of it.",
            wrong=_mistaken(keep=lambda i, f, g, c, h: f.sigmoid() * h + i.sigmoid() * g.tanh()),  # noqa: ARG005
        ),
        Misconception(
            name="cell squashed for good",
            says="The tanh is kept in the cell itself, so every step squashes what is remembered once more: the very "
            "thing that the cell should be spared. Squash only what is shown.",
            wrong=_mistaken(
                keep=lambda i, f, g, c, h: torch.tanh(f.sigmoid() * c + i.sigmoid() * g.tanh()),  # noqa: ARG005
                reveal=lambda o, c, old: o.sigmoid() * c,  # noqa: ARG005
            ),
        ),
        Misconception(
            name="cell shown as it is",
            says="The cell is right, but shown as it is. What leaves the cell goes through a tanh before the output "
            "gate.",
            wrong=_mistaken(reveal=lambda o, c, old: o.sigmoid() * c),  # noqa: ARG005
        ),
        Misconception(
            name="old cell shown",
            says="The hidden state shows the *old* cell. What was just read would be seen one step late.",
            wrong=_mistaken(reveal=lambda o, c, old: o.sigmoid() * old.tanh()),  # noqa: ARG005
        ),
        Misconception(
            name="cell returned first",
            says="The two come back in the wrong order: hidden state first, then the cell, as they came in.",
            wrong=lambda x, state, W, U, b: _step(x, state, W, U, b)[::-1],
        ),
        Misconception(
            name="state taken apart the wrong way round",
            says="The state that comes in is taken apart the wrong way round: it is (hidden state, cell).",
            wrong=lambda x, state, W, U, b: _step(x, state[::-1], W, U, b),
        ),
    ),
    hints=(
        "Take the state apart, compute all four gates with one sum (as in `rnn_step`, without the tanh), cut it into "
        "four, and follow the two formulas.",
        "`.chunk(4, dim=-1)` cuts the sum into input, forget, candidate and output. The candidate goes through tanh, "
        "the other three through a sigmoid.",
        "`cell = forget_gate.sigmoid() * cell + input_gate.sigmoid() * candidate.tanh()`; the hidden state is the "
        "output gate's fraction of `cell.tanh()`. Return both, hidden state first.",
    ),
)

EXERCISES = (RNN_STEP, UNROLL, GRADIENT, LSTM_STEP)

# --- Quiz ------------------------------------------------------------------------------------------------------------

QUIZ = Quiz(
    (
        Question(
            "An RNN has learned to recall over 5 steps and fails at 40. What is the first thing to suspect?",
            (
                Option(
                    "The state is too small to hold so much.",
                    "There is as much to hold at 40 as at 5: one symbol of eight. Capacity does not depend on how "
                    "long it is held.",
                ),
                Option(
                    "The gradient from step 40 back to step 0 is too small to learn from.",
                    "It shrinks by a factor a step. The latch in section 3 shows that a state can hold one bit for "
                    "ever; what is missing is the signal that would teach it to.",
                    is_right=True,
                ),
                Option(
                    "The learning rate is too low.",
                    "A larger one enlarges every step, whatever caused it. What matters in a weight's gradient is the "
                    "share of the far input beside that of the near ones, and that it does not touch.",
                ),
            ),
        ),
        Question(
            "The largest singular value of a recurrent matrix is 1.3. What do you know about its gradients?",
            (
                Option(
                    "They explode.",
                    "Only if the same direction is stretched again and again and the tanh lets it pass. PyTorch's "
                    "default had a largest singular value above one, and its gradients vanished.",
                ),
                Option(
                    "They vanish, because tanh keeps the state below one.",
                    "That bounds the state. The gradient is a product of slopes, and a slope of nearly one times 1.3 "
                    "is more than one.",
                ),
                Option(
                    "They grow by at most 1.3 a step; they may shrink all the same.",
                    "It is a bound, and above one it promises nothing. A tanh that is driven hard shrinks them, and "
                    "so does a matrix that stretches a different direction at each step.",
                    is_right=True,
                ),
            ),
        ),
        Question(
            "What lets an LSTM carry a gradient further?",
            (
                Option(
                    "Along the cell the gradient is multiplied by the forget gate, which can be close to one.",
                    "No matrix and no tanh lie on that path. How close to one depends on the gate's bias: at zero, "
                    "an LSTM forgets about as fast as a plain cell.",
                    is_right=True,
                ),
                Option(
                    "It has four times as many weights.",
                    "The recall test gave both the same number of weights, so that this cannot be the reason.",
                ),
                Option(
                    "Its gates are sigmoids, whose slope is larger than that of tanh.",
                    "It is smaller: at most 1/4, against 1. The cell helps because its path does not go through a "
                    "squashing function at all.",
                ),
            ),
        ),
        Question(
            "Why does attention train faster than an RNN on long texts, though it compares all pairs of tokens?",
            (
                Option(
                    "It does fewer multiplications.",
                    "For long texts it does more: their number grows with the square of the length, an RNN's with "
                    "the length itself.",
                ),
                Option(
                    "Its operations do not wait for one another: the longest chain does not grow with the text.",
                    "More work, but work that can be done at the same time. A chain of a thousand steps takes a "
                    "thousand turns on any machine.",
                    is_right=True,
                ),
                Option(
                    "It has fewer weights.",
                    "In the recall test both had the same number. How long a pass takes is decided by what has to "
                    "wait for what.",
                ),
            ),
        ),
    )
)
