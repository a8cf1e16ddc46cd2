"""Exercise 11.3, ``adamw_step``: its cases, and what learners get wrong."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gemini_workshop.exercises.core.attempt import UnfitAnswer
from gemini_workshop.exercises.core.battery.declaration import Battery
from gemini_workshop.exercises.core.comparison import same
from gemini_workshop.exercises.core.exercise import Arguments, Function, Say
from gemini_workshop.exercises.core.tools import drawing, vector
from gemini_workshop.exercises.lesson_11.tools import StateExercise
from gemini_workshop.training.optimizers.adamw import adamw_step

NAMES = ("weight", "mean", "square")
UNCHANGED = (
    "It returned nothing and changed nothing. `weight`, `mean` and `square` have to change in place, as in "
    "`weight -= ...`: `weight = weight - ...` gives the name to a new tensor and leaves the old one as it was. A "
    "change in place is needed."
)

GRADIENT_CHANGED = (
    "It changes its argument `gradient`, which others may read after the step, to print its norm for example. Compute "
    "with a new tensor: no `+=` and no method that ends in `_` on it."
)


def _run(answer: Function, weight: Tensor, gradient: Tensor, mean: Tensor, square: Tensor, *rest: Any) -> list[Tensor]:
    """What the three tensors hold after the call."""
    changed, given = (weight.clone(), mean.clone(), square.clone()), gradient.clone()
    result = answer(changed[0], given, changed[1], changed[2], *rest)
    if not same(given, gradient):
        raise UnfitAnswer(GRADIENT_CHANGED)
    if result is None and all(map(torch.equal, changed, (weight, mean, square))):
        raise UnfitAnswer(UNCHANGED)
    return list(changed)


def _cases(generator: torch.Generator) -> list[Arguments]:
    draw = drawing(generator)
    first = torch.tensor([1.0, -3.0]), torch.tensor([0.5, -4.0]), torch.zeros(2), torch.zeros(2)
    small = 1e-4 * draw(3)
    return [
        (*first, 1, 0.1, 0.9, 0.99, 1e-8, 0.0),
        (*first, 1, 0.1, 0.9, 0.99, 1e-8, 0.5),
        (draw(2, 3), draw(2, 3), draw(2, 3), draw(2, 3).square(), 4, 0.2, 0.8, 0.95, 1e-3, 0.3),
        (draw(5), draw(5), 0.1 * draw(5), draw(5).square(), 20, 0.05, 0.9, 0.95, 1e-8, 0.1),
        (draw(3), small, 0.5 * small, small.square(), 7, 0.1, 0.9, 0.95, 1e-4, 0.0),
        (draw(2, 2, 3), draw(2, 2, 3), draw(2, 2, 3), draw(2, 2, 3).square(), 2, 0.1, 0.7, 0.6, 1e-2, 1.0),
    ]


def _oracle(
    weight: Tensor,
    gradient: Tensor,
    mean: Tensor,
    square: Tensor,
    step: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
) -> list[Tensor]:
    """PyTorch's own optimizer, continued from this state."""
    parameter = torch.nn.Parameter(weight.double())
    optimizer = torch.optim.AdamW([parameter], lr, (beta1, beta2), eps, weight_decay, foreach=False)
    state = {"step": torch.tensor(float(step - 1)), "exp_avg": mean.double(), "exp_avg_sq": square.double()}
    optimizer.state[parameter] = {name: value.clone() for name, value in state.items()}
    parameter.grad = gradient.double()
    optimizer.step()
    after = optimizer.state[parameter]
    return [each.detach().float() for each in (parameter, after["exp_avg"], after["exp_avg_sq"])]


def _explain(function: Function, case: Arguments) -> str | None:
    """The first of the three that is wrong: the means come before the weight."""
    found = list(zip(NAMES, function(*case), _oracle(*case), strict=True))
    gradient, step, (lr, beta1, beta2, eps, decay) = case[1], case[4], case[5:]
    for name, got, needed in (*found[1:], found[0]):
        if not same(got, needed):
            index = int((got - needed).abs().nan_to_num(nan=torch.inf).argmax())
            i = slice(index, index + 1)
            before = vector(dict(zip(NAMES, (case[0], case[2], case[3]), strict=True))[name].flatten()[i])
            settings = f"step={step}, lr={lr:g}, beta1={beta1:g}, beta2={beta2:g}, eps={eps:g}, weight_decay={decay:g}"
            return (
                f"A number of `{name}` was {before[1:-1]} and became {vector(got.flatten()[i])[1:-1]}; "
                f"{vector(needed.flatten()[i])[1:-1]} is needed (gradient {vector(gradient.flatten()[i])[1:-1]}, "
                f"{settings})."
            )
    return None


def _adamw(
    weight: Tensor,
    gradient: Tensor,
    mean: Tensor,
    square: Tensor,
    step: int,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.95,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    *,
    before: bool = False,
    seen: Callable[[Tensor, Tensor, float], Tensor] = lambda gradient, weight, decay: gradient,
    new_mean: Callable[..., Tensor] = lambda mean, gradient, beta: beta * mean + (1 - beta) * gradient,
    new_square: Callable[..., Tensor] = lambda square, gradient, beta: beta * square + (1 - beta) * gradient**2,
    correction: Callable[[float, int], float] = lambda beta, step: 1 - beta**step,
    ratio: Callable[..., Tensor] = lambda mean, square, eps: mean / (square.sqrt() + eps),
    decayed: Callable[[Tensor, float, float], Tensor] = lambda weight, lr, decay: weight * (1 - lr * decay),
) -> None:
    """Right but for the steps."""
    gradient = seen(gradient, weight, weight_decay)
    used = (mean.clone(), square.clone()) if before else (mean, square)
    mean.copy_(new_mean(mean, gradient, beta1))
    square.copy_(new_square(square, gradient, beta2))
    update = ratio(used[0] / correction(beta1, step), used[1] / correction(beta2, step), eps)
    weight.copy_(decayed(weight, lr, weight_decay) - lr * update)


def _adamw_with_swapped_betas(w: Tensor, g: Tensor, m: Tensor, s: Tensor, step: int, lr: float, *rest: float) -> None:
    _adamw(w, g, m, s, step, lr, rest[1], rest[0], *rest[2:])


def _mean_kept_corrected(w: Tensor, g: Tensor, m: Tensor, s: Tensor, step: int, lr: float, *rest: Any) -> None:
    _adamw(w, g, m, s, step, lr, *rest)
    m.div_(1 - rest[0] ** step)
    s.div_(1 - rest[1] ** step)


def _eps_first(w: Tensor, g: Tensor, m: Tensor, s: Tensor, step: int, lr: float, *rest: Any) -> None:
    corrected = rest[2] / (1 - rest[1] ** step) ** 0.5
    _adamw(w, g, m, s, step, lr, *rest[:2], corrected, *rest[3:])


def _ahead(w: Tensor, g: Tensor, m: Tensor, s: Tensor, step: int, lr: float, *rest: Any) -> None:
    beta = rest[0]
    mixed = lambda mean: (beta * mean + (1 - beta) * g) / (1 - beta**step)  # noqa: E731
    _adamw(w, g, m, s, step, lr, *rest, ratio=lambda _, square, eps: mixed(m) / (square.sqrt() + eps))


def _squared_mean(w: Tensor, g: Tensor, m: Tensor, s: Tensor, step: int, lr: float, *rest: Any) -> None:
    _adamw(w, g, m, s, step, lr, *rest, new_square=lambda square, _, beta: beta * square + (1 - beta) * m**2)


def _decayed_last(w: Tensor, g: Tensor, m: Tensor, s: Tensor, step: int, lr: float, *rest: Any) -> None:
    _adamw(w, g, m, s, step, lr, *rest[:3], weight_decay=0.0)
    w.mul_(1 - lr * rest[3])


def _means_not_kept(w: Tensor, g: Tensor, m: Tensor, s: Tensor, step: int, lr: float, *rest: Any) -> None:
    _adamw(w, g, m.clone(), s.clone(), step, lr, *rest)


def _weight_rebound(w: Tensor, g: Tensor, m: Tensor, s: Tensor, step: int, lr: float, *rest: Any) -> None:
    _adamw(w.clone(), g, m, s, step, lr, *rest)


def _uphill(w: Tensor, g: Tensor, m: Tensor, s: Tensor, step: int, lr: float, *rest: Any) -> None:
    _adamw(w, g, m, s, step, -lr, *rest[:3], weight_decay=-rest[3])


ADAMW_STEP = StateExercise(
    id="11.3",
    minutes=12,
    difficulty=3,
    importance=5,
    reference=adamw_step,
    oracle=_oracle,
    cases=_cases,
    run=_run,
    explain=_explain,
    misconceptions={
        "nothing in place": Say(
            "The results come back as new tensors, and the three that were given are as before. The model holds the "
            "old weight, the optimizer the old means. Change them in place: `weight -= ...`, or `weight.sub_(...)`."
        ).to(lambda weight, gradient, mean, square, *rest: (weight, mean, square)),
        "weight not changed": Say(
            "The running means change, the weight does not. `weight = weight - ...` gives the name to a new tensor; "
            "the model holds the old one. Change it in place: `weight -= ...`, or `weight.sub_(...)`."
        ).to(_weight_rebound),
        "means not kept": Say(
            "The weight changes, the running means do not: `mean = ...` gives the name to a new tensor, and at the "
            "next step the old one is back. Change both in place, as the weight."
        ).to(_means_not_kept),
        "no bias correction": Say(
            "The running means are used as they are. Both began at zero, so at first they are much too small; divide "
            "by 1 - beta**step."
        ).to(_adamw, correction=lambda beta, step: 1.0),
        "correction of the step before": Say(
            "The correction counts the steps from 0. The first step has the number 1, and needs 1 - beta."
        ).to(_adamw, correction=lambda beta, step: 1 - beta ** max(step - 1, 1) if step > 1 else 1 - beta),
        "correction by 1 - beta": Say(
            "Every step is corrected by 1 - beta. That is right for the first one only: later the means have seen "
            "more, and 1 - beta**step comes closer to 1."
        ).to(_adamw, correction=lambda beta, step: 1 - beta),
        "corrected means are kept": Say(
            "The corrected means are written back, so that they are corrected again at each step. Correct a copy: "
            "`mean` and `square` stay as they are."
        ).to(_mean_kept_corrected),
        "decay in the gradient": Say(
            "The decay is added to the gradient (L2). Then it is divided by the root of the square as well, and "
            "weights with large gradients hardly decay. In AdamW it is separate: that is the W."
        ).to(_adamw, seen=lambda gradient, weight, decay: gradient + decay * weight, decayed=lambda w, lr, decay: w),
        "no decay": Say("The weight does not decay. Pull it towards zero by lr · weight_decay of itself.").to(
            _adamw, decayed=lambda weight, lr, decay: weight
        ),
        "decay without the rate": Say(
            "The decay is not multiplied by the learning rate: with a decay of 1 every weight would be gone after one "
            "step. Pull by lr · weight_decay."
        ).to(_adamw, decayed=lambda weight, lr, decay: weight * (1 - decay)),
        "decay away from zero": Say(
            "The decay has the wrong sign: it pushes every weight away from zero. Subtract it."
        ).to(_adamw, decayed=lambda weight, lr, decay: weight * (1 + lr * decay)),
        "decay after the step": Say(
            "The weight decays after the step, so that the new step decays, too. Pull the old weight towards zero "
            "first, then take the step."
        ).to(_decayed_last),
        "eps under the root": Say(
            "eps is added under the root. Where gradients are tiny that is a different number. Take the root first, "
            "then add eps."
        ).to(_adamw, ratio=lambda mean, square, eps: mean / (square + eps).sqrt()),
        "eps before the correction": Say(
            "eps is added to the root of the square as it is, and the correction comes after it. In the first steps "
            "that eps counts several times as much. Correct the square, take its root, then add eps."
        ).to(_eps_first),
        "eps as a floor": Say(
            "eps is the smallest divisor here (`clamp`, `max`). It is added, so that it always counts a little."
        ).to(_adamw, ratio=lambda mean, square, eps: mean / square.sqrt().clamp(min=eps)),
        "weight before the means": Say(
            "The weight moves by the means of the step before; the new gradient enters them afterwards. Update both "
            "means first."
        ).to(_adamw, before=True),
        "one gradient ahead": Say(
            "The new gradient is mixed into the mean once more before the step. That is Nesterov's variant (NAdam); "
            "Adam uses the running mean as it is."
        ).to(_ahead),
        "no root": Say(
            "The mean is divided by the square, not by its root. Then a gradient ten times as large gives a step ten "
            "times *smaller*."
        ).to(_adamw, ratio=lambda mean, square, eps: mean / (square + eps)),
        "not divided": Say(
            "The step is the mean gradient itself: this is momentum. Divide it by the root of the mean square, so that "
            "every number moves by about the learning rate."
        ).to(_adamw, ratio=lambda mean, square, eps: mean),
        "the gradient instead of its mean": Say(
            "The step uses the gradient itself; the running mean is updated and then forgotten."
        ).to(
            lambda w, g, m, s, step, lr, *rest: _adamw(
                w, g, m, s, step, lr, *rest, ratio=lambda mean, square, eps: g / (square.sqrt() + eps)
            )
        ),
        "square of the mean": Say(
            "The mean is squared, where the mean of the squares is needed. The two differ by how much the gradient "
            "varies, which is what Adam wants to know."
        ).to(_squared_mean),
        "absolute value instead of the square": Say(
            "`square` collects the gradient's size, not its square. Square each number, and take the root at the end."
        ).to(_adamw, new_square=lambda square, gradient, beta: beta * square + (1 - beta) * gradient.abs()),
        "gradient not weighted": Say(
            "The gradient is added to the running means in full. Its weight is 1 - beta, so that mean and gradient "
            "have the same size."
        ).to(
            _adamw,
            new_mean=lambda mean, gradient, beta: beta * mean + gradient,
            new_square=lambda square, gradient, beta: beta * square + gradient**2,
        ),
        "weights of past and present swapped": Say(
            "The past has the weight 1 - beta, and the new gradient beta. With beta = 0.9 it is the past that should "
            "have 0.9: that makes the mean slow."
        ).to(
            _adamw,
            new_mean=lambda mean, gradient, beta: (1 - beta) * mean + beta * gradient,
            new_square=lambda square, gradient, beta: (1 - beta) * square + beta * gradient**2,
        ),
        "betas swapped": Say(
            "beta1 and beta2 are swapped. beta1 belongs to the mean of the gradient, beta2 to that of its square."
        ).to(_adamw_with_swapped_betas),
        "uphill": Say("The weight moves along the gradient, uphill. Subtract the step.").to(_uphill),
    },
    imports=("torch._dynamo",),  # every optimizer of PyTorch imports it
    battery=Battery(gradients=False),
    hints=(
        "Three tensors change, in this order: `mean`, `square`, `weight`. Each line of the formula is a line of code. "
        "Use operations that change a tensor in place, such as `mul_`, `add_`, `sub_`, `lerp_`.",
        "`mean.mul_(beta1).add_((1 - beta1) * gradient)`, and the same for `square` with beta2 and `gradient**2`. Then "
        "corrected copies: `mean / (1 - beta1**step)`. The weight first shrinks by 1 - lr · weight_decay.",
        "The last line: `weight.mul_(1 - lr * weight_decay).sub_(lr * corrected_mean / (corrected_square.sqrt() + "
        "eps))`",
    ),
)
