"""A whole language model in its plainest form: what lesson 06 builds, part for part.

    x = embedding(ids) + position_embedding(0, 1, 2, ...)
    x = x + attention(norm(x));  x = x + feed_forward(norm(x))        for each block
    logits = norm(x) . embedding

The decoder of the course, :mod:`.transformer`, can do much more. The parts here bear the names they have there, so
that the weights of one are the weights of the other.

Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.1 (norm after each addition, "post"); Xiong et al. 2020,
arXiv:2002.04745, section 3 (norm before each sublayer, "pre"); Gemma Team 2024, arXiv:2408.00118, section 2 (before
and after each sublayer, "sandwich"); tied head: Press and Wolf 2017, arXiv:1608.05859.
"""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from gemini_workshop.models.feedforward import GatedFeedForward
from gemini_workshop.models.initialization import EMBEDDING_STD
from gemini_workshop.models.masks import causal_mask
from gemini_workshop.models.multi_head_attention import MultiHeadAttention
from gemini_workshop.models.normalization import RMSNorm

WRITE_TO_STREAM = ("attention.output.weight", "feed_forward.down.weight")


def identity(x: Tensor) -> Tensor:
    """What a norm does where there is none."""
    return x


def residual_step(
    x: Float[Tensor, "*B D"],
    sublayer: Callable[[Tensor], Tensor],
    norm: Callable[[Tensor], Tensor] = identity,
    output_norm: Callable[[Tensor], Tensor] = identity,
    stream_norm: Callable[[Tensor], Tensor] = identity,
) -> Float[Tensor, "*B D"]:
    """Add what a sublayer finds to the residual stream.

    Args:
        norm: normalizes what the sublayer reads (pre and sandwich).
        output_norm: normalizes what the sublayer found, before it is added (sandwich).
        stream_norm: normalizes the sum (post).

    Example:
        >>> residual_step(torch.tensor([6.0]), sublayer=lambda x: 10 * x, norm=lambda x: x / 3)
        tensor([26.])
    """
    return stream_norm(x + output_norm(sublayer(norm(x))))


class PlainBlock(nn.Module):
    """Attention, then feed-forward, each added to the residual stream.

    Args:
        placement: where the norms are: "pre", "post" or "sandwich". Where none is, all passes unchanged.
    """

    def __init__(self, embed_dim: int, num_heads: int, ffn_dim: int, placement: str = "pre", eps: float = 1e-6) -> None:
        super().__init__()

        def norm(*placements: str) -> nn.Module:
            return RMSNorm(embed_dim, eps) if placement in placements else nn.Identity()

        self.attention_norm = norm("pre", "sandwich")
        self.attention = MultiHeadAttention(embed_dim, num_heads)
        self.attention_output_norm = norm("sandwich")
        self.attention_stream_norm = norm("post")
        self.feed_forward_norm = norm("pre", "sandwich")
        self.feed_forward = GatedFeedForward(embed_dim, ffn_dim, "silu")
        self.feed_forward_output_norm = norm("sandwich")
        self.feed_forward_stream_norm = norm("post")

    def forward(self, x: Float[Tensor, "B T D"], mask: Bool[Tensor, "T T"] | None = None) -> Float[Tensor, "B T D"]:
        """Gather from other tokens, then think it over.

        Args:
            mask: True where token t may look at token s; everywhere, if left out.
        """
        x = residual_step(
            x,
            lambda normed: self.attention(normed, mask=mask),
            self.attention_norm,
            self.attention_output_norm,
            self.attention_stream_norm,
        )
        return residual_step(
            x,
            self.feed_forward,
            self.feed_forward_norm,
            self.feed_forward_output_norm,
            self.feed_forward_stream_norm,
        )


class PlainTransformer(nn.Module):
    """Token ids in, a score for every possible next token out. The head is the embedding table itself."""

    def __init__(
        self,
        vocab_size: int,
        context_tokens: int,
        embed_dim: int,
        num_layers: int,
        num_heads: int,
        ffn_dim: int,
        placement: str = "pre",
        eps: float = 1e-6,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embed_dim)
        self.position_embedding = nn.Embedding(context_tokens, embed_dim)
        self.blocks = nn.ModuleList(
            PlainBlock(embed_dim, num_heads, ffn_dim, placement, eps) for _ in range(num_layers)
        )
        self.norm = nn.Identity() if placement == "post" else RMSNorm(embed_dim, eps)

    def forward(self, token_ids: Int[Tensor, "B T"]) -> Float[Tensor, "B T V"]:
        """Score every token of the vocabulary as the successor of every token given."""
        T = token_ids.shape[1]
        x = self.embedding(token_ids) + self.position_embedding(torch.arange(T, device=token_ids.device))
        mask = causal_mask(T, T, device=token_ids.device)
        for block in self.blocks:
            x = block(x, mask)
        return self.norm(x) @ self.embedding.weight.T


@torch.no_grad()
def initialize(model: nn.Module, generator: torch.Generator | None = None, silent: bool = True) -> None:
    """Draw all weights: embeddings small, norms one, other matrices such that they keep the size of what they read.

    Args:
        silent: start the matrices that write to the residual stream at zero, so that every block is the identity
            at first.
    """
    for name, weight in model.named_parameters():
        if weight.ndim == 1:
            weight.fill_(1.0)
        elif silent and name.endswith(WRITE_TO_STREAM):
            weight.zero_()
        else:
            std = EMBEDDING_STD if name.endswith("embedding.weight") else weight.shape[1] ** -0.5
            weight.normal_(0.0, 1.0, generator=generator).mul_(std)


def parameters_and_flops(
    vocab_size: int, context_tokens: int, embed_dim: int, num_layers: int, ffn_dim: int, num_tokens: int
) -> tuple[int, int]:
    """How many numbers a plain transformer holds, and how many operations it takes to read one text.

    A product of an (m, n) and an (n, k) matrix takes 2 m n k operations: a multiplication and an addition for each
    term. Products are counted and nothing else. Attention is counted as if every token saw every other.

    Args:
        num_tokens: tokens of the text.

    Returns:
        Parameters, and FLOPs.
    """
    D, T = embed_dim, num_tokens
    matrices = num_layers * (4 * D * D + 3 * D * ffn_dim) + vocab_size * D
    norms = (2 * num_layers + 1) * D
    scores_and_mixtures = num_layers * 2 * (2 * D * T * T)
    return matrices + norms + context_tokens * D, 2 * T * matrices + scores_and_mixtures
