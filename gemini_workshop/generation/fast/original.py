"""What a copy may compute in another way: exactly the package's own modules, and nothing else."""

from typing import TypeGuard, TypeVar

from torch import nn

from gemini_workshop.kernels.linear import is_watched

Kind = TypeVar("Kind", bound=nn.Module)


def is_original(module: nn.Module | None, *kinds: type[Kind]) -> TypeGuard[Kind]:
    """Whether a module computes exactly what one of these classes defines, so that a copy may compute it differently.

    It may compute something else if it is a subclass (LoRA, a learner's own, a parametrized weight), has a hook, or had
    a method replaced by an attribute of its own. Then a copy leaves the module as it is, and calls it.

    Example:
        >>> linear = nn.Linear(2, 3)
        >>> is_original(linear, nn.Linear), is_original(linear, nn.LayerNorm)
        (True, False)
        >>> _ = linear.register_forward_hook(lambda module, inputs, output: 2 * output)
        >>> is_original(linear, nn.Linear)
        False
    """
    return module is not None and type(module) in kinds and not is_watched(module)
