"""Causal attention by PyTorch's flex_attention: say in Python what happens to one score, and let a compiler fuse it.

On a GPU it is compiled. On a CPU it is a reference to test against: there it has no backward pass, and unless the
caller compiles it, it computes all scores.

Source: Dong et al. 2024, arXiv:2412.05496.
"""

import functools
import warnings
from collections.abc import Callable
from typing import Any, no_type_check

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.nn.attention import flex_attention as flex

from gemini_workshop.errors import WorkshopError
from gemini_workshop.models.attention import PLAIN, AttentionRule


def flex_causal_attention(
    query: Float[Tensor, "B H T C"],
    key: Float[Tensor, "B K S C"],
    value: Float[Tensor, "B K S Cv"],
    rule: AttentionRule = PLAIN,
) -> Float[Tensor, "B H T Cv"]:
    """:func:`~gemini_workshop.models.attention.causal_attention` by ``flex_attention``.

    Raises:
        WorkshopError: gradients are asked for on a CPU.
    """
    if query.device.type == "cpu":
        given = (query, key, value, rule.sinks, rule.slopes)
        if torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in given):
            raise WorkshopError(
                "flex_attention has no backward pass on device=cpu. Train with fused_causal_attention or "
                "windowed_causal_attention; for the output alone, call it under torch.no_grad()."
            )
        query, key, value = query.detach(), key.detach(), value.detach()  # or it refuses, even under no_grad
    T, S = query.shape[2], key.shape[2]
    if rule.sinks is not None:
        key, value = F.pad(key, (0, 0, 0, 1)), F.pad(value, (0, 0, 0, 1))  # key S: matches nothing, worth nothing
    mask = flex.create_block_mask(
        _visible(T, S, rule),
        B=None if rule.segment_ids is None and rule.image_ids is None else query.shape[0],
        H=None,
        Q_LEN=T,
        KV_LEN=key.shape[2],
        device=str(query.device),
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*without torch.compile", category=UserWarning)
        return _kernel(query.device)(
            query,
            key,
            value,
            score_mod=_score(T, S, rule),
            block_mask=mask,
            scale=rule.scale,
            enable_gqa=query.shape[1] != key.shape[1],
        )


@functools.cache
def _kernel(device: torch.device) -> Callable[..., Any]:
    """Compiled once for a GPU."""
    if device.type == "cpu":
        return flex.flex_attention
    return torch.compile(flex.flex_attention)


def _score(T: int, S: int, rule: AttentionRule) -> Callable[..., Tensor]:
    """What becomes of the score of query t and key s in head h of sequence b."""

    @no_type_check  # flex counts the arguments of the bare function
    def score_of(score: Tensor, b: Tensor, h: Tensor, t: Tensor, s: Tensor) -> Tensor:  # noqa: ARG001
        if rule.softcap is not None:
            score = rule.softcap * torch.tanh(score / rule.softcap)
        if rule.slopes is not None:
            score = score - rule.slopes[h] * (t + (S - T) - s)
        if rule.sinks is not None:
            score = torch.where(s < S, score, rule.sinks[h].to(score.dtype))
        return score

    return score_of


def _visible(T: int, S: int, rule: AttentionRule) -> Callable[..., Tensor]:
    """Whether query t of sequence b may attend to key s."""
    ids, images = (None if ids is None else F.pad(ids, (0, 1)) for ids in (rule.segment_ids, rule.image_ids))

    @no_type_check
    def sees(b: Tensor, h: Tensor, t: Tensor, s: Tensor) -> Tensor:  # noqa: ARG001
        asking = t + (S - T)
        visible = s <= asking
        if images is not None:
            visible = visible | ((images[b, asking] == images[b, s]) & (images[b, asking] > 0))
        if rule.window_tokens is not None:
            visible = visible & (asking < s + rule.window_tokens)
        if ids is not None:
            visible = visible & (ids[b, asking] == ids[b, s])
        return visible | (s == S)  # the sink, if there is one

    return sees
