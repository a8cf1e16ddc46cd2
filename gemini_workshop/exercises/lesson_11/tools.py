"""What the exercises of lesson 11 share: answers that change something in place, and a model small enough to follow."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gemini_workshop.data.batches.batch import IGNORE_INDEX
from gemini_workshop.exercises.core.exercise import Exercise

Parts = Sequence[tuple[Tensor, Tensor]]


@dataclass(frozen=True, kw_only=True)
class StateExercise(Exercise):
    """A function that changes what it is given: it is judged by what is there afterwards.

    Args:
        run: calls the answer with what the arguments of a case stand for, and returns what came of it.
    """

    run: Callable[..., Any]

    def as_function(self, answer: Any) -> Callable[..., Any]:  # noqa: D102 (as in Exercise)
        return partial(self.run, answer)


class PairScores(nn.Module):
    """The smallest language model: a table with a row of logits for each token, and a bias for all of them."""

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.table = nn.Parameter(table.clone())
        self.bias = nn.Parameter(torch.linspace(-0.5, 0.5, table.shape[1], dtype=table.dtype))

    def forward(self, token_ids: Tensor) -> Tensor:
        """Logits for the token after each of these."""
        return self.table[token_ids] + self.bias


def loss_and_gradients(table: Tensor, bias: Tensor, parts: Parts) -> tuple[Tensor, list[Tensor]]:
    """The mean loss over all targets of all parts, and its gradients, from all parts at once in float64."""
    table, bias = (x.detach().double().requires_grad_() for x in (table, bias))
    inputs, targets = (torch.cat([part[i].flatten() for part in parts]) for i in (0, 1))
    loss = F.cross_entropy(table[inputs] + bias, targets, ignore_index=IGNORE_INDEX)
    return loss.detach(), list(torch.autograd.grad(loss, [table, bias]))


def unequal_parts(generator: torch.Generator, V: int, shapes: Sequence[tuple[int, int]], ignored: int) -> Parts:
    """Parts of these shapes; in the first, so many targets do not count."""
    parts = []
    for B, T in shapes:
        ids = torch.randint(V, (B, T + 1), generator=generator)
        parts.append((ids[:, :-1].clone(), ids[:, 1:].clone()))
    parts[0][1].view(-1)[:ignored] = IGNORE_INDEX
    return parts
