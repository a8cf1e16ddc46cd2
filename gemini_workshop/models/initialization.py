"""How weights are drawn at the beginning.

Matrices keep the size of what they read. Those that write to the residual stream start at zero ("silent"), so that
every block is the identity at first and learns how much to add. Not so if a norm follows: its gradient at a zero vector
is 1 / sqrt(norm_eps), a thousand, which fills the optimizer state and drowns all other gradients. Embeddings, head and
routers start small. Biases are zero. Each module draws its own weights in ``reset_parameters``.
"""

import torch
from torch import Tensor, nn

EMBEDDING_STD = 0.02


@torch.no_grad()
def draw(weight: Tensor, std: float, generator: torch.Generator | None = None) -> None:
    """Fill a tensor with normal numbers of this standard deviation."""
    weight.normal_(0.0, 1.0, generator=generator).mul_(std)


@torch.no_grad()
def draw_linear(layer: nn.Linear, generator: torch.Generator | None = None, *, is_silent: bool = False) -> None:
    """Draw a matrix that keeps the size of what it reads, or one that writes nothing yet; the bias is zero.

    A silent matrix takes as many random numbers as another, so that the ones after it do not depend on it.
    """
    draw(layer.weight, 0.0 if is_silent else layer.in_features**-0.5, generator)
    if layer.bias is not None:
        layer.bias.zero_()
