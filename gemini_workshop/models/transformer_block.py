"""One transformer block: gather from other tokens, then think it over; add both to the residual stream.

Source: Xiong et al. 2020, arXiv:2002.04745, section 3 (normalise before each sublayer, "pre-norm").
"""

from jaxtyping import Float
from torch import Tensor, nn

from gemini_workshop.config import ModelConfig
from gemini_workshop.models.attention import GroupedQueryAttention, KeyValueStore
from gemini_workshop.models.feedforward import GatedFeedForward
from gemini_workshop.models.normalization import RMSNorm


class TransformerBlock(nn.Module):
    """Pre-norm attention and feed-forward on a residual stream."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(config.embed_dim, config.norm_eps)
        self.attention = GroupedQueryAttention(config)
        self.feed_forward_norm = RMSNorm(config.embed_dim, config.norm_eps)
        self.feed_forward = GatedFeedForward.from_config(config)

    def forward(
        self,
        x: Float[Tensor, "B T D"],
        rotation: tuple[Float[Tensor, "T pairs"], Float[Tensor, "T pairs"]],
        cache: KeyValueStore | None = None,
    ) -> Float[Tensor, "B T D"]:
        """Add what each sublayer finds to the stream."""
        x = x + self.attention(self.attention_norm(x), rotation, cache)
        return x + self.feed_forward(self.feed_forward_norm(x))
