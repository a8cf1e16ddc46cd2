"""Exercises in which a class is written: an ``nn.Module``, judged with the same weights as the reference.

A module is judged as a function of how it is built and of what it is called with. A case looks like this:

    (Build(embed_dim=6, num_heads=3), x, mask)

The learner's class is built so, its parameters are given the values that :func:`drawn_weights` draws for the
reference's, and it is called with the rest. Parameters are matched by name or, if the learner named or nested them
otherwise, by their order.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gemini_workshop.exercises.attempt import UnfitAnswer
from gemini_workshop.exercises.core import Arguments, Exercise


class Build:
    """The arguments with which a class is built.

    Args:
        starts_as_it_is: leave the parameters as the class itself starts them.
    """

    def __init__(self, *, starts_as_it_is: bool = False, **arguments: Any) -> None:
        self.starts_as_it_is, self.arguments = starts_as_it_is, arguments

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Build) and self.arguments == other.arguments

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"({', '.join(f'{name}={value!r}' for name, value in self.arguments.items())})"

    def __getitem__(self, name: str) -> Any:
        return self.arguments[name]


@dataclass(frozen=True, kw_only=True)
class ModuleExercise(Exercise):
    """One class to write. The oracle takes a case too, and finds its weights with :func:`drawn_weights`."""

    reference: type[nn.Module]

    def as_function(self, answer: type[nn.Module]) -> Callable[..., Any]:  # noqa: D102 (as in Exercise)
        def build_and_call(build: Build, *args: Any) -> Any:
            module = answer(**build.arguments)
            if not build.starts_as_it_is:
                give_weights(module, drawn_weights(self.reference, build))
            return module(*args)

        return build_and_call

    def wrong_kind(self, answer: Any) -> str | None:  # noqa: D102
        if isinstance(answer, type) and issubclass(answer, nn.Module):
            return None
        if isinstance(answer, type):
            return f"`{self.title}` is a class, but no nn.Module. Begin with `class {self.title}(nn.Module):`."
        return f"`{self.title}` is {type(answer).__name__}, not a class. Was the cell above run?"

    def signature_problem(self, answer: type[nn.Module], case: Arguments) -> str | None:  # noqa: D102
        build, *args = case
        init, forward = inspect.signature(answer), inspect.signature(answer.forward)
        try:
            init.bind(**build.arguments)
        except TypeError:
            names = ", ".join(build.arguments)
            return f"It is built with {init}, but it is called with ({names}). Keep `__init__` as it was given."
        try:
            forward.bind(None, *args)
        except TypeError:
            names = ", ".join(["self", *self.parameter_names()[1 : len(case)]])
            return f"Its `forward` takes {forward}, but it is called with ({names}). Keep it as it was given."
        return None

    def parameter_names(self) -> list[str]:  # noqa: D102
        return ["built", *list(inspect.signature(self.reference.forward).parameters)[1:]]

    def result_axes(self) -> str:  # noqa: D102
        return getattr(inspect.signature(self.reference.forward).return_annotation, "dim_str", "")


def drawn_weights(reference: type[nn.Module], build: Build) -> dict[str, Tensor]:
    """Random values for the parameters of the reference by name, always the same ones."""
    generator = torch.Generator().manual_seed(0)
    weights = {}
    for name, parameter in reference(**build.arguments).named_parameters():
        drawn = torch.randn(parameter.shape, generator=generator)
        weights[name] = 1 + 0.5 * drawn if parameter.ndim < 2 else drawn * parameter.shape[-1] ** -0.5
    return weights


def give_weights(module: nn.Module, weights: dict[str, Tensor]) -> None:
    """Copy weights into a module's parameters, by name or else by order.

    Raises:
        UnfitAnswer: the module has not the parameters that are needed; says which.
    """
    own = dict(module.named_parameters())
    if [p.shape for p in own.values()] != [w.shape for w in weights.values()] or own.keys() == weights.keys():
        if problem := _parameter_problem(own, weights):
            raise UnfitAnswer(problem)
        pairs = [(own[name], weight) for name, weight in weights.items()]
    else:
        pairs = list(zip(own.values(), weights.values(), strict=True))
    with torch.no_grad():
        for parameter, weight in pairs:
            parameter.copy_(weight)


def _parameter_problem(own: dict[str, nn.Parameter], weights: dict[str, Tensor]) -> str | None:
    lines = [
        f"`{name}` has shape {tuple(own[name].shape)}; {tuple(weight.shape)} is needed."
        for name, weight in weights.items()
        if name in own and own[name].shape != weight.shape
    ]
    lines += [
        f"It has no parameter `{name}`; one of shape {tuple(weight.shape)} is needed."
        for name, weight in weights.items()
        if name not in own
    ]
    lines += [
        f"It has a parameter `{name}` of shape {tuple(parameter.shape)}; none is needed there."
        for name, parameter in own.items()
        if name not in weights
    ]
    return " ".join(lines[:2]) if lines else None
