"""Attention problems for comparing a backend with the written-out attention."""

import itertools
import random
from dataclasses import dataclass

import torch
from torch import Tensor

from gemini_workshop.models.attention import AttentionRule, causal_attention


@dataclass(frozen=True, kw_only=True)
class Problem:
    query: Tensor
    key: Tensor
    value: Tensor
    rule: AttentionRule

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.query, self.key, self.value

    @property
    def differentiable(self) -> list[Tensor]:
        return [*self.tensors, *(x for x in (self.rule.sinks, self.rule.slopes) if x is not None)]


def problem(
    draw: random.Random,
    *,
    num_queries: int,
    num_keys: int,
    window_tokens: int | None = None,
    features: frozenset[str] = frozenset(),
    dtype: torch.dtype = torch.float64,
) -> Problem:
    """Random sizes, none equal to another by design; ``features`` of the rule that are on."""
    generator = torch.Generator().manual_seed(draw.randrange(2**31))

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=dtype).requires_grad_()

    B, K, G, C, Cv = (
        draw.randint(1, 2),
        draw.randint(1, 3),
        draw.randint(1, 3),
        draw.randint(1, 8),
        draw.randint(1, 8),
    )
    ids = torch.randint(0, 3, (B, num_keys), generator=generator).sort(dim=-1).values
    images = torch.randint(0, 3, (B, num_keys), generator=generator).sort(dim=-1).values
    return Problem(
        query=normal(B, K * G, num_queries, C),
        key=normal(B, K, num_keys, C),
        value=normal(B, K, num_keys, Cv),
        rule=AttentionRule(
            scale=draw.choice([None, 0.7]),
            window_tokens=window_tokens,
            softcap=1.5 if "softcap" in features else None,
            sinks=normal(K * G) if "sinks" in features else None,
            slopes=normal(K * G).detach().abs().div(5).requires_grad_() if "slopes" in features else None,
            segment_ids=ids if "segments" in features else None,
            image_ids=images if "images" in features else None,
        ),
    )


def combinations(*features: str) -> list[frozenset[str]]:
    """All subsets."""
    return [frozenset(some) for size in range(len(features) + 1) for some in itertools.combinations(features, size)]


def named(features: frozenset[str]) -> str:
    return "+".join(sorted(features)) or "plain"


def assert_equals_the_written_out_attention(attend, given: Problem, *, gradients: bool = True) -> None:
    """The outputs agree and, for a random direction, the gradients of everything that has one."""
    ours, expected = attend(*given.tensors, given.rule), causal_attention(*given.tensors, given.rule)
    torch.testing.assert_close(ours, expected)
    if gradients:
        direction = torch.randn_like(expected)
        torch.testing.assert_close(
            torch.autograd.grad(ours, given.differentiable, direction),
            torch.autograd.grad(expected, given.differentiable, direction),
        )
