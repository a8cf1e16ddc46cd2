"""Several projections of the same vectors, in one matrix product where that is faster.

x [A | B | C]  =  [x A | x B | x C]
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


def project(x: Float[Tensor, "*B D"], layers: Sequence[nn.Module]) -> Sequence[Float[Tensor, "*B _"]]:
    """Apply each layer to ``x``.

    Where gradients are wanted, plain linear layers are applied in one product: one wide product is faster than a few
    narrow ones, and backward it saves adding up their gradients. Without gradients there are often few vectors, and
    putting the matrices side by side would cost more than it saves.
    """
    linear = [layer for layer in layers if type(layer) is nn.Linear and not layer._forward_hooks]
    if len(linear) < max(2, len(layers)) or not torch.is_grad_enabled():
        return [layer(x) for layer in layers]
    weight = torch.cat([layer.weight for layer in linear])
    bias = None if linear[0].bias is None else torch.cat([layer.bias for layer in linear])
    return F.linear(x, weight, bias).split([layer.out_features for layer in linear], dim=-1)
