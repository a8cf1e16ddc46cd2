"""The decoder: token ids in, a score for every possible next token out.

    x = embedding(ids);   x = block(x) for each block;   logits = head(norm(x))

One class is every published family: what a layer is stands in :attr:`ModelConfig.layers`, and nothing here asks for
a family's name. :mod:`.families` holds their configurations.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, cast, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from gemini_workshop.config import ModelConfig, RotaryConfig
from gemini_workshop.errors import WorkshopError
from gemini_workshop.models.attention import AttentionFunction, softcap
from gemini_workshop.models.attention_layers import GroupedQueryAttention
from gemini_workshop.models.embeddings import (
    Rotation,
    TokenEmbedding,
    rotary_cos_sin,
    segment_positions,
    sinusoidal_positions,
)
from gemini_workshop.models.initialization import EMBEDDING_STD, draw, draw_linear
from gemini_workshop.models.key_value_store import KeyValueStore, PassedOn
from gemini_workshop.models.latent_attention import LatentAttention
from gemini_workshop.models.multimodal.stream import Media, MediaEmbedder, image_ids_of
from gemini_workshop.models.normalization import RMSNorm, make_norm
from gemini_workshop.models.rotary_scaling import rotary_magnitude, scaled_rotary_frequencies
from gemini_workshop.models.transformer_block import TransformerBlock


@runtime_checkable
class HasConstants(Protocol):
    """A module with tensors that are not weights and are not saved."""

    def restore_constants(self, device: str | torch.device) -> None:
        """Compute them again, for a model made on the device "meta", where tensors hold no numbers."""
        ...


class Rotary(nn.Module):
    """The angles of one kind of layer, for any positions."""

    frequencies: Tensor

    def __init__(self, channels: int, rope: RotaryConfig) -> None:
        super().__init__()
        self.channels, self.rope = channels, rope
        self.magnitude, self.layout = rotary_magnitude(rope), rope.layout
        self.register_buffer("frequencies", scaled_rotary_frequencies(channels, rope), persistent=False)

    def restore_constants(self, device: str | torch.device) -> None:
        """Compute the frequencies again."""
        self.frequencies = scaled_rotary_frequencies(self.channels, self.rope).to(device)

    def forward(self, positions: Int[Tensor, "*B T"]) -> Rotation:
        """Cosines and sines, with an axis for the heads where each sequence has its own positions."""
        cos, sin = rotary_cos_sin(positions, self.frequencies)
        if self.magnitude != 1.0:
            cos, sin = self.magnitude * cos, self.magnitude * sin
        return Rotation(cos.unsqueeze(-3), sin.unsqueeze(-3), self.layout)

    def _apply(self, function: Callable[[Tensor], Tensor], recurse: bool = True) -> "Rotary":
        """Follow the model to another device, but never round the frequencies to 16 bits."""
        before = self.frequencies
        super()._apply(function, recurse)
        if self.frequencies.itemsize < before.itemsize:
            self.frequencies = before.to(self.frequencies.device)
        return self


class PerLayerEmbedding(nn.Module):
    """A small vector for each layer and token, from the token itself and from its embedding (Gemma 4 E2B)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        L, D, P = config.num_layers, config.embed_dim, config.per_layer_embed_dim or 0
        self.num_layers = L
        self.embedding = TokenEmbedding(config.vocab_size, L * P)
        self.projection = nn.Linear(D, L * P, bias=False)
        self.norm = make_norm(config, P)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw the weights again."""
        self.embedding.reset_parameters(generator)
        draw_linear(self.projection, generator)

    def forward(self, token_ids: Int[Tensor, "B T"], x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T L P"]:
        """The mean of both, scaled so that it has the size of one."""
        own = self.embedding(token_ids).unflatten(-1, (self.num_layers, -1))
        seen = self.projection(x).unflatten(-1, (self.num_layers, -1)) * x.shape[-1] ** -0.5
        return (self.norm(seen) + own * own.shape[-1] ** 0.5) * 0.5**0.5


class Transformer(nn.Module):
    """A decoder-only language model built from a :class:`~gemini_workshop.config.ModelConfig`.

    Args:
        generator: where the initial weights are drawn from; the same seed gives the same model.

    Attributes:
        recompute_blocks: while training, keep only what goes into each block and compute its inside again in the
            backward pass: less memory for a third more time.
    """

    def __init__(self, config: ModelConfig, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.config = config
        self.layers = config.layers
        self.recompute_blocks = False
        D = config.embed_dim
        self.embedding = TokenEmbedding(config.vocab_size, D)
        self.position_embedding = nn.Embedding(config.context_tokens, D) if config.positions == "learned" else None
        self.per_layer_embedding = PerLayerEmbedding(config) if config.per_layer_embed_dim is not None else None
        self.media_embedder = MediaEmbedder(config, config.media) if config.media is not None else None
        self.blocks = nn.ModuleList(TransformerBlock(config, layer) for layer in self.layers)
        self.norm: nn.Module = make_norm(config, D) if config.norm_placement != "post" else nn.Identity()
        self.head: nn.Linear | None = None if config.tied_head else nn.Linear(D, config.vocab_size, bias=False)
        ropes = [layer.rope and (config.turning_channels(layer), layer.rope) for layer in self.layers]
        distinct = [rope for rope in dict.fromkeys(ropes) if rope is not None]
        self.rotary = nn.ModuleList(Rotary(*rope) for rope in distinct)
        self.rotary_of = [None if rope is None else distinct.index(rope) for rope in ropes]  # the one of each layer
        self.register_buffer("embedding_scale", torch.tensor(config.embedding_scale), persistent=False)
        self.reset_parameters(generator)

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw all weights again, in the order of the modules; see :mod:`.initialization`."""
        for module in self.modules():
            if isinstance(module, RMSNorm):
                module.reset_parameters()
        self.embedding.reset_parameters(generator)
        if self.position_embedding is not None:
            draw(self.position_embedding.weight, EMBEDDING_STD, generator)
        if self.per_layer_embedding is not None:
            self.per_layer_embedding.reset_parameters(generator)
        if self.media_embedder is not None:
            self.media_embedder.reset_parameters(generator)
        for block in cast("Iterable[TransformerBlock]", self.blocks):
            block.reset_parameters(generator)
        if self.head is not None:
            draw(self.head.weight, EMBEDDING_STD, generator)

    def restore_constants(self, device: str | torch.device) -> None:
        """Compute again what is not a weight, for a model made on the device "meta", where tensors hold no numbers."""
        for module in self.modules():
            if isinstance(module, HasConstants) and module is not self:
                module.restore_constants(device)
        dtype = self.embedding.weight.dtype
        self.embedding_scale = torch.tensor(self.config.embedding_scale, dtype=dtype, device=device)

    def forward(
        self,
        token_ids: Int[Tensor, "B T"],
        cache: Sequence[KeyValueStore] | None = None,
        segment_ids: Int[Tensor, "B S"] | None = None,
        media: Media | None = None,
    ) -> Float[Tensor, "B T V"]:
        """Score every token of the vocabulary as the successor of every token given.

        Args:
            cache: one store a layer. With it, ``token_ids`` go on where the cached tokens end.
            segment_ids: which document each token belongs to, cached tokens included: tokens see only their own,
                and positions count from its first token. Padding is a segment of its own.
            media: what stands in the places that ``token_ids`` hold for images and audio. An image is given whole:
                not some of it now and the rest, with a cache, later.

        Raises:
            WorkshopError: the media do not fit the places, or the model takes none.
        """
        return self.logits(self.hidden_states(token_ids, cache, segment_ids, media))

    def logits(self, x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B V"]:
        """Scores from hidden states: what the head reads."""
        logits = self.embedding.logits(x) if self.head is None else self.head(x)
        return logits if self.config.final_softcap is None else softcap(logits, self.config.final_softcap)

    def hidden_states(
        self,
        token_ids: Int[Tensor, "B T"],
        cache: Sequence[KeyValueStore] | None = None,
        segment_ids: Int[Tensor, "B S"] | None = None,
        media: Media | None = None,
    ) -> Float[Tensor, "B T D"]:
        """The normalised residual stream after the last block: what the head reads."""
        positions = self._positions(token_ids, 0 if cache is None else len(cache[0]), segment_ids)
        rotations = [rotary(positions) for rotary in self.rotary]
        x, image_ids = self._with_media(self._embed(token_ids, positions), token_ids, media)
        embeddings = None if self.per_layer_embedding is None else self.per_layer_embedding(token_ids, x)
        stores = self._stores() if cache is None else cache
        for i, block in enumerate(self.blocks):
            rotary = self.rotary_of[i]
            rotation = None if rotary is None else rotations[rotary]
            layer_embedding = None if embeddings is None else embeddings[:, :, i]
            inputs = (x, rotation, stores[i], segment_ids, image_ids, layer_embedding)
            x = checkpoint(block, *inputs, use_reentrant=False) if self._recomputes() else block(*inputs)
        return self.norm(x)

    def _embed(self, token_ids: Tensor, positions: Tensor) -> Tensor:
        x = self.embedding(token_ids)
        if self.config.embedding_scale != 1.0:
            x = x * self.embedding_scale
        if self.position_embedding is not None:
            x = x + self.position_embedding(positions)
        if self.config.positions == "sinusoidal":
            x = x + sinusoidal_positions(positions, self.config.embed_dim).to(x.dtype)
        return x

    def _with_media(self, x: Tensor, token_ids: Tensor, media: Media | None) -> tuple[Tensor, Tensor | None]:
        """The stream with the media in it, and which image each token belongs to, where layers want to know."""
        if media is None:
            return x, None
        if self.media_embedder is None or self.config.media is None:
            raise WorkshopError("The model takes text alone. Leave the media out, or use a model trained with them.")
        x = self.media_embedder(x, token_ids, media)
        is_patch = self.media_embedder.is_patch(token_ids)
        return x, image_ids_of(is_patch) if self.config.media.image_attention != "causal" and is_patch.any() else None

    def _positions(self, token_ids: Tensor, start: int, segment_ids: Tensor | None) -> Tensor:
        T, longest = token_ids.shape[1], self.config.context_tokens
        if self.position_embedding is not None and start + T > longest:
            raise WorkshopError(
                f"{start + T} tokens are more than context_tokens={longest}, and learned positions end there. "
                f"Give at most {longest} tokens."
            )
        if segment_ids is None:
            positions = torch.arange(start, start + T, device=token_ids.device)
        elif segment_ids.shape[1] == start + T:
            positions = segment_positions(segment_ids)[:, start:]
        else:
            raise WorkshopError(
                f"segment_ids name {segment_ids.shape[1]} tokens, but there are {start} in the cache and {T} new ones. "
                "Give the segment of every token, cached ones included."
            )
        return positions

    def _stores(self) -> list[PassedOn | None]:
        """Without a cache, only layers whose keys and values others read need a place for them."""
        passed_on = {layer.kv_source: PassedOn() for layer in self.layers if layer.borrows_kv}
        return [passed_on.get(layer.kv_source) for layer in self.layers]

    def _recomputes(self) -> bool:
        return self.recompute_blocks and self.training and torch.is_grad_enabled()

    @contextmanager
    def attention_by(self, functions: AttentionFunction | Sequence[AttentionFunction]) -> Iterator[None]:
        """Let other functions do the attention for a while: to look inside, to change it, to use one's own.

        Args:
            functions: one for all layers, or one for each, with the signature of
                :func:`~gemini_workshop.models.attention.causal_attention`.
        """
        layers = [module for module in self.modules() if isinstance(module, GroupedQueryAttention | LatentAttention)]
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


def hidden_matrices(model: Transformer) -> list[Tensor]:
    """The matrices between hidden vectors: the weights of the linear layers in the blocks, and the experts' stacks.

    Not among them: embeddings, head, routers, and what an adapter adds to a layer, whose rows are few.
    """
    return _hidden_matrices(model.blocks)


def _hidden_matrices(module: nn.Module) -> list[Tensor]:
    if isinstance(module, nn.Linear):  # and no deeper: what an adapter adds is inside
        return [module.weight]
    stacks = [weight for weight in module.parameters(recurse=False) if weight.ndim == 3]
    return stacks + [matrix for child in module.children() for matrix in _hidden_matrices(child)]
