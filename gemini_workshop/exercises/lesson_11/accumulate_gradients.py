"""Exercise 11.6, ``accumulate_gradients``: its cases, and what learners get wrong."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gemini_workshop.data.batches.batch import IGNORE_INDEX
from gemini_workshop.exercises.core.attempt import UnfitAnswer
from gemini_workshop.exercises.core.comparison import number, same
from gemini_workshop.exercises.core.exercise import Arguments, Function, Say
from gemini_workshop.exercises.core.tools import drawing, vector
from gemini_workshop.exercises.lesson_11.cross_entropy import CROSS_ENTROPY
from gemini_workshop.exercises.lesson_11.tools import (
    GRADIENTS_BY_HAND,
    PairScores,
    Parts,
    StateExercise,
    loss_and_gradients,
    unequal_parts,
)
from gemini_workshop.training.losses import cross_entropy
from gemini_workshop.training.plain_loop import accumulate_gradients

GRAPH_KEPT = (
    "The loss comes back as a tensor that still hangs on the computation, so that all of it stays in memory. Return a "
    "number: `.item()` makes one."
)


def _run(answer: Function, table: Tensor, parts: Parts, before: float = 0.0) -> Any:
    """What the call returns, and the gradients that it leaves in the smallest of all language models.

    Args:
        before: what the gradients are before the call; at 0 there are none.
    """
    model = PairScores(table)
    for weight in model.parameters() if before else ():
        weight.grad = torch.full_like(weight, before)
    loss = answer(model, [(inputs.clone(), targets.clone()) for inputs, targets in parts])
    if isinstance(loss, Tensor) and loss.requires_grad:
        raise UnfitAnswer(GRAPH_KEPT)
    gradients = [torch.zeros_like(w) if w.grad is None else w.grad for w in model.parameters()]
    return None if loss is None else [float(loss), *gradients]


def _cases(generator: torch.Generator) -> list[Arguments]:
    draw = drawing(generator)
    return [
        (draw(3, 3), unequal_parts(generator, 3, [(1, 4)], 0)),
        (draw(5, 5), unequal_parts(generator, 5, [(2, 4), (2, 4)], 0)),
        (draw(5, 5), unequal_parts(generator, 5, [(2, 4), (2, 4)], 7)),
        (draw(6, 6), unequal_parts(generator, 6, [(3, 5), (1, 5), (2, 5)], 11)),
        (draw(4, 4), unequal_parts(generator, 4, [(1, 4), (1, 4)], 1), 1.0),
    ]


def _oracle(table: Tensor, parts: Parts, before: float = 0.0) -> list[Any]:
    loss, gradients = loss_and_gradients(table, PairScores(table).bias.detach(), parts)
    return [float(loss), *[gradient.float() + before for gradient in gradients]]


def _explain(function: Function, case: Arguments) -> str | None:
    (loss, *gradients), (needed_loss, *needed) = function(*case), _oracle(*case)
    counts = [int((targets != IGNORE_INDEX).sum()) for _, targets in case[1]]
    given = f"{len(counts)} part{'s' * (len(counts) > 1)} with {' and '.join(map(str, counts))} targets that count"
    if len(case) > 2:
        given += f", and gradients of {number(case[2])} from before"
    if not same(gradients[1], needed[1]):
        i = slice(0, 3)
        one, other = vector(gradients[1][i]), vector(needed[1][i])
        return f"{given}: the gradient of the bias begins with {one}; {other} is needed."
    if not same(loss, needed_loss):
        return f"{given}: it returned {number(loss)} as the loss; {number(needed_loss)} is needed."
    return None


def _accumulate(
    model: nn.Module,
    parts: Parts,
    *,
    count: Callable[[Tensor], int] = lambda targets: int((targets != IGNORE_INDEX).sum()),
    weight: Callable[[int, list[int]], float] = lambda own, counts: own / sum(counts),
    before: Callable[[nn.Module], Any] = lambda model: None,
    returned: Callable[[list[float], list[float]], float] = lambda losses, weights: sum(
        loss * weight for loss, weight in zip(losses, weights, strict=True)
    ),
    returned_weight: Callable[[int, list[int]], float] | None = None,
) -> float:
    """Right but for the steps."""
    counts = [count(targets) for _, targets in parts]
    losses, weights = [], []
    for (inputs, targets), own in zip(parts, counts, strict=True):
        before(model)
        loss = cross_entropy(model(inputs), targets)
        (loss * weight(own, counts)).backward()
        losses.append(loss.item())
        weights.append((returned_weight or weight)(own, counts))
    return returned(losses, weights)


def _right_weight(own: int, counts: list[int]) -> float:
    return own / sum(counts)


def _never_backward(model: nn.Module, parts: Parts) -> float:
    counts = [int((targets != IGNORE_INDEX).sum()) for _, targets in parts]
    pairs = zip(parts, counts, strict=True)
    return sum(cross_entropy(model(x), targets).item() * own for (x, targets), own in pairs) / sum(counts)


def _divides_at_the_end(model: nn.Module, parts: Parts) -> float:
    number_of_targets = sum(int((targets != IGNORE_INDEX).sum()) for _, targets in parts)
    loss = _accumulate(model, parts, weight=lambda own, counts: float(own), returned_weight=_right_weight)
    for parameter in model.parameters():
        parameter.grad = None if parameter.grad is None else parameter.grad / number_of_targets
    return loss


def _forgets(model: nn.Module, parts: Parts) -> float:
    model.zero_grad()
    return _accumulate(model, parts)


def _only_the_last_backward(model: nn.Module, parts: Parts) -> float:
    loss = _never_backward(model, parts)
    counts = [int((targets != IGNORE_INDEX).sum()) for _, targets in parts]
    inputs, targets = parts[-1]
    (cross_entropy(model(inputs), targets) * counts[-1] / sum(counts)).backward()
    return loss


ACCUMULATE_GRADIENTS = StateExercise(
    id="11.6",
    minutes=10,
    difficulty=3,
    importance=4,
    reference=accumulate_gradients,
    oracle=_oracle,
    cases=_cases,
    run=_run,
    explain=_explain,
    misconceptions={
        "mean of the parts' means": Say(
            "The parts' means are averaged. A target in a part with few of them then weighs more than one in a full "
            "part. Weight each part's mean by its number of targets, divided by the number in all parts."
        ).to(_accumulate, weight=lambda own, counts: 1 / len(counts)),
        "gradients of the parts' means": Say(
            "The loss is right; the gradients are those of the average of the parts' means. Scale the loss by its "
            "targets over all targets *before* `backward`."
        ).to(_accumulate, weight=lambda own, counts: 1 / len(counts), returned_weight=_right_weight),
        "added up": Say(
            "The parts' means are added up, so that a batch in three parts has three times the gradient. Together the "
            "parts should give the mean over all targets."
        ).to(_accumulate, weight=lambda own, counts: 1.0),
        "gradients added up": Say(
            "The loss is right, but the gradients of the parts' means are added up. Scale the loss by its targets over "
            "all targets *before* `backward`: what comes after it does not reach the gradients."
        ).to(_accumulate, weight=lambda own, counts: 1.0, returned_weight=_right_weight),
        "sum over all targets": Say(
            "This is the sum over all targets. Divide by their number, so that the learning rate does not depend on "
            "the size of the batch."
        ).to(_accumulate, weight=lambda own, counts: float(own)),
        "ignored targets counted": Say(
            "Ignored targets are counted as well. A part's weight is the number of its targets that are not "
            "IGNORE_INDEX."
        ).to(_accumulate, count=lambda targets: targets.numel()),
        "gradient of the last part": Say(
            "Only the last part's gradient is left. The gradients are set to zero before each part, although "
            "`backward` adds to what is there, and that is what is wanted here."
        ).to(_accumulate, before=lambda model: model.zero_grad()),
        "backward after the loop": Say(
            "Only the last part's gradient arrives in the weights. `backward` runs after the loop instead of in it."
        ).to(_only_the_last_backward),
        "old gradients forgotten": Say(
            "The gradients that were there before are gone. This function adds to them; `train_step` is where old "
            "gradients are set to zero."
        ).to(_forgets),
        "old gradients divided, too": Say(
            "The gradients are divided after all parts have been added. What was in `weight.grad` before the call, to "
            "which this function adds, is divided as well. Scale each part's loss *before* `backward`."
        ).to(_divides_at_the_end),
        "no backward": Say(
            "The loss is right, and no gradient arrives in the weights. Call `backward()` on each part's loss."
        ).to(_never_backward),
        "loss of the last part": Say(
            "The gradients are right; it returns the loss of the last part. Add up the losses of all parts."
        ).to(_accumulate, returned=lambda losses, weights: losses[-1]),
        "weighted loss of the last part": Say(
            "The gradients are right; it returns the last part's contribution to the loss. Add up those of all parts."
        ).to(_accumulate, returned=lambda losses, weights: losses[-1] * weights[-1]),
        "plain mean of the losses": Say(
            "The gradients are right; the loss that it returns is the plain average over the parts. Add up the same "
            "weighted losses of which you took the gradients."
        ).to(_accumulate, returned=lambda losses, weights: sum(losses) / len(losses)),
        "sum of the losses": Say(
            "The gradients are right; the loss that it returns is the sum of the parts' means. Add up the weighted "
            "losses."
        ).to(_accumulate, returned=lambda losses, weights: sum(losses)),
        "uphill": Say("The gradients point the other way. Call `backward` on the loss itself, not on its negative.").to(
            _accumulate, weight=lambda own, counts: -own / sum(counts), returned_weight=_right_weight
        ),
    },
    parts=(CROSS_ENTROPY,),
    imports=GRADIENTS_BY_HAND,
    hints=(
        "Two parts have 1 and 9 targets that count, with mean losses of 4 and 2. What is the mean over all ten "
        "targets? By what did you multiply the 4?",
        "First count the targets that count, part by part. Then a loop: `cross_entropy(...)` times this part's count "
        "over the count of all, `.backward()`, and add its `.item()` to the total.",
        "`loss = cross_entropy(model(inputs), targets) * count / sum(counts)`, then `loss.backward()`.",
    ),
)
