"""Lesson 07, efficient attention: what its exercises share."""

from collections.abc import Callable

import torch
from torch import Tensor

from gemini_workshop.exercises.core.comparison import number, same, worst_index

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]


def attention_by_rows(query: Tensor, key: Tensor, value: Tensor, sees: Callable[[int, int], bool]) -> Tensor:
    """Attention of one query at a time over the keys that it sees, in float64; the queries are the last tokens.

    Args:
        sees: from the places of a query and of a key in the text to whether one sees the other.
    """
    query, key, value = query.double(), key.double(), value.double()
    earlier, rows = key.shape[-2] - query.shape[-2], []
    for t in range(query.shape[-2]):
        seen = [s for s in range(key.shape[-2]) if sees(earlier + t, s)]
        scores = torch.einsum("...c,...sc->...s", query[..., t, :], key[..., seen, :]) / query.shape[-1] ** 0.5
        weights = (scores - scores.logsumexp(-1, keepdim=True)).exp()
        rows.append(torch.einsum("...s,...sc->...c", weights, value[..., seen, :]))
    return torch.stack(rows, dim=-2)


def differing_weight(got: Attend, expected: Attend, query: Tensor, key: Tensor, value: Tensor) -> str | None:
    """The attention weight that differs most, read off by giving key i row i of an identity matrix as its value."""
    names = torch.eye(value.shape[-2]).expand(*value.shape[:-1], value.shape[-2])
    found, needed = got(query, key, names), expected(query, key, names)
    if same(found, needed):
        return None
    *axes, t, s = worst_index(found, needed)
    where = f" of {'head' if len(axes) < 3 else 'sequence and head'} {', '.join(map(str, axes))}" if axes else ""
    place = key.shape[-2] - query.shape[-2] + t
    return (
        f"Query {t}{where}, which is token {place}, gives key {s} an attention weight of "
        f"{number(found[(*axes, t, s)])}; it should be {number(needed[(*axes, t, s)])} (counting from 0)."
    )
