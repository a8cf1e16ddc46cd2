"""The decoder: token ids in, a score for every possible next token out.

    x = embedding(ids);   x = block(x) for each block;   logits = head(norm(x))

What is special about it: rotary positions, RMSNorm before each sublayer, grouped key/value heads, a gated
feed-forward, no biases, and a head that reads with the embedding table itself.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from gemini_workshop.config import ModelConfig
from gemini_workshop.errors import WorkshopError
from gemini_workshop.models.attention import AttentionFunction, GroupedQueryAttention, KeyValueStore
from gemini_workshop.models.embeddings import rotary_cos_sin, rotary_frequencies
from gemini_workshop.models.normalization import RMSNorm
from gemini_workshop.models.transformer_block import TransformerBlock

EMBEDDING_STD = 0.02
# Where each kind of weight starts, by the end of its name. The matrices that write to the residual stream
# start at zero, so that every block is the identity at first and learns how much to add.
INITIAL_STD = {
    "embedding.weight": lambda _: EMBEDDING_STD,
    "head.weight": lambda _: EMBEDDING_STD,
    "attention.query.weight": lambda fan_in: fan_in**-0.5,
    "attention.key.weight": lambda fan_in: fan_in**-0.5,
    "attention.value.weight": lambda fan_in: fan_in**-0.5,
    "attention.output.weight": lambda _: 0.0,
    "feed_forward.gate.weight": lambda fan_in: fan_in**-0.5,
    "feed_forward.up.weight": lambda fan_in: fan_in**-0.5,
    "feed_forward.down.weight": lambda _: 0.0,
}


class Transformer(nn.Module):
    """A decoder-only language model built from a :class:`~gemini_workshop.config.ModelConfig`.

    Args:
        generator: where the initial weights are drawn from; the same seed gives the same model.
    """

    def __init__(self, config: ModelConfig, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.embed_dim)
        self.blocks = nn.ModuleList(TransformerBlock(config) for _ in range(config.num_layers))
        self.norm = RMSNorm(config.embed_dim, config.norm_eps)
        self.head = None if config.tied_head else nn.Linear(config.embed_dim, config.vocab_size, bias=False)
        frequencies = rotary_frequencies(config.head_dim, config.rope_base)
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.reset_parameters(generator)

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw all weights afresh by the table ``INITIAL_STD``; norm weights become one."""
        for name, weight in self.named_parameters():
            rule = next((rule for ending, rule in INITIAL_STD.items() if name.endswith(ending)), None)
            if rule is None:
                weight.fill_(1.0)
            else:
                weight.normal_(0.0, 1.0, generator=generator).mul_(rule(weight.shape[1]))

    def forward(
        self, token_ids: Int[Tensor, "B T"], cache: Sequence[KeyValueStore] | None = None
    ) -> Float[Tensor, "B T V"]:
        """Score every token of the vocabulary as the successor of every token given.

        Args:
            cache: one store a layer. With it, ``token_ids`` go on where the cached tokens end.
        """
        x = self.hidden_states(token_ids, cache)
        return F.linear(x, self.embedding.weight if self.head is None else self.head.weight)

    def hidden_states(
        self, token_ids: Int[Tensor, "B T"], cache: Sequence[KeyValueStore] | None = None
    ) -> Float[Tensor, "B T D"]:
        """The normalised residual stream after the last block: what the head reads."""
        start = 0 if cache is None else len(cache[0])
        positions = torch.arange(start, start + token_ids.shape[1], device=token_ids.device)
        rotation = rotary_cos_sin(positions, cast(Tensor, self.frequencies))
        x = self.embedding(token_ids)
        for i, block in enumerate(self.blocks):
            x = block(x, rotation, None if cache is None else cache[i])
        return self.norm(x)

    @contextmanager
    def attention_by(self, functions: AttentionFunction | Sequence[AttentionFunction]) -> Iterator[None]:
        """Let other functions do the attention for a while: to look inside, to change it, to use one's own.

        Args:
            functions: one for all layers, or one for each, with the signature of
                :func:`~gemini_workshop.models.attention.causal_attention`.
        """
        layers = [module for module in self.modules() if isinstance(module, GroupedQueryAttention)]
        each = list(functions) if isinstance(functions, Sequence) else [functions] * len(layers)
        if len(each) != len(layers):
            raise WorkshopError(f"{len(each)} attention functions for {len(layers)} layers. Give one, or one a layer.")
        before = [layer.attend for layer in layers]
        try:
            for layer, function in zip(layers, each, strict=True):
                layer.attend = function
            yield
        finally:
            for layer, function in zip(layers, before, strict=True):
                layer.attend = function

    def num_parameters(self) -> int:
        """How many numbers training adjusts; a tied head counts once."""
        return sum(weight.numel() for weight in self.parameters())
