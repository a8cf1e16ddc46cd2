"""Linear layers, and several of them that read the same input, with faster gradients on a CPU."""

from collections.abc import Sequence
from typing import Any, TypeGuard

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gemini_workshop.models.onednn import onednn_products


class Linear(nn.Linear):
    """PyTorch's linear layer, computed by :func:`linear`."""

    def forward(self, input: Float[Tensor, "*B D"]) -> Float[Tensor, "*B E"]:
        """A product with the weight, plus the bias."""
        return linear(input, self.weight, self.bias)


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


def project(x: Float[Tensor, "*B D"], layers: Sequence[nn.Module]) -> Sequence[Float[Tensor, "*B _"]]:
    """What each of the layers makes of ``x``.

    Where gradients are needed, plain linear layers are one product: one large product is faster than a few small ones,
    and the gradients for ``x`` are added up inside of it. Layers that were replaced or are watched run as they are.
    """
    plain = [layer for layer in layers if _is_plain(layer)]
    if not torch.is_grad_enabled() or len(plain) < len(layers):
        return [layer(x) for layer in layers]
    bias = None if plain[0].bias is None else torch.cat([layer.bias for layer in plain])
    return linear(x, torch.cat([layer.weight for layer in plain]), bias).split(
        [len(layer.weight) for layer in plain], -1
    )


def _is_plain(layer: nn.Module) -> TypeGuard[Linear]:
    return type(layer) is Linear and not layer._forward_hooks and not layer._forward_pre_hooks
