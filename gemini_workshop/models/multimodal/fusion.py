"""Late fusion: the text stays a text, and looks at the media from outside."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gemini_workshop.models.attention import grouped_query_attention


def gated_cross_attention(
    query: Float[Tensor, "B H T C"],
    key: Float[Tensor, "B K S C"],
    value: Float[Tensor, "B K S Cv"],
    gate: Float[Tensor, " 1"],
    mask: Bool[Tensor, "T S"] | None = None,
) -> Float[Tensor, "B H T Cv"]:
    """What the queries of a text find in the keys and values of something else, times ``tanh(gate)``.

    A gate of 0 shuts the layer, so that it can be put into a trained model without disturbing it.

    Args:
        mask: True where token t may look at context vector s; everywhere, if left out.

    Source: Alayrac et al. 2022, arXiv:2204.14198, section 2.2.
    """
    return torch.tanh(gate) * grouped_query_attention(query, key, value, mask)
