"""A second device that is not there, so that a hard-coded one shows on any machine.

Tensors on it are ordinary ones with a mark. Making a tensor on it marks it, computing with marked ones gives marked
ones, and to mix both is the error that a GPU would raise. (PyTorch's own device "meta" has no numbers, and takes many
seconds to load for the triangle of a mask.)
"""

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from gemini_workshop.exercises.core.battery.tracing import tensors_in

OTHER = torch.device("meta")
MIXES_FREELY = ("__getitem__", "__setitem__", "copy_")


def put_there(tensor: Tensor) -> Tensor:
    """The same numbers, on the other device."""
    copy = tensor.clone()
    copy.is_there = True  # type: ignore[attr-defined]
    return copy


def is_there(tensor: Tensor) -> bool:
    """Whether a tensor is on the other device."""
    return getattr(tensor, "is_there", False)


class OtherDevice(TorchFunctionMode):
    """While it is entered, ``torch.device("meta")`` names a second device that has numbers."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named, name = dict(kwargs or {}), getattr(func, "__name__", "")
        given = list(tensors_in([*args, *named.values()]))
        if name == "__get__" and getattr(func, "__self__", None) is Tensor.device:
            return OTHER if is_there(args[0]) else torch.device("cpu")
        asked = named.pop("device", None)
        if name == "to":
            asked = next((each for each in args[1:] if isinstance(each, torch.device | str)), asked)
            args = tuple(each for each in args if not isinstance(each, torch.device | str))
        if name in ("numpy", "__array__") and any(map(is_there, given)):
            raise TypeError("can't convert a tensor of another device to numpy. Use Tensor.cpu() first.")
        result = args[0] if name == "to" and len(args) == 1 and not named else func(*args, **named)
        result = result.clone() if name in ("to", "cpu") else result  # else it may be the one that was given
        there = _where(name, asked, given)
        for tensor in tensors_in(result):
            tensor.is_there = there  # type: ignore[attr-defined]
        return result


def _where(name: str, asked: Any, given: list[Tensor]) -> bool:
    if asked is not None:
        return torch.device(asked) == OTHER
    if name == "cpu":
        return False
    marks = {is_there(tensor) for tensor in given if tensor.ndim > 0 or is_there(tensor)}
    if len(marks) == 2 and name not in MIXES_FREELY:
        raise RuntimeError("Expected all tensors to be on the same device, but found two: the one asked for, and cpu")
    return bool(given) and is_there(given[0]) if name in MIXES_FREELY else True in marks
