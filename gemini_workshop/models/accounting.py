"""What a model costs, from its configuration alone: parameters, arithmetic, memory of the cache.

A product of an (m, n) and an (n, k) matrix takes 2 m n k floating-point operations (FLOPs): a multiplication and an
addition for each term. Products are counted and nothing else; what is left is a few percent.

Source: Kaplan et al. 2020, arXiv:2001.08361, section 2.1; Hoffmann et al. 2022, arXiv:2203.15556, appendix F.
"""

from collections.abc import Sequence

import torch
from torch import nn

from gemini_workshop.config import LayerConfig, ModelConfig
from gemini_workshop.models.moe import MixtureOfExperts
from gemini_workshop.models.transformer import Transformer


def without_memory(config: ModelConfig) -> Transformer:
    """The model with shapes and no numbers: of any size, at once."""
    with torch.device("meta"):
        return Transformer(config)


def num_parameters(config: ModelConfig) -> int:
    """Numbers that training adjusts; a tied head counts once."""
    return without_memory(config).num_parameters()


def num_active_parameters(config: ModelConfig) -> int:
    """Parameters that one token meets: all but those of the experts that it is not sent to."""
    model = without_memory(config)
    if config.moe is None:
        return model.num_parameters()
    experts = [module.experts for module in model.modules() if isinstance(module, MixtureOfExperts)]
    stacked = sum(weight.numel() for layer in experts for weight in layer.parameters())
    idle = config.moe.num_experts - config.moe.experts_per_token
    return model.num_parameters() - stacked * idle // config.moe.num_experts


def forward_flops(config: ModelConfig, num_tokens: int) -> int:
    """FLOPs of reading one sequence and scoring every next token; local layers look at their window only."""
    matrices = _matrix_parameters(config)
    scores = sum(_attention_flops(config, layer, num_tokens) for layer in config.layers)
    return 2 * matrices * num_tokens + scores


def training_flops(config: ModelConfig, num_tokens: int) -> int:
    """FLOPs of one sequence in training: the backward pass takes each product twice more."""
    return 3 * forward_flops(config, num_tokens)


def cache_bytes(
    num_tokens: int, windows: Sequence[int | None], num_kv_heads: int, head_dim: int, bytes_per_number: int
) -> int:
    """Memory of the keys and values of one text.

    Args:
        num_tokens: length of the text.
        windows: for each layer, how many of the newest tokens it keeps; None: all of them.
        bytes_per_number: 4 for float32, 2 for bfloat16.

    Example:
        >>> cache_bytes(1000, [None, 10], num_kv_heads=3, head_dim=4, bytes_per_number=2)
        48480
    """
    kept = sum(num_tokens if window is None else min(window, num_tokens) for window in windows)
    return 2 * kept * num_kv_heads * head_dim * bytes_per_number


def _matrix_parameters(config: ModelConfig) -> int:
    """Parameters of all matrices that a token is multiplied with; looking up an embedding takes no product."""
    model = without_memory(config)
    looked_up = sum(module.weight.numel() for module in model.modules() if isinstance(module, nn.Embedding))
    vectors = sum(weight.numel() for weight in model.parameters() if weight.ndim == 1)
    biases = sum(weight.numel() for name, weight in model.named_parameters() if weight.ndim > 1 and "bias" in name)
    idle = model.num_parameters() - num_active_parameters(config)
    head = config.vocab_size * config.embed_dim if config.tied_head else 0
    return model.num_parameters() - idle - looked_up - vectors - biases + head


def _attention_flops(config: ModelConfig, layer: LayerConfig, num_tokens: int) -> int:
    """Scores and mixtures of every query with every key that it sees.

    A causal layer is counted as if it saw all tokens of the sequence, as the written out product computes them; a
    window is counted as its width.
    """
    seen = num_tokens if layer.window_tokens is None else min(layer.window_tokens, num_tokens)
    channels = layer.head_dim + (layer.head_dim if config.latent is None else config.latent.value_dim)
    return 2 * config.num_heads * channels * seen * num_tokens
