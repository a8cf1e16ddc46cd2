"""Exercise 11.5, ``clip_gradients``: its cases, and what learners get wrong."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gemini_workshop.exercises.core.battery.declaration import Battery
from gemini_workshop.exercises.core.comparison import number, same
from gemini_workshop.exercises.core.exercise import Arguments, Function, Say
from gemini_workshop.exercises.core.tools import drawing, vector
from gemini_workshop.exercises.lesson_11.tools import StateExercise
from gemini_workshop.training.plain_loop import clip_gradients

Gradients = Sequence[Tensor | None]


def _run(answer: Function, gradients: Gradients, max_norm: float) -> Any:
    """What the call returns, and the gradients after it. The weights come from a generator, as in a model."""
    weights = []
    for gradient in gradients:
        weight = nn.Parameter(torch.ones(3) if gradient is None else torch.ones_like(gradient))
        weight.grad = None if gradient is None else gradient.clone()
        weights.append(weight)
    norm = answer((weight for weight in weights), max_norm)
    return None if norm is None else [norm, *[weight.grad for weight in weights if weight.grad is not None]]


def _cases(generator: torch.Generator) -> list[Arguments]:
    draw = drawing(generator)
    return [
        ([torch.tensor([3.0, 4.0])], 1.0),
        ([torch.tensor([3.0]), torch.tensor([[4.0]])], 1.0),
        ([torch.tensor([0.03, -0.04]), torch.zeros(1)], 1.0),
        ([torch.tensor([6.0, -8.0]), None, torch.zeros(2, 1)], 2.0),
        ([draw(4, 3), 3 * draw(5), draw(2, 2, 3)], 1.5),
        ([0.01 * draw(4), 20 * draw(2, 6)], 5.0),
    ]


def _oracle(gradients: Gradients, max_norm: float) -> list[Any]:
    """The norm of all numbers in one long vector."""
    there = [gradient.double() for gradient in gradients if gradient is not None]
    norm = math.sqrt(sum(value**2 for gradient in there for value in gradient.flatten().tolist()))
    return [norm, *[(gradient / max(1.0, norm / max_norm)).float() for gradient in there]]


def _explain(function: Function, case: Arguments) -> str | None:
    (norm, *got), (needed_norm, *needed) = function(*case), _oracle(*case)
    given = [gradient for gradient in case[0] if gradient is not None]
    if not same(norm, needed_norm):
        shown = " and ".join(vector(gradient) for gradient in given if gradient.numel() < 4) or "the gradients"
        return f"With {shown} it returned {number(norm)} as the norm; {number(needed_norm)} is needed."
    for before, after, right in zip(given, got, needed, strict=True):
        if not same(after, right):
            i = slice(0, 4)
            return (
                f"All gradients together have norm {number(norm)}, max_norm={case[1]:g}. One that began with "
                f"{vector(before.flatten()[i])} became {vector(after.flatten()[i])}; {vector(right.flatten()[i])} is "
                "needed."
            )
    return None


def _total(gradients: Sequence[Tensor]) -> float:
    return math.sqrt(sum(float(gradient.square().sum()) for gradient in gradients))


def _factor(norm: float, max_norm: float) -> float:
    return min(1.0, max_norm / norm)


def _clip(
    weights: Iterable[Tensor],
    max_norm: float,
    *,
    total: Callable[[Sequence[Tensor]], float] = _total,
    factor: Callable[[float, float], float] = _factor,
    change: Callable[[Tensor, float], Any] = lambda gradient, factor: gradient.mul_(factor),
    returned: Callable[[float, float], float] = lambda norm, factor: norm,
) -> float:
    """Right but for the steps."""
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    norm = total(gradients)
    scale = factor(norm, max_norm)
    for gradient in gradients:
        change(gradient, scale)
    return returned(norm, scale)


def _each_by_itself(weights: Iterable[Tensor], max_norm: float) -> float:
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    norm = _total(gradients)
    for gradient in gradients:
        gradient.mul_(min(1.0, max_norm / max(float(gradient.norm()), 1e-9)))
    return norm


def _each_number(weights: Iterable[Tensor], max_norm: float) -> float:
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    norm = _total(gradients)
    for gradient in gradients:
        gradient.clamp_(-max_norm, max_norm)
    return norm


def _weights_instead(weights: Iterable[Tensor], max_norm: float) -> float:
    weights = list(weights)
    norm = _total([weight.detach() for weight in weights])
    if norm > max_norm:
        for weight in weights:
            weight.data.mul_(max_norm / norm)
    return norm


CLIP_GRADIENTS = StateExercise(
    id="11.5",
    minutes=8,
    difficulty=2,
    importance=4,
    reference=clip_gradients,
    oracle=_oracle,
    cases=_cases,
    run=_run,
    explain=_explain,
    misconceptions={
        "each tensor by itself": Say(
            "Each tensor is clipped by its own norm. That changes the direction of the whole gradient. Compute one "
            "norm over all tensors, and scale all of them by the same factor."
        ).to(_each_by_itself),
        "each number by itself": Say(
            "Each number is cut off at max_norm. That changes the direction of the gradient, and its norm can still be "
            "too large. Scale all numbers by one factor."
        ).to(_each_number),
        "small gradients enlarged": Say(
            "Small gradients are enlarged to max_norm. Clipping only makes them smaller: the factor is 1 at most."
        ).to(_clip, factor=lambda norm, max_norm: max_norm / norm),
        "scaled to norm 1": Say(
            "The gradient is brought to norm 1, and max_norm only decides whether. Its norm should be max_norm."
        ).to(_clip, factor=lambda norm, max_norm: 1 / norm if norm > max_norm else 1.0),
        "never clipped": Say(
            "The norm is right, but the gradients stay as they were. Two things lead here: `gradient = gradient * "
            "factor` gives a name to a new tensor, where `gradient *= factor` changes the old one; and a generator "
            "such as `model.parameters()` can be read only once: make a list of it first."
        ).to(_clip, change=lambda gradient, factor: None),
        "norm after clipping": Say(
            "It returns the norm after clipping. That is max_norm whenever something happens; the norm before is what "
            "shows a run in trouble."
        ).to(_clip, returned=lambda norm, factor: norm * factor),
        "factor returned": Say("It returns the factor. The norm before clipping is needed.").to(
            _clip, returned=lambda norm, factor: factor
        ),
        "no root": Say("The root is missing: this is the square of the norm.").to(
            _clip, total=lambda gradients: _total(gradients) ** 2
        ),
        "norms added up": Say(
            "The norms of the tensors are added up. Squares can be added, norms cannot: 3 and 4 give 5. Add the "
            "squares, then take the root."
        ).to(_clip, total=lambda gradients: sum(float(gradient.norm()) for gradient in gradients)),
        "largest norm": Say(
            "The largest norm of a tensor is taken. All tensors together are one long vector: add their squares."
        ).to(_clip, total=lambda gradients: max(float(gradient.norm()) for gradient in gradients)),
        "largest number": Say("The largest number is taken in place of the norm, the root of the sum of squares.").to(
            _clip, total=lambda gradients: max(float(gradient.abs().max()) for gradient in gradients)
        ),
        "absolute values added up": Say(
            "Absolute values are added up. The norm is the root of the sum of the squares."
        ).to(_clip, total=lambda gradients: sum(float(gradient.abs().sum()) for gradient in gradients)),
        "root of the mean square": Say(
            "This is the root of the *mean* of the squares. The norm is the root of their sum, which grows with the "
            "number of weights."
        ).to(
            _clip,
            total=lambda gradients: _total(gradients) / math.sqrt(sum(gradient.numel() for gradient in gradients)),
        ),
        "factor upside down": Say(
            "The factor is upside down: it makes large gradients larger. It is max_norm / norm."
        ).to(_clip, factor=lambda norm, max_norm: max(1.0, norm / max_norm)),
        "only the last tensor": Say("Only the last tensor's norm is taken: the sum starts again in the loop.").to(
            _clip, total=lambda gradients: float(gradients[-1].norm())
        ),
        "set to zero": Say(
            "A gradient that is too large is thrown away: all is set to zero. Keep its direction, and shorten it."
        ).to(_clip, factor=lambda norm, max_norm: 0.0 if norm > max_norm else 1.0),
        "the weights": Say(
            "The weights are measured and scaled. It is their gradients that should be: `weight.grad`."
        ).to(_weights_instead),
    },
    battery=Battery(gradients=False),
    hints=(
        "Think of all gradients as one long vector. What is its norm, if one tensor has norm 3 and another norm 4?",
        "First loop: add up `weight.grad.square().sum()`, then the root. Second loop, only if that is larger than "
        "max_norm: multiply every `weight.grad` in place by max_norm / norm. Make a list of the weights first.",
        "`gradients = [w.grad for w in weights if w.grad is not None]`, "
        "`norm = sum(float(g.square().sum()) for g in gradients) ** 0.5`, and `g.mul_(max_norm / norm)` for each.",
    ),
)
