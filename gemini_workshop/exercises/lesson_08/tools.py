"""Lesson 08, mixture of experts: what its exercises share."""

from typing import Any

import torch
from torch import Tensor


class Expert:
    """A small feed-forward layer that counts the rows it is given. Copies of it are itself."""

    def __init__(self, number: int, matrix: Tensor, bias: Tensor) -> None:
        self.number, self.matrix, self.bias = number, matrix, bias
        self.rows = 0

    def __call__(self, x: Tensor) -> Tensor:
        """Each row's answer. The bias is inside, so that a row of zeros has an answer that is not zero."""
        self.rows += x.numel() // len(self.matrix)
        return torch.tanh(x @ self.matrix.to(x.dtype) + self.bias.to(x.dtype))

    def __deepcopy__(self, memo: dict[Any, Any]) -> "Expert":
        return self

    def __repr__(self) -> str:
        return f"expert {self.number}"


def drawn_experts(generator: torch.Generator, num_experts: int, dim: int) -> list[Expert]:
    """Experts with random weights."""
    drawn = torch.randn(num_experts, dim + 1, dim, generator=generator)
    return [Expert(e, weights[1:], weights[0]) for e, weights in enumerate(drawn)]


def drawn_choices(generator: torch.Generator, num_tokens: int, num_experts: int, experts_per_token: int) -> Tensor:
    """Different experts for each token, in a random order."""
    scores = torch.rand(num_tokens, num_experts, generator=generator)
    return scores.argsort(dim=-1)[:, :experts_per_token]


def drawn_load(generator: torch.Generator, num_experts: int) -> Tensor:
    """Fractions that sum to 1."""
    load = torch.rand(num_experts, generator=generator)
    return load / load.sum()
