"""Attention through a sliding window, by few large products: :mod:`gemini_workshop.models.sliding_window`, faster.

Each chunk of queries (:mod:`~gemini_workshop.kernels.window_chunks`) is attended to by itself, so that only its scores
exist. The backward pass computes the weights again, chunk by chunk, and all chunks add to the same gradients.

Source: Beltagy et al. 2020, arXiv:2004.05150, section 3.1; recomputing the weights: Dao et al. 2022, arXiv:2205.14135,
section 3.1 and appendix B.2.
Differs: scores and sums are in float32 at least.
"""

from dataclasses import replace
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from gemini_workshop.errors import WorkshopError
from gemini_workshop.kernels.fused_attention import fused_causal_attention
from gemini_workshop.kernels.window_chunks import chunks_of
from gemini_workshop.models.attention import AttentionRule, distances
from gemini_workshop.models.normalization import at_least_float32


def windowed_causal_attention(
    query: Float[Tensor, "B H T C"],
    key: Float[Tensor, "B K S C"],
    value: Float[Tensor, "B K S Cv"],
    rule: AttentionRule,
) -> Float[Tensor, "B H T Cv"]:
    """:func:`~gemini_workshop.models.attention.causal_attention` in time and memory proportional to the window.

    Raises:
        WorkshopError: the rule has no window.
    """
    if rule.window_tokens is None:
        raise WorkshopError(
            "window_tokens=None: a sliding window needs a length. "
            "Set window_tokens in the rule, or use fused_causal_attention, which sees everything."
        )
    if rule.image_ids is not None:  # images are short; the mask of the fused function knows them
        return fused_causal_attention(query, key, value, rule)
    T, S = query.shape[2], key.shape[2]
    window = min(rule.window_tokens, S)
    # One query sees exactly the last keys; a window of all keys hides none. In both cases, no window is left.
    # (With a soft cap, the fused function is plain and slow.)
    if T == 1 or (window == S and rule.softcap is None):
        ids = None if rule.segment_ids is None else rule.segment_ids[:, -window:]
        rule = replace(rule, window_tokens=None, segment_ids=ids)
        return fused_causal_attention(query, key[:, :, -window:], value[:, :, -window:], rule)
    scale = query.shape[-1] ** -0.5 if rule.scale is None else rule.scale
    return torch.ops.gemini_workshop.window_attention(
        query, key, value, scale, rule.sinks, rule.slopes, rule.segment_ids, window, rule.softcap
    )


# --- Forward and backward as operations of their own: torch.compile sees one node, not a loop ---


class FlatRule(NamedTuple):
    """A rule of attention as the arguments of an operation, in the order of its schema."""

    scale: float
    sinks: Tensor | None
    slopes: Tensor | None
    segment_ids: Tensor | None
    window: int
    softcap: float | None

    def rule(self) -> AttentionRule:
        """The same as the rest of the package has it, the scale left out: queries are scaled beforehand."""
        return AttentionRule(
            sinks=self.sinks,
            slopes=self.slopes,
            segment_ids=self.segment_ids,
            window_tokens=self.window,
            softcap=self.softcap,
        )


_RULE = "float scale, Tensor? sinks, Tensor? slopes, Tensor? segment_ids, int window, float? softcap"
_GRADIENTS = "(Tensor, Tensor, Tensor, Tensor, Tensor)"  # of query, key, value, sinks and slopes
_FORWARD, _BACKWARD = "gemini_workshop::window_attention", "gemini_workshop::window_attention_backward"
torch.library.define(_FORWARD, f"(Tensor query, Tensor key, Tensor value, {_RULE}) -> Tensor")
torch.library.define(_BACKWARD, f"(Tensor grad, Tensor query, Tensor key, Tensor value, {_RULE}) -> {_GRADIENTS}")


@torch.library.impl(_FORWARD, "default")
def _attend(query: Tensor, key: Tensor, value: Tensor, *flat: Any) -> Tensor:
    rule = FlatRule(*flat)
    output = query.new_empty(*query.shape[:3], value.shape[-1])
    with torch.autocast(query.device.type, enabled=False):
        for chunk, bias in chunks_of(query, key, rule.rule()):
            found = chunk.weights(chunk.rows(query) * rule.scale, at_least_float32(key[chunk.keys]), bias)
            output[chunk.queries] = chunk.heads(found.weights @ at_least_float32(value[chunk.keys]))
    return output


@torch.library.impl(_BACKWARD, "default")
def _gradients(grad: Tensor, query: Tensor, key: Tensor, value: Tensor, *flat: Any) -> tuple[Tensor, ...]:
    """Of query, key, value, sinks and slopes; of sinks and slopes that are not there, an empty tensor.

    weights = softmax(scores)      grad_scores = weights * (grad_weights - mean)
                                   mean = sum over keys of weights * grad_weights

    A sink is one more key, of weight ``1 - left`` and value 0. So its ``grad_weights`` is 0, and the mean is the same.

    Scores were made by products, the cap, the slopes and the mask, in this order, and the gradient goes back through
    them in the opposite one. Up to the line of the cap (``bent``), ``grad_scores`` is the gradient of what the softmax
    read; after it, that of the products.
    """
    scale, rule = FlatRule(*flat).scale, FlatRule(*flat).rule()
    grad_query = torch.empty_like(query)  # each chunk writes its part; to the others, all chunks add
    grad_key, grad_value = torch.zeros_like(at_least_float32(key)), torch.zeros_like(at_least_float32(value))
    grad_sinks, grad_slopes = (_for_heads(x, query).zero_() for x in (rule.sinks, rule.slopes))
    with torch.autocast(query.device.type, enabled=False):
        for chunk, bias in chunks_of(query, key, rule):
            q, g = chunk.rows(query) * scale, chunk.rows(grad)  # q is scaled, so grad_key needs no factor
            k, v = at_least_float32(key[chunk.keys]), at_least_float32(value[chunk.keys])
            weights, bent, left = chunk.weights(q, k, bias)
            grad_value[chunk.keys].baddbmm_(weights.mT, g)  # a number and slices: a view, so this adds to grad_value
            grad_scores = (g @ v.mT).mul_(weights)
            mean = grad_scores.sum(dim=-1, keepdim=True)
            grad_scores.addcmul_(weights, mean, value=-1)
            if left is not None:
                grad_sinks[chunk.query_heads] -= chunk.heads((1 - left) * mean).sum(dim=(1, 2))
            if rule.slopes is not None:
                distance = distances(chunk.T, chunk.S, query.device)
                grad_slopes[chunk.query_heads] -= (chunk.heads(grad_scores) * distance).sum(dim=(1, 2))
            if bent is not None:
                grad_scores *= 1 - bent**2
            grad_query[chunk.queries] = chunk.heads(grad_scores @ k) * scale
            grad_key[chunk.keys].baddbmm_(grad_scores.mT, q)
    return grad_query, grad_key, grad_value, grad_sinks, grad_slopes


def _for_heads(x: Tensor | None, query: Tensor) -> Tensor:
    """Memory for the gradient of one number per head; none, if these numbers are not there."""
    return at_least_float32(query.new_empty(0) if x is None else torch.empty_like(x))


@torch.library.register_fake(_FORWARD)
def _shape_of_output(query: Tensor, _key: Tensor, value: Tensor, *_flat: Any) -> Tensor:
    return query.new_empty(*query.shape[:3], value.shape[-1])


@torch.library.register_fake(_BACKWARD)
def _shapes_of_gradients(_grad: Tensor, query: Tensor, key: Tensor, value: Tensor, *flat: Any) -> tuple[Tensor, ...]:
    rule = FlatRule(*flat)
    summed = (torch.empty_like(at_least_float32(x)) for x in (key, value))
    return torch.empty_like(query), *summed, *(_for_heads(x, query) for x in (rule.sinks, rule.slopes))


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001
    query, key, value, ctx.scale, sinks, slopes, segment_ids, ctx.window, ctx.softcap = inputs
    ctx.save_for_backward(query, key, value, sinks, slopes, segment_ids)


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    query, key, value, sinks, slopes, segment_ids = ctx.saved_tensors
    flat = FlatRule(ctx.scale, sinks, slopes, segment_ids, ctx.window, ctx.softcap)
    gradients = torch.ops.gemini_workshop.window_attention_backward(grad, query, key, value, *flat)
    inputs = (query, key, value, sinks, slopes)
    grad_query, grad_key, grad_value, grad_sinks, grad_slopes = (
        None if x is None else gradient.to(x.dtype) for x, gradient in zip(inputs, gradients, strict=True)
    )
    return grad_query, grad_key, grad_value, None, grad_sinks, grad_slopes, None, None, None


torch.library.register_autograd(_FORWARD, _backward, setup_context=_save)
