"""Linear layers, and several of them that read the same input, with faster gradients on a CPU."""

from collections.abc import Sequence
from typing import Any, TypeGuard

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gemini_workshop.kernels.onednn import onednn_products
from gemini_workshop.models.attention_layers import GroupedQueryAttention
from gemini_workshop.models.embeddings import TokenEmbedding
from gemini_workshop.models.feedforward import GatedFeedForward


class FastLinear(nn.Linear):
    """PyTorch's linear layer, computed by :func:`linear`."""

    def forward(self, input: Float[Tensor, "*B D"]) -> Float[Tensor, "*B E"]:
        """A product with the weight, plus the bias."""
        return linear(input, self.weight, self.bias)


class FastTokenEmbedding(TokenEmbedding):
    """An embedding whose logits are computed by :func:`linear`."""

    def logits(self, x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B V"]:
        """How well each token's vector matches."""
        return linear(x, self.weight)


def linear(
    x: Float[Tensor, "*B D"], weight: Float[Tensor, "E D"], bias: Float[Tensor, " E"] | None = None
) -> Float[Tensor, "*B E"]:
    """``x @ weight.T + bias``; in float32 on a CPU, where gradients are needed, by the fastest exact products."""
    is_plain = x.dtype == weight.dtype == torch.float32 and x.device.type == "cpu"
    if not is_plain or not torch.is_grad_enabled() or torch.is_autocast_enabled("cpu") or torch.compiler.is_compiling():
        return F.linear(x, weight, bias)
    return _Linear.apply(x, weight, bias)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        with onednn_products(x):
            return F.linear(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad
        rows = grad.reshape(-1, grad.shape[-1])
        with onednn_products(x):
            grad_x = grad @ weight if needs_x else None
            grad_weight = rows.T @ x.reshape(-1, x.shape[-1]) if needs_weight else None
        return grad_x, grad_weight, rows.sum(dim=0) if needs_bias else None


class JointQueryKeyValue(GroupedQueryAttention):
    """Grouped-query attention whose queries, keys and values are one product where gradients are needed."""

    def project(self, x: Float[Tensor, "B T D"]) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """The three side by side; one by one, if a layer has not all of them or one was replaced or is watched."""
        layers = (self.query, self.key, self.value)
        if not can_join(layers):
            return super().project(x)
        query, key, value = joint(x, layers)
        return query, key, value


class JointGatedFeedForward(GatedFeedForward):
    """A gated feed-forward whose two projections up are one product where gradients are needed."""

    def project(self, x: Float[Tensor, "*B D"]) -> tuple[Float[Tensor, "*B F"], Float[Tensor, "*B F"]]:
        """Both side by side; one by one, if one was replaced or is watched."""
        layers = (self.gate, self.up)
        if not can_join(layers):
            return super().project(x)
        gate, up = joint(x, layers)
        return gate, up


def joint(x: Float[Tensor, "*B D"], layers: Sequence[nn.Linear]) -> tuple[Float[Tensor, "*B _"], ...]:
    """What each of the layers makes of ``x``, by one product.

    One large product is faster than a few small ones, and the gradients for ``x`` are added up inside of it.
    """
    bias = None if layers[0].bias is None else torch.cat([layer.bias for layer in layers])
    return linear(x, torch.cat([layer.weight for layer in layers]), bias).split(
        [len(layer.weight) for layer in layers], -1
    )


def can_join(layers: Sequence[nn.Module | None]) -> TypeGuard[Sequence[nn.Linear]]:
    """Whether :func:`joint` computes what the layers do, and is faster: it is only where gradients are needed."""
    return torch.is_grad_enabled() and all(type(layer) is FastLinear and not is_watched(layer) for layer in layers)


def is_watched(module: nn.Module) -> bool:
    """Whether a forward hook reads or changes what the module computes, or one of its methods was exchanged."""
    return bool(
        module._forward_hooks or module._forward_pre_hooks or any(hasattr(type(module), name) for name in vars(module))
    )
