"""Exercises in which a class is written: an ``nn.Module``, judged with the same weights as the reference.

A module is judged as a function of its constructor's arguments and of what it is called with. A case looks like this:

    (Build(embed_dim=6, num_heads=3), x, mask)

The learner's class is built with these arguments, its parameters get the values that :func:`drawn_weights` draws for
the reference's, and it is called with the rest. See :mod:`gemini_workshop.exercises.core.pairing`
for how the two sets of parameters are matched.
"""

import inspect
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from gemini_workshop.exercises.core.battery.tracing import Traced, in_kind, traced_arguments
from gemini_workshop.exercises.core.comparison import same
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function
from gemini_workshop.exercises.core.pairing import fill, pairing, pairings


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
        return partial(self._build_and_call, answer)

    def _build_and_call(self, answer: type[nn.Module], build: Build, *args: Any) -> Any:
        if build.starts_as_it_is:
            return answer(**build.arguments)(*args)
        if answer.__init__ is self.reference.__init__:
            return self._with_other_methods(answer, build)(*args)
        module, weights, results = answer(**build.arguments), drawn_weights(self.reference, build), []
        for pairs in (possible := list(pairings(module, weights))):
            fill(pairs, weights)
            results.append(module(*args))
            if len(possible) == 1 or same(results[-1], self.oracle(build, *args)):
                return results[-1]
        return results[0]

    def _with_other_methods(self, answer: type[nn.Module], build: Build) -> nn.Module:
        """The reference with its weights, as an object of a class that differs in its methods: nothing to build."""
        key = (self.reference, repr(build))
        if key not in _WEIGHTED:
            _WEIGHTED[key] = self.weighted(self.reference, build)[0]
        module = answer.__new__(answer)
        module.__dict__ = {name: copy(value) for name, value in vars(_WEIGHTED[key]).items()}
        return module

    def weighted(self, answer: type[nn.Module], build: Build) -> tuple[nn.Module, dict[str, nn.Parameter]]:
        """The answer built and given the reference's weights, and its parameters by the reference's names."""
        module = answer(**build.arguments)
        weights = drawn_weights(self.reference, build)
        pairs = pairing(module, weights)
        fill(pairs, weights)
        return module, pairs

    def signatures(self, answer: type[nn.Module]) -> list[tuple[Function, Function]]:  # noqa: D102
        return [(answer, self.reference), (answer.forward, self.reference.forward)]

    def reused(
        self, answer: type[nn.Module], case: Arguments, *, training: bool = True, after: tuple[Arguments, ...] = ()
    ) -> Callable[[Arguments], Any]:
        """One module as this case builds it, to be called with this case and with others.

        Args:
            after: what it is called with before that, in training.
        """
        module = self.weighted(answer, case[0])[0]
        for earlier in after:
            module(*earlier[1:])
        module.train(training)
        return lambda case: module(*case[1:])

    def in_dtype(self, answer: Any, case: Arguments, dtype: torch.dtype) -> Callable[[], Any]:  # noqa: D102
        build, *args = case
        return lambda: self.weighted(answer, build)[0].to(dtype)(*in_kind(tuple(args), dtype))

    def traced(self, answer: type[nn.Module], case: Arguments) -> Traced:  # noqa: D102
        build, *args = case
        module, pairs = self.weighted(answer, build)
        arguments, leaves = traced_arguments(tuple(args), self.parameter_names()[1:])
        return Traced(lambda: module(*arguments), {**leaves, **pairs})

    def wrong_kind(self, answer: Any) -> str | None:  # noqa: D102
        if isinstance(answer, type) and issubclass(answer, nn.Module):
            return None
        if isinstance(answer, type):
            return f"`{self.title}` is a class, but not an nn.Module. Begin with `class {self.title}(nn.Module):`."
        kind = "a function" if inspect.isfunction(answer) else f"of type {type(answer).__name__}"
        return f"`{self.title}` is {kind}, and a class is needed. Begin with `class {self.title}(nn.Module):`."

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


_WEIGHTED: dict[tuple[type[nn.Module], str], nn.Module] = {}


def drawn_weights(reference: type[nn.Module], build: Build) -> dict[str, Tensor]:
    """Random values for the parameters of the reference by name, always the same ones."""
    generator = torch.Generator().manual_seed(0)
    weights = {}
    for name, parameter in reference(**build.arguments).named_parameters():
        drawn = torch.randn(parameter.shape, generator=generator)
        weights[name] = 1 + 0.5 * drawn if parameter.ndim < 2 else drawn * parameter.shape[-1] ** -0.5
    return weights
