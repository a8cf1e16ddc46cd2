"""Exercise 01.3, ``gradient_norm_by_distance``: its cases, and what learners get wrong."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from gemini_workshop.exercises.core.attempt import Attempt
from gemini_workshop.exercises.core.comparison import number, same, worst_index
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Invariant, Say
from gemini_workshop.exercises.lesson_01.tools import Named
from gemini_workshop.models.recurrent import gradient_norm_by_distance


def _cases(generator: torch.Generator) -> list[Arguments]:
    halve = Named("y[t] = y[t-1] / 2 + x[t]", _fading)
    cases: list[Arguments] = [(halve, torch.tensor([[[1.0, 2.0], [0.0, 1.0], [3.0, 0.0]]]))]
    for B, T, D, R in ((2, 4, 3, 5), (3, 5, 2, 4)):
        mixing = 0.7 * torch.randn(D, R, generator=generator)
        run = Named("tanh of a fading sum, mixed", partial(_bent, mixing=mixing))
        cases.append((run, torch.randn(B, T, D, generator=generator)))
    return cases


def _fading(inputs: Tensor) -> Tensor:
    steps = torch.arange(inputs.shape[1])
    return torch.tril(0.5 ** (steps[:, None] - steps).to(inputs.dtype)) @ inputs


def _bent(inputs: Tensor, mixing: Tensor) -> Tensor:
    return torch.tanh(_fading(inputs) @ mixing.to(inputs.dtype))


def _oracle(run: Function, inputs: Tensor) -> Tensor:
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


def _explain(function: Function, case: Arguments) -> str | None:
    got, expected = function(*case), _oracle(*case)
    if got.shape != expected.shape:
        return None
    (distance,) = worst_index(got, expected)
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
            "longer be plotted, for example. Call `requires_grad_()` on a copy."
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
    difficulty=4,
    importance=3,
    reference=gradient_norm_by_distance,
    oracle=_oracle,
    cases=_cases,
    explain=_explain,
    invariants=(
        Invariant(name="gradients do not pile up", broken=_gradients_pile_up),
        Invariant(name="the caller's tensor is left alone", broken=_caller_collects_gradients),
    ),
    misconceptions={
        "oldest first": Say(
            "The numbers are in order of time, oldest first. Distance counts from the last input backwards: element 0 "
            "is the last input itself."
        ).to(lambda run, inputs: _slopes(run, inputs).norm(dim=-1).mean(0)),
        "all outputs": Say(
            "This is the gradient of all outputs together. Only the last one counts: early inputs matter to early "
            "outputs anyway, and that would hide what is lost on the way."
        ).to(lambda run, inputs: _norms(_slopes(run, inputs, lambda y: y.sum()))),
        "first output": Say("This is the gradient of the *first* output, which no later input can reach.").to(
            lambda run, inputs: _norms(_slopes(run, inputs, lambda y: y[:, 0].sum()))
        ),
        "last sequence": Say(
            "`[-1]` takes the last sequence of the batch, with all its outputs. The last output of every sequence is "
            "meant: axis 1 is time."
        ).to(lambda run, inputs: _norms(_slopes(run, inputs, lambda y: y[-1].sum()))),
        "mean of the output": Say(
            "The gradient is taken of the output's mean, which makes it smaller the wider the output and the larger "
            "the batch. Take it of the sum."
        ).to(lambda run, inputs: _norms(_slopes(run, inputs, lambda y: y[:, -1].mean()))),
        "no root": Say("These are the squares of the norms. A norm is the root of the sum of squares.").to(
            lambda run, inputs: _slopes(run, inputs).square().sum(-1).mean(0).flip(0)
        ),
        "slopes summed": Say(
            "The slopes of the channels are added with their signs, and cancel. A norm has no sign."
        ).to(lambda run, inputs: _slopes(run, inputs).sum(-1).mean(0).flip(0)),
        "absolute values summed": Say(
            "These are sums of absolute values. The norm asked for is the ordinary length: root of the sum of squares."
        ).to(lambda run, inputs: _slopes(run, inputs).abs().sum(-1).mean(0).flip(0)),
        "summed over the batch": Say(
            "The norms are summed over the batch, so a batch twice as large gives twice as much. Average them."
        ).to(lambda run, inputs: _slopes(run, inputs).norm(dim=-1).sum(0).flip(0)),
        "one norm for the batch": Say(
            "One norm is taken over batch and channels together. Each sequence has a norm of its own; then average."
        ).to(lambda run, inputs: _slopes(run, inputs).norm(dim=(0, 2)).flip(0)),
        "mean before the norm": Say(
            "The gradients are averaged over the batch before the norm is taken, so different sequences cancel each "
            "other. First the norm, then the mean."
        ).to(lambda run, inputs: _slopes(run, inputs).mean(0).norm(dim=-1).flip(0)),
        "not averaged": Say(
            "Each sequence of the batch has its own row. Average over the batch, so that one number per step is left; "
            "and the nearest step comes first."
        ).to(lambda run, inputs: _slopes(run, inputs).norm(dim=-1)),
        "not averaged, nearest first": Say(
            "Each sequence of the batch has its own row. Average over the batch: one number per step is needed."
        ).to(lambda run, inputs: _slopes(run, inputs).norm(dim=-1).flip(1)),
        "norm over time": Say(
            "The norm runs over time and leaves one number per channel. It should run over the channels and leave one "
            "number per step."
        ).to(lambda run, inputs: _slopes(run, inputs).norm(dim=1).mean(0).flip(0)),
    },
    hints=(
        "Three steps: run the network on a copy of the inputs that collects gradients, ask for the gradient of the "
        "last output's sum, then turn it into one number for each step.",
        "`inputs.detach().clone().requires_grad_()` is such a copy, and `torch.autograd.grad(number, copy)` gives a "
        "tuple with one gradient, of the shape (B, T, D). The last outputs are `run(copy)[:, -1]`.",
        "`gradient.norm(dim=-1)` leaves (B, T). Average over the batch, and `.flip(0)` puts the nearest first.",
    ),
)
