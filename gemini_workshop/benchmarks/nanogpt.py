"""The peer of the training benchmarks: GPT-2 and its training step written the plain way, as nanoGPT does.

One product for queries, keys and values, PyTorch's attention, LayerNorm and GELU modules, no biases, dropout 0,
float32, ``torch.optim.AdamW`` as it comes.

Source: Radford et al. 2019; shape and settings: https://github.com/karpathy/nanoGPT, README, Tiny Shakespeare on CPUs.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn


class NanoGPTBlock(nn.Module):
    """Attention and feed-forward, each after a LayerNorm."""

    def __init__(self, embed_dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.attention_norm = nn.LayerNorm(embed_dim, bias=False)
        self.query_key_value = nn.Linear(embed_dim, 3 * embed_dim, bias=False)
        self.output = nn.Linear(embed_dim, embed_dim, bias=False)
        self.feed_forward_norm = nn.LayerNorm(embed_dim, bias=False)
        self.up = nn.Linear(embed_dim, 4 * embed_dim, bias=False)
        self.gelu = nn.GELU()
        self.down = nn.Linear(4 * embed_dim, embed_dim, bias=False)

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """Add what both find to the stream."""
        B, T, D = x.shape
        query, key, value = self.query_key_value(self.attention_norm(x)).split(D, dim=2)
        heads = (B, T, self.num_heads, D // self.num_heads)
        query, key, value = (each.view(heads).transpose(1, 2) for each in (query, key, value))
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.output(mixed.transpose(1, 2).contiguous().view(B, T, D))
        return x + self.down(self.gelu(self.up(self.feed_forward_norm(x))))


class NanoGPT(nn.Module):
    """A GPT-2 with learned positions and a tied head."""

    def __init__(
        self, *, vocab_size: int, context_tokens: int, embed_dim: int, num_layers: int, num_heads: int
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embed_dim)
        self.position_embedding = nn.Embedding(context_tokens, embed_dim)
        self.blocks = nn.ModuleList(NanoGPTBlock(embed_dim, num_heads) for _ in range(num_layers))
        self.norm = nn.LayerNorm(embed_dim, bias=False)
        for name, weight in self.named_parameters():
            if weight.ndim >= 2:
                is_output = name.endswith(("output.weight", "down.weight"))
                nn.init.normal_(weight, std=0.02 * (2 * num_layers) ** -0.5 if is_output else 0.02)

    def forward(self, token_ids: Int[Tensor, "B T"]) -> Float[Tensor, "B T V"]:
        """The logits of the next token."""
        positions = torch.arange(token_ids.shape[1], device=token_ids.device)
        x = self.embedding(token_ids) + self.position_embedding(positions)
        for block in self.blocks:
            x = block(x)
        return F.linear(self.norm(x), self.embedding.weight)


def nanogpt_adamw(model: nn.Module, learning_rate: float = 1e-3) -> torch.optim.AdamW:
    """NanoGPT's optimizer on a CPU."""
    groups = [
        {"params": [weight for weight in model.parameters() if weight.ndim >= 2], "weight_decay": 0.1},
        {"params": [weight for weight in model.parameters() if weight.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.99))


def nanogpt_step(model: Callable[[Tensor], Tensor], optimizer: torch.optim.Optimizer) -> Callable[..., None]:
    """NanoGPT's training step."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]

    def step(inputs: Int[Tensor, "B T"], targets: Int[Tensor, "B T"]) -> None:
        logits = model(inputs)
        loss = F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.reshape(-1))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step
