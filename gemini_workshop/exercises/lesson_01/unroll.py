"""Exercise 01.2, ``unroll``: its cases, and what learners get wrong."""

from functools import reduce
from typing import Any

import torch
from torch import Tensor

from gemini_workshop.exercises.core.battery.declaration import Battery
from gemini_workshop.exercises.core.comparison import same
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Invariant, Say
from gemini_workshop.exercises.core.tools import drawing, vector
from gemini_workshop.exercises.lesson_01.tools import Named
from gemini_workshop.models.recurrent import unroll


def _cases(generator: torch.Generator) -> list[Arguments]:
    halve = Named("lambda x, state: state / 2 + x", lambda x, state: state / 2 + x)
    bend = Named("lambda x, state: (x + 2 * state).tanh()", lambda x, state: (x + 2 * state).tanh())
    pair = Named(
        "lambda x, state: (state[0] + x, state[1] / 2 - state[0])",
        lambda x, state: (state[0] + x, state[1] / 2 - state[0]),
    )

    draw = drawing(generator)
    return [
        (halve, torch.tensor([[[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]]]), torch.tensor([[8.0, 0.0]])),
        (bend, draw(2, 4, 3), draw(2, 3)),
        (pair, draw(4, 5, 2), (draw(4, 2), draw(4, 2))),
    ]


def _beyond(generator: torch.Generator) -> list[Arguments]:
    halve = Named("lambda x, state: state / 2 + x", lambda x, state: state / 2 + x)
    return [(halve, torch.randn(3, 70, 2, generator=generator), torch.zeros(3, 2))]


def _oracle(step: Function, inputs: Tensor, state: Any) -> list[Any]:
    """Each state from the very beginning, as a fold over the inputs so far."""
    return [reduce(lambda s, t: step(inputs[:, t], s), range(last + 1), state) for last in range(inputs.shape[1])]


def _explain(function: Function, case: Arguments) -> str | None:
    got, expected = function(*case), _oracle(*case)
    if not isinstance(got, list | tuple) or len(got) != len(expected):
        return None
    t = next(t for t, pair in enumerate(zip(got, expected, strict=True)) if not same(*pair))
    if not isinstance(expected[t], Tensor) or not isinstance(got[t], Tensor) or expected[t].numel() > 6:
        return f"The state after input {t} is not what it should be (counting from 0): {case[0]!r} was the step."
    return (
        f"With the step `{case[0]!r}`, the state after input {t} is {vector(got[t])}; it should be "
        f"{vector(expected[t])} (counting from 0)."
    )


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
    difficulty=2,
    importance=3,
    reference=unroll,
    oracle=_oracle,
    cases=_cases,
    explain=_explain,
    invariants=(Invariant(name="gradients reach back", broken=_gradient_stops),),
    battery=Battery(beyond=_beyond),
    misconceptions={
        "state not carried": Say(
            "Every step starts from the first state again, so nothing is remembered from one input to the next. What "
            "one step returns is what the next one needs."
        ).to(lambda step, inputs, state: [step(x, state) for x in inputs.unbind(1)]),
        "over the batch": Say(
            "The loop runs over the sequences of the batch. Time is axis 1: one step takes the t-th input of all "
            "sequences at once."
        ).to(_carried),
        "as many steps as sequences": Say(
            "It takes as many steps as the batch has sequences. `len(inputs)` is the size of axis 0; time is axis 1."
        ).to(lambda step, inputs, state: _carried(step, inputs.unbind(1)[: len(inputs)], state)),
        "one step only": Say("It returns after the first input. Is the `return` inside the loop?").to(
            lambda step, inputs, state: _carried(step, inputs.unbind(1)[:1], state)
        ),
        "only the last listed": Say(
            "The list holds the last state only. Every round of the loop should add its own."
        ).to(lambda step, inputs, state: _carried(step, inputs.unbind(1), state)[-1:]),
        "last input skipped": Say("The last input is never read.").to(
            lambda step, inputs, state: _carried(step, inputs.unbind(1)[:-1], state)
        ),
        "backwards": Say("The inputs are read from the last to the first.").to(
            lambda step, inputs, state: _carried(step, inputs.flip(1).unbind(1), state)
        ),
        "read forwards, listed backwards": Say(
            "The states are right and in the wrong order: the first input's state comes first."
        ).to(lambda step, inputs, state: _carried(step, inputs.unbind(1), state)[::-1]),
        "the first state listed too": Say(
            "The list begins with the given state. Only what comes *after* an input belongs in it: one state for each "
            "input."
        ).to(lambda step, inputs, state: [state, *_carried(step, inputs.unbind(1), state)]),
        "states one step late": Say(
            "Each state is listed before its step and not after it, so the list starts with the given state and lacks "
            "the last one."
        ).to(lambda step, inputs, state: [state, *_carried(step, inputs.unbind(1), state)][:-1]),
        "only the last": Say("Only the last state is returned. Later sections look at every one of them.").to(
            lambda step, inputs, state: _carried(step, inputs.unbind(1), state)[-1]
        ),
        "arguments swapped": Say("The step is given the state first. It is called as `step(x, state)`.").to(
            lambda step, inputs, state: _carried(lambda x, s: step(s, x), inputs.unbind(1), state)
        ),
        "stacked": Say(
            "The states are returned as one tensor. A list is needed, because a state need not be a tensor: an LSTM's "
            "is a pair."
        ).to(lambda step, inputs, state: torch.stack(_carried(step, inputs.unbind(1), state), 1)),
        "first input skipped": Say("The first input is never read.").to(
            lambda step, inputs, state: _carried(step, inputs.unbind(1)[1:], state)
        ),
    },
    hints=(
        "A loop over time with one variable that changes: the state. Each round also puts it into a list.",
        "`inputs[:, t]` is what all sequences of the batch read at time t; `inputs.unbind(dim=1)` is the list of "
        "these. Start the list of states empty.",
        "Inside the loop, two lines: `state = step(x, state)`, then `states.append(state)`.",
    ),
)
