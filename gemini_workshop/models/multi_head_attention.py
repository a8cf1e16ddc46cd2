"""Multi-head attention as it was first written: small attentions side by side, each in channels of its own.

    head_h = attention(x Q_h, y K_h, y V_h)        output = [head_1 ... head_H] O

The text that asks, x, and the text that is looked at, y, are the same in self-attention and two in cross-attention.
The decoder's own layers, which can share keys and values between heads, are in :mod:`.attention_layers`; with one
key/value head for each query head they compute the same.

Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.2.2.
"""

from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from gemini_workshop.errors import ConfigError
from gemini_workshop.models import attention


def split_heads(x: Float[Tensor, "B T HC"], num_heads: int) -> Float[Tensor, "B H T C"]:
    """Cut every token's channels into equal pieces, one for each head; head h gets the h-th piece."""
    return rearrange(x, "b t (h c) -> b h t c", h=num_heads)


def merge_heads(x: Float[Tensor, "B H T C"]) -> Float[Tensor, "B T HC"]:
    """Lay what the heads found side by side again: undo :func:`split_heads`."""
    return rearrange(x, "b h t c -> b t (h c)")


def attention_parameters(embed_dim: int, num_heads: int, head_dim: int) -> int:
    """Numbers in the four matrices of multi-head attention without biases.

    Example:
        >>> attention_parameters(512, num_heads=8, head_dim=64) == attention_parameters(512, num_heads=1, head_dim=512)
        True
    """
    all_heads = num_heads * head_dim
    return 3 * embed_dim * all_heads + all_heads * embed_dim


class MultiHeadAttention(nn.Module):
    """Several attentions side by side, each with queries, keys and values of its own.

    Raises:
        ConfigError: the width cannot be cut into so many equal pieces.
    """

    def __init__(self, embed_dim: int, num_heads: int) -> None:
        super().__init__()
        if embed_dim % num_heads:
            raise ConfigError(
                f"embed_dim={embed_dim} is not a multiple of num_heads={num_heads}. All heads are equally wide. "
                f"Try embed_dim={embed_dim // num_heads * num_heads + num_heads}."
            )
        self.num_heads = num_heads
        self.query = nn.Linear(embed_dim, embed_dim, bias=False)
        self.key = nn.Linear(embed_dim, embed_dim, bias=False)
        self.value = nn.Linear(embed_dim, embed_dim, bias=False)
        self.output = nn.Linear(embed_dim, embed_dim, bias=False)

    def forward(
        self,
        x: Float[Tensor, "B T D"],
        context: Float[Tensor, "B S D"] | None = None,
        mask: Bool[Tensor, "*#B T S"] | None = None,
    ) -> Float[Tensor, "B T D"]:
        """Let every token of ``x`` gather from the context.

        Args:
            context: what is looked at; ``x`` itself, if left out.
            mask: True where token t may look at context token s; everywhere, if left out.
        """
        context = x if context is None else context
        query = split_heads(self.query(x), self.num_heads)
        key = split_heads(self.key(context), self.num_heads)
        value = split_heads(self.value(context), self.num_heads)
        found = attention.scaled_dot_product_attention(query, key, value, mask)
        return self.output(merge_heads(found))
