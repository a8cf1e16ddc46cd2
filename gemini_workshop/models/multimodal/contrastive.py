"""Learn images and captions without a decoder: pull each pair together, push all other pairs apart."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def sigmoid_contrastive_loss(
    images: Float[Tensor, "B E"], captions: Float[Tensor, "B E"], scale: Tensor | float, bias: Tensor | float
) -> Float[Tensor, ""]:
    """Ask of each image and each caption whether they belong together: yes on the diagonal, no elsewhere.

        logits = scale * cosine(image, caption) + bias        loss = sum over pairs of -log sigmoid(+-logit) / B

    Args:
        images: one vector per image, of any length.
        captions: of the same images, in the same order.
        scale: how sharply the cosines are told apart; SigLIP learns its logarithm, from ln 10.
        bias: SigLIP learns it, from -10: most pairs do not belong together.

    Source: Zhai et al. 2023, arXiv:2303.15343, section 3.2 and algorithm 1.
    """
    cosines = F.normalize(images, dim=-1) @ F.normalize(captions, dim=-1).T
    belongs = 2 * torch.eye(len(images), dtype=cosines.dtype, device=cosines.device) - 1  # 1 on the diagonal, else -1
    return -F.logsigmoid(belongs * (scale * cosines + bias)).sum() / len(images)
