"""Exercise 11.7, ``train_step``: its cases, and what learners get wrong."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gemini_workshop.exercises.core.comparison import number, same
from gemini_workshop.exercises.core.exercise import Arguments, Function, Say
from gemini_workshop.exercises.core.tools import drawing, vector
from gemini_workshop.exercises.lesson_11.accumulate_gradients import ACCUMULATE_GRADIENTS
from gemini_workshop.exercises.lesson_11.clip_gradients import CLIP_GRADIENTS
from gemini_workshop.exercises.lesson_11.tools import (
    PairScores,
    Parts,
    StateExercise,
    loss_and_gradients,
    unequal_parts,
)
from gemini_workshop.training.plain_loop import accumulate_gradients, clip_gradients, train_step

START_RATE = 0.7  # what the optimizer was built with


def _optimizer(model: PairScores, name: str) -> torch.optim.Optimizer:
    groups = [{"params": [model.table]}, {"params": [model.bias]}]
    return getattr(torch.optim, name)(groups, lr=START_RATE)


def _run(answer: Function, table: Tensor, name: str, parts: Parts, learning_rate: float, max_norm: float) -> Any:
    """What two steps return, the second at half the rate, and the bias after each of them."""
    model = PairScores(table)
    optimizer = _optimizer(model, name)
    found: list[Any] = []
    for rate in (learning_rate, learning_rate / 2):
        result = answer(model, optimizer, parts, rate, max_norm)
        if result is None:
            return None
        found += [*map(float, result)] if isinstance(result, list | tuple) else [float(result)]
        found.append(model.bias.detach().clone())
    return [*found, model.table.detach()]


def _cases(generator: torch.Generator) -> list[Arguments]:
    draw = drawing(generator)
    surprised = (10 * torch.eye(3)[:1]).repeat(3, 1), "SGD", [(torch.tensor([[2, 1, 1]]), torch.ones(1, 3).long())]
    return [
        (draw(4, 4), "SGD", unequal_parts(generator, 4, [(2, 5)], 0), 0.5, 100.0),
        (*surprised, 0.5, 1.5),
        (3 * draw(5, 5), "SGD", unequal_parts(generator, 5, [(2, 4), (1, 4)], 5), 0.25, 0.1),
        (3 * draw(5, 5), "SGD", unequal_parts(generator, 5, [(3, 4), (2, 4), (1, 4)], 9), 0.5, 0.6),
    ]


def _oracle(table: Tensor, name: str, parts: Parts, learning_rate: float, max_norm: float) -> list[Any]:
    """Gradient descent on paper, in float64."""
    weight, bias = table.double(), PairScores(table).bias.detach().double()
    found: list[Any] = []
    for rate in (learning_rate, learning_rate / 2):
        loss, gradients = loss_and_gradients(weight, bias, parts)
        norm = torch.cat([gradient.flatten() for gradient in gradients]).norm()
        factor = rate * min(1.0, max_norm / float(norm))
        weight, bias = weight - factor * gradients[0], bias - factor * gradients[1]
        found += [float(loss), float(norm), bias.float()]
    return [*found, weight.float()]


def _explain(function: Function, case: Arguments) -> str | None:
    got, needed = function(*case), _oracle(*case)
    if len(got) != len(needed):
        return "Two numbers are needed from each step, in this order: the loss and the norm of the gradient."
    names = [f"{what} of {step} step" for step in ("the first", "a second") for what in ("loss", "norm", "bias")]
    order = (2, 0, 1, 5, 3, 4)
    for i in order:
        if not same(got[i], needed[i]):
            one, other = (vector(x[i][:3]) if i in (2, 5) else number(x[i]) for x in (got, needed))
            word = "after" if i in (2, 5) else "returned by"
            what = "The bias begins with" if i in (2, 5) else f"The {names[i].split(' of ')[0]} is"
            which = names[i].split(" of ")[1]
            return f"{what} {one} {word} {which}; {other} is needed (learning_rate={case[3]:g}, max_norm={case[4]:g})."
    return None


def _set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def _set_first_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    optimizer.param_groups[0]["lr"] = rate


def _step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    parts: Parts,
    learning_rate: float,
    max_norm: float,
    *,
    order: str = "rzacs",
    rate: Callable[[torch.optim.Optimizer, float], None] = _set_rate,
    accumulate: Callable[[nn.Module, Parts], float] = accumulate_gradients,
    clip: Callable[..., float] = clip_gradients,
    returned: Callable[[float, float], Any] = lambda loss, norm: (loss, norm),
) -> Any:
    """Right but for the steps: r sets the rate, z zeroes, a accumulates, c clips and s steps."""
    loss = norm = 0.0
    for letter in order:
        if letter == "r":
            rate(optimizer, learning_rate)
        elif letter == "z":
            optimizer.zero_grad()
        elif letter == "a":
            loss = accumulate(model, parts)
        elif letter == "c":
            norm = clip(model.parameters(), max_norm)
        else:
            optimizer.step()
    return returned(loss, norm)


def _step_per_part(
    model: nn.Module, optimizer: torch.optim.Optimizer, parts: Parts, learning_rate: float, max_norm: float
) -> Any:
    results = [_step(model, optimizer, [part], learning_rate, max_norm) for part in parts]
    return sum(loss for loss, _ in results) / len(parts), results[-1][1]


def _loss_after(
    model: nn.Module, optimizer: torch.optim.Optimizer, parts: Parts, learning_rate: float, max_norm: float
) -> Any:
    _, norm = _step(model, optimizer, parts, learning_rate, max_norm)
    return accumulate_gradients(model, parts), norm


TRAIN_STEP = StateExercise(
    id="11.7",
    minutes=8,
    difficulty=2,
    importance=5,
    reference=train_step,
    oracle=_oracle,
    cases=_cases,
    run=_run,
    explain=_explain,
    misconceptions={
        "gradients never zeroed": Say(
            "The gradients of the step before are still there, and the new ones are added to them. Call "
            "`optimizer.zero_grad()` before the gradients of this batch are computed."
        ).to(_step, order="racs"),
        "zeroed before the step": Say(
            "The gradients are zeroed between computing and using them, so that no weight moves. Zero them before this "
            "batch's gradients are computed."
        ).to(_step, order="razcs"),
        "rate not set": Say(
            "`learning_rate` is not used: the optimizer keeps the rate that it was built with. Set "
            '`group["lr"]` in each of `optimizer.param_groups`.'
        ).to(_step, order="zacs"),
        "rate of the first group only": Say(
            "Only the first group of parameters gets the rate. `optimizer.param_groups` may be several; loop over them."
        ).to(_step, rate=_set_first_rate),
        "rate set after the step": Say(
            "The rate is set after the step, so that each step uses that of the step before. Set it first."
        ).to(_step, order="zacsr"),
        "no step": Say("No weight moves: `optimizer.step()` is missing.").to(_step, order="rzac"),
        "step before the gradients": Say(
            "The optimizer steps before this batch's gradients are computed, so it uses none, or old ones. The order "
            "is zero, compute, clip, step."
        ).to(_step, order="rszac"),
        "clipped before they are computed": Say(
            "Clipping comes before this batch's gradients are computed, where there are none yet. Compute, then clip, "
            "then step."
        ).to(_step, order="rzcas"),
        "steps unclipped": Say(
            "The norm is right, but the step uses gradients that are not clipped. Either they are clipped after the "
            "step, which is too late, or `max_norm` does not reach `clip_gradients`."
        ).to(_step, clip=lambda weights, max_norm: clip_gradients(weights, float("inf"))),
        "clipped to 1": Say("The gradients are clipped to norm 1, whatever `max_norm` is.").to(
            _step, clip=lambda weights, max_norm: clip_gradients(weights, 1.0)
        ),
        "a step per part": Say(
            "The weights move after each part. The parts are one batch: add up the gradients of all, then take one "
            "step."
        ).to(_step_per_part),
        "only the first part": Say("Only the first part of the batch is used.").to(
            _step, accumulate=lambda model, parts: accumulate_gradients(model, parts[:1])
        ),
        "two steps": Say("`optimizer.step()` is called twice.").to(_step, order="rzacss"),
        "loss after the step": Say(
            "It returns the loss after the step, which costs a second pass over the batch. The loss that "
            "`accumulate_gradients` returned is needed: from before the step."
        ).to(_loss_after),
        "norm and loss swapped": Say("Loss and norm are swapped: the loss comes first.").to(
            _step, returned=lambda loss, norm: (norm, loss)
        ),
        "loss only": Say("It returns the loss only. The loss and the norm of the gradient are needed.").to(
            _step, returned=lambda loss, norm: loss
        ),
    },
    imports=("torch._dynamo",),  # every optimizer of PyTorch imports it
    parts=(CLIP_GRADIENTS, ACCUMULATE_GRADIENTS),
    hints=(
        "Five things, and their order matters: the rate, zero, the gradients, clipping, the step. Which two must not "
        "stand on either side of a third?",
        'The rate is `group["lr"]` for each group in `optimizer.param_groups`. The functions of the last two exercises '
        "return what you have to return.",
        "`optimizer.zero_grad()`, `loss = accumulate_gradients(model, parts)`, "
        "`norm = clip_gradients(model.parameters(), max_norm)`, `optimizer.step()`.",
    ),
)
