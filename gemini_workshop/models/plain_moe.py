"""A mixture of experts in its plainest form: what lesson 08 builds.

    experts, weights = top_k_routing(router(x), experts_per_token)
    output = sum over the chosen experts of weight * expert(x)

The layer of the course, :mod:`.moe`, has more ways to score and to choose; :func:`.routing.route` with its defaults
makes the same choice.

Source: Shazeer et al. 2017, arXiv:1701.06538, section 2 (a few experts per token, chosen by their scores); Jiang et al.
2024, arXiv:2401.04088, section 2.1 (the weights of the chosen sum to 1); Wang et al. 2024, arXiv:2408.15664,
equation 3 (the bias).
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor


def top_k_routing(
    logits: Float[Tensor, "N E"], experts_per_token: int, selection_bias: Float[Tensor, " E"] | None = None
) -> tuple[Int[Tensor, "N A"], Float[Tensor, "N A"]]:
    """Send each token to its most probable experts.

    Args:
        selection_bias: added to the probabilities to choose, and not to weight.

    Returns:
        The numbers of the chosen experts, highest probability plus bias first, and their weights, which sum to 1.

    Example:
        >>> top_k_routing(torch.tensor([[0.1, 0.4, 0.2, 0.3]]).log(), 2)
        (tensor([[1, 3]]), tensor([[0.5714, 0.4286]]))
    """
    probabilities = logits.softmax(dim=-1)
    ranks = probabilities if selection_bias is None else probabilities + selection_bias
    experts = ranks.topk(experts_per_token, dim=-1).indices
    weights = probabilities.gather(-1, experts)
    return experts, weights / weights.sum(dim=-1, keepdim=True)


def moe_forward(
    x: Float[Tensor, "N D"],
    experts: Int[Tensor, "N A"],
    weights: Float[Tensor, "N A"],
    layers: Sequence[Callable[[Tensor], Tensor]],
) -> Float[Tensor, "N D"]:
    """Let each expert compute the tokens that chose it, once, and add up the answers by their weights.

    Args:
        experts: the numbers of each token's experts.
        weights: what the answer of each of them is multiplied by.
        layers: the experts; each turns rows of D numbers into as many.
    """
    order = experts.flatten().argsort(stable=True)  # choice n * A + a is token n's choice number a
    counts = experts.flatten().bincount(minlength=len(layers))
    output = torch.zeros_like(x)
    for layer, choices in zip(layers, order.split(counts.tolist()), strict=True):
        tokens = choices // experts.shape[1]
        answers = layer(x[tokens]) * weights.flatten()[choices].unsqueeze(-1)
        output = output.index_add(0, tokens, answers)
    return output
