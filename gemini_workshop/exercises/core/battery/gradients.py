"""Does training reach back through the answer, and with the right gradients?

Gradients are compared with the reference's, for one fixed sum of the results, with respect to every floating-point
input and parameter; where they differ, once more in float64. Values are right when this is asked, so that a wrong
gradient means that something on the way is hidden from autograd.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from gemini_workshop.exercises.core.attempt import Attempt, CrashedError
from gemini_workshop.exercises.core.battery.tracing import Traced, in_kind, mapped, tensors_in, weighted_sum
from gemini_workshop.exercises.core.exercise import Arguments, Exercise
from gemini_workshop.exercises.core.messages import explained
from gemini_workshop.exercises.core.plain import message_of
from gemini_workshop.exercises.core.pristine import put_back

CLOSE = 2e-3
NEAR, SAME = 1e-4, 2e-2
CUTS = {"detach": "`.detach()`", "detach_": "`.detach_()`"}
LEAVES_TORCH = {"numpy": "NumPy", "__array__": "NumPy", "item": "`.item()`", "tolist": "`.tolist()`"}
NUMBERS = {"__float__": "`float()`", "__index__": "`int()`", "__int__": "`int()`", "__bool__": "a comparison"}


class Watch(TorchFunctionMode):
    """Notes what a computation does that hides it from autograd."""

    def __init__(self) -> None:
        super().__init__()
        self.cuts: list[str] = []
        self.leaves_torch: list[str] = []

    def forget(self, cuts: list[str]) -> None:
        """Leave out what the reference does as well, such as counting under no_grad."""
        self.cuts = [cut for cut in self.cuts if cut not in cuts]

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if not torch.is_grad_enabled():
            self.cuts.append("`torch.no_grad()`")
        if name == "__get__" and getattr(func, "__self__", None) is Tensor.data:
            self.cuts.append("`.data`")
        if name in CUTS:
            self.cuts.append(CUTS[name])
        if name in LEAVES_TORCH | NUMBERS:
            self.leaves_torch.append((LEAVES_TORCH | NUMBERS)[name])
        return func(*args, **(kwargs or {}))


def gradient_problem(exercise: Exercise, answer: Any, cases: list[Arguments]) -> tuple[str, ...] | None:
    """A sentence about the first case in which a gradient is missing or wrong."""
    for case in cases:
        needed = asked(exercise, case)
        line = _graph_left(exercise, answer, case) if needed is None else _compare(exercise, answer, case, needed)
        if line and not (needed and _is_rounding(exercise, answer, case)):
            return (line,)
    return None


def _is_rounding(exercise: Exercise, answer: Any, case: Arguments) -> bool:
    """Whether gradients that differ agree in float64: of a softmax that is nearly 0 or 1 they are rounding errors."""
    in_float64 = in_kind(case, torch.float64)
    try:
        torch.set_default_dtype(torch.float64)
        needed = asked(exercise, in_float64)
        return bool(needed) and _compare(exercise, answer, in_float64, needed or {}) is None
    except (CrashedError, RuntimeError):  # a model among the arguments stays in float32
        return False
    finally:
        put_back()


def asked(exercise: Exercise, case: Arguments) -> dict[str, Tensor] | None:
    """The gradients of the reference by name, of which some may not be asked for; None if it has none."""
    if not exercise.battery.gradients:
        return {}
    needed = _taken(exercise.traced(exercise.reference, case))
    if needed and not _is_smooth(case) and not _stays_the_same(exercise, case, needed):
        return {}
    return needed and {name: value for name, value in needed.items() if name not in exercise.battery.constants}


def _is_smooth(case: Arguments) -> bool:
    """Whether no number of a case is zero or occurs twice: there a curve may have a corner, and several slopes."""
    floats = [tensor.flatten().double() for tensor in tensors_in(case) if tensor.is_floating_point()]
    numbers = torch.cat(floats) if floats else torch.ones(1)
    return len(numbers.unique()) == len(numbers) and bool(numbers.all())


def _stays_the_same(exercise: Exercise, case: Arguments, needed: dict[str, Tensor]) -> bool:
    """Whether a little to either side the gradients are as they are here, so that there is no corner after all."""
    largest = max(float(gradient.abs().max()) for gradient in needed.values() if gradient.numel())
    for sign in (1, -1):
        generator = torch.Generator().manual_seed(11)
        beside = tuple(mapped(each, partial(_moved, by=sign * NEAR, generator=generator)) for each in case)
        found = _taken(exercise.traced(exercise.reference, beside))
        if found is None or not all(_is_near(found[name], gradient, largest) for name, gradient in needed.items()):
            return False
    return True


def _moved(tensor: Tensor, *, by: float, generator: torch.Generator) -> Tensor:
    noise = torch.rand(tensor.shape, generator=generator) + 0.5
    return tensor + by * noise if tensor.is_floating_point() else tensor


def _is_near(found: Tensor, gradient: Tensor, largest: float) -> bool:
    return bool(((found - gradient).abs() <= SAME * gradient.abs().max() + 1e-3 * largest + 1e-6).all())


def _taken(traced: Traced) -> dict[str, Tensor] | None:
    total = weighted_sum(traced.call())
    if total is None or not total.requires_grad or not traced.leaves:
        return None
    leaves = {name: leaf for name, leaf in traced.leaves.items() if leaf.requires_grad}
    found = torch.autograd.grad(total, list(leaves.values()), allow_unused=True)
    return {
        name: torch.zeros_like(leaf) if gradient is None else gradient
        for (name, leaf), gradient in zip(leaves.items(), found, strict=True)
    }


def _compare(exercise: Exercise, answer: Any, case: Arguments, needed: dict[str, Tensor]) -> str | None:
    if not needed:
        return None
    traced, watch = exercise.traced(answer, case), Watch()
    if frozen := next((n for n in needed if n in traced.leaves and not traced.leaves[n].requires_grad), None):
        return f"`{frozen}` has requires_grad=False: no optimizer will change it. Leave it on."
    try:
        with torch.enable_grad():
            found = _quietly(lambda: _watched(traced, watch))
        watch.forget(_cuts_of_reference(exercise, case) if watch.cuts else [])
    except CrashedError as crash:
        return _crashed(exercise, crash, watch)
    if _leaves_torch(exercise, watch):
        return None
    if found is None:
        return _nothing_reaches(needed, watch)
    return next(filter(None, (_difference(name, found[name], needed[name], watch) for name in needed)), None)


def _watched(traced: Traced, watch: Watch) -> dict[str, Tensor] | None:
    return _taken(Traced(lambda: _under(watch, traced.call), traced.leaves))


def _cuts_of_reference(exercise: Exercise, case: Arguments) -> list[str]:
    watch = Watch()
    _under(watch, exercise.traced(exercise.reference, case).call)
    return watch.cuts


def _under(watch: Watch, call: Callable[[], Any]) -> Any:
    with watch:
        result = call()
    put_back()
    return result


def _quietly(work: Callable[[], Any]) -> Any:
    return Attempt(work)()


def _crashed(exercise: Exercise, crash: CrashedError, watch: Watch) -> str | None:
    if exercise.battery.untrained and ("numpy" in message_of(crash.cause) or _leaves_torch(exercise, watch)):
        return None
    message = message_of(crash.cause)[:200]
    meaning = explained(crash.cause, {}) or f"with inputs that collect gradients it fails with `{message}`."
    return f"The values are right, but they cannot be trained. {meaning}"


def _leaves_torch(exercise: Exercise, watch: Watch) -> bool:
    """Whether an answer, by NumPy or number by number, has no gradient where none is needed."""
    return bool(exercise.battery.untrained and watch.leaves_torch and not watch.cuts)


def _nothing_reaches(needed: dict[str, Tensor], watch: Watch) -> str:
    names = ", ".join(f"`{name}`" for name in [name for name, gradient in needed.items() if gradient.any()][:3])
    return (
        f"The values are right, but no gradient reaches {names}: nothing could be trained through this. {_cause(watch)}"
    )


def _cause(watch: Watch) -> str:
    causes = list(dict.fromkeys([*watch.cuts, *watch.leaves_torch]))
    if causes:
        return f"It is cut off by {' and '.join(causes[:2])}. Compute with PyTorch's functions all the way."
    return "Is the result made of numbers instead of tensors on the way?"


def _difference(name: str, found: Tensor, needed: Tensor, watch: Watch) -> str | None:
    if found.shape == needed.shape and bool((found - needed).norm() <= CLOSE * needed.norm() + 1e-6):
        return None
    where = f"no gradient reaches `{name}`" if not found.any() else f"the gradient of `{name}` is wrong"
    rows = (found.flatten(1) == 0).all(1) & (needed.flatten(1) != 0).any(1) if needed.ndim > 1 else None
    if rows is not None and bool(rows.any()) and found.any():
        where = f"row {int(rows.nonzero()[0])} of `{name}` gets no gradient"
    cause = f" It is cut off by {[*watch.cuts, *watch.leaves_torch][0]}." if watch.cuts or watch.leaves_torch else ""
    return (
        f"The values are right, but {where}: training would go astray without a word.{cause} Part of the computation "
        "is hidden from autograd, or counted twice; let it follow every step."
    )


def _graph_left(exercise: Exercise, answer: Any, case: Arguments) -> str | None:
    """Whether the result still hangs on a graph where the reference's does not."""
    if _quietly(lambda: _collects(exercise, answer, case)) and not _collects(exercise, exercise.reference, case):
        return (
            "The result still collects gradients: it cannot be drawn or turned into NumPy, and keeps the whole "
            "computation in memory. Leave `create_graph` and `nn.Parameter` off, or detach what you return."
        )
    return None


def _collects(exercise: Exercise, function: Any, case: Arguments) -> bool:
    result = exercise.as_function(function)(*case)
    put_back()
    return any(tensor.requires_grad for tensor in tensors_in(result))
