"""Calls whose gradients can be asked for, and tensors wherever they are in nested results."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Traced:
    """A call that is still to be made, and the tensors by name that its result may depend on."""

    call: Callable[[], Any]
    leaves: dict[str, Tensor]


def traced_arguments(arguments: tuple[Any, ...], names: list[str]) -> tuple[tuple[Any, ...], dict[str, Tensor]]:
    """Copies of the arguments that collect gradients, and the floating-point tensors in them by name."""
    leaves: dict[str, Tensor] = {}
    copies = tuple(_traced_copy(value, name, leaves) for value, name in zip(arguments, names, strict=False))
    return copies, leaves


def _traced_copy(value: Any, name: str, leaves: dict[str, Tensor]) -> Any:
    """A copy that collects gradients; the tensors in it are added to the leaves."""
    if isinstance(value, Tensor):
        copy = value.detach().clone()
        if copy.is_floating_point():
            leaves[name] = copy.requires_grad_()
        return copy
    if isinstance(value, tuple | list):
        return type(value)(_traced_copy(each, f"{name}[{i}]", leaves) for i, each in enumerate(value))
    if isinstance(value, dict):
        return {key: _traced_copy(each, f"{name}[{key!r}]", leaves) for key, each in value.items()}
    return value


def tensors_in(result: Any) -> Iterator[Tensor]:
    """The tensors of a result, in order, however they are nested."""
    if isinstance(result, Tensor):
        yield result
    elif isinstance(result, tuple | list | dict):
        for each in result.values() if isinstance(result, dict) else result:
            yield from tensors_in(each)


def mapped(result: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The same structure with every tensor changed."""
    if isinstance(result, Tensor):
        return change(result)
    if isinstance(result, tuple | list):
        entries = [mapped(each, change) for each in result]
        return type(result)(*entries) if hasattr(result, "_fields") else type(result)(entries)
    if isinstance(result, dict):
        return {key: mapped(each, change) for key, each in result.items()}
    return result


def weighted_sum(result: Any) -> Tensor | None:
    """One number that depends on every floating-point number of a result, each with a weight of its own."""
    generator = torch.Generator().manual_seed(5)
    floats = [tensor for tensor in tensors_in(result) if tensor.is_floating_point()]
    terms = [(tensor * torch.randn(tensor.shape, generator=generator)).sum() for tensor in floats]
    return torch.stack([term.double() for term in terms]).sum() if terms else None


def in_kind(arguments: tuple[Any, ...], dtype: torch.dtype) -> tuple[Any, ...]:
    """The arguments with every floating-point tensor in this dtype."""
    return tuple(mapped(each, lambda t: t.to(dtype) if t.is_floating_point() else t) for each in arguments)
