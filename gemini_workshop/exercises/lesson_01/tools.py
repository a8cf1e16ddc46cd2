"""Lesson 01, recurrent networks: what its exercises share."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from gemini_workshop.exercises.core.exercise import Function


@dataclass(frozen=True)
class Named:
    """A function to hand to a learner's code, which a verdict shows by its text and not by its address."""

    text: str
    function: Function

    def __call__(self, *args: Any) -> Any:
        """Call the function."""
        return self.function(*args)

    def __repr__(self) -> str:
        return self.text

    def __deepcopy__(self, memo: object) -> "Named":  # a function is not copied either
        return self


def load(cell: nn.RNNCell | nn.LSTMCell, input_weight: Tensor, recurrent_weight: Tensor, bias: Tensor) -> None:
    """Give one of PyTorch's cells these weights; its second bias becomes zero."""
    cell.weight_ih.copy_(input_weight)
    cell.weight_hh.copy_(recurrent_weight)
    cell.bias_ih.copy_(bias)
    cell.bias_hh.zero_()
