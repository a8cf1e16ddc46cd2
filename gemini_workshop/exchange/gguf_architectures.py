"""What the architectures of llama.cpp compute, and where our tensors are in their files.

llama.cpp has one program per architecture: it reads sizes and a few numbers from the file, and all else is fixed. So an
:class:`Architecture` says which model it computes from the sizes of ours. If that is not ours, it cannot express it:
nothing is approximated.

    gpt2     learned positions, LayerNorm, biases, GELU
    llama    grouped heads, RMSNorm, SwiGLU; neighbouring channels turn as pairs
    qwen3    the same with norms of queries and keys; channels of two halves turn as pairs
    gemma3   windows, sandwich norms, scaled embeddings, GeGLU
    plamo3   the same with SwiGLU; embeddings are not scaled, so the file holds them scaled

Source: the loaders and graphs in src/models of llama.cpp (build 11549), its tensor names in gguf 0.19.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from gemini_workshop.config import ModelConfig, RotaryConfig
from gemini_workshop.errors import ConfigError
from gemini_workshop.models.families.engine import differences

Weights = dict[str, Tensor]
SIZES = ("vocab_size", "context_tokens", "embed_dim", "num_layers", "num_heads", "num_kv_heads", "head_dim", "ffn_dim")
SANDWICH = {"norm_placement": "sandwich", "qk_norm": "head"}
BIASES = dict.fromkeys(("qkv_bias", "output_bias", "feed_forward_bias"), True)

TOP = {
    "embedding": "token_embd",
    "position_embedding": "position_embd",
    "norm": "output_norm",
    "head": "output",
}
IN_LAYER = {
    "attention_norm": "attn_norm",
    "attention.query": "attn_q",
    "attention.key": "attn_k",
    "attention.value": "attn_v",
    "attention.query_norm": "attn_q_norm",
    "attention.key_norm": "attn_k_norm",
    "attention.output": "attn_output",
    "attention_output_norm": "post_attention_norm",
    "feed_forward_norm": "ffn_norm",
    "feed_forward.gate": "ffn_gate",
    "feed_forward.up": "ffn_up",
    "feed_forward.down": "ffn_down",
    "feed_forward_output_norm": "post_ffw_norm",
}


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """One architecture of llama.cpp.

    Args:
        fixed: what it computes whatever the file says.
        free: what the file decides, beside the sizes.
        has_windows: layers may be local, every n-th is global, and local ones may turn by a base of their own.
        scales_embeddings: the embeddings are multiplied by the root of their width.
        fills_width: all heads together are as wide as the embeddings.
        rewrite: our tensors, by the names in the file, as it wants them.
    """

    fixed: dict[str, Any]
    free: tuple[str, ...] = ("norm_eps", "tied_head")
    has_windows: bool = False
    scales_embeddings: bool = False
    fills_width: bool = False
    rewrite: Callable[[ModelConfig, Weights], Weights] = field(default=lambda _, weights: weights)

    def computes(self, config: ModelConfig) -> ModelConfig:
        """The model that it computes from the sizes of this one."""
        fields = {name: getattr(config, name) for name in (*SIZES, *self.free)} | self.fixed
        if fields.get("positions", "rotary") == "rotary":
            fields["rope"] = RotaryConfig(base=config.rope.base if config.rope else 10_000.0)
        if self.scales_embeddings:
            fields["embedding_scale"] = config.embed_dim**0.5
        if self.has_windows and config.window_tokens is not None:
            period = global_period(config) or 6
            pattern = ("local",) * max(period - 1, 0) + ("global",) if period <= config.num_layers else ("local",)
            local = config.local_rope or config.rope
            base = local.base if local else 10_000.0
            fields |= {"layer_pattern": pattern, "window_tokens": config.window_tokens}
            fields["local_rope"] = RotaryConfig(base=base)
        return ModelConfig(**fields)

    def missing(self, config: ModelConfig) -> list[str]:
        """What it cannot express, as ``field=value``."""
        if config.norm == "rms_offset":
            config = replace(config, norm="rms")  # files hold 1 + weight
        try:
            missing = differences(config, self.computes(config))
        except ConfigError as error:
            return [str(error)]
        if self.fills_width and config.embed_dim != config.num_heads * config.head_dim:
            missing.append(f"embed_dim={config.embed_dim} (not num_heads * head_dim)")
        return missing


def global_period(config: ModelConfig) -> int | None:
    """Every how many layers one is global; more than there are layers if all are local; None if it is not so."""
    kinds = [layer.window_tokens is None for layer in config.layers]
    periods = range(1, config.num_layers + 2)
    return next((n for n in periods if kinds == [(i + 1) % n == 0 for i in range(config.num_layers)]), None)


# --- Tensors ---


def renamed(config: ModelConfig, weights: Weights) -> Weights:
    """Our tensors by the names in the file; norms that are stored as offsets get their 1."""
    found: Weights = {}
    for ours, tensor in weights.items():
        module, _, kind = ours.rpartition(".")
        is_offset = config.norm == "rms_offset" and module.endswith("norm")
        _, layer, name = module.split(".", 2) if module.startswith("blocks.") else ("", "", module)
        theirs = f"blk.{layer}.{IN_LAYER[name]}" if layer else TOP[name]
        found[f"{theirs}.{kind}"] = tensor + 1 if is_offset else tensor
    return found


def _layers(config: ModelConfig) -> Iterator[str]:
    return (f"blk.{i}." for i in range(config.num_layers))


def _fused(config: ModelConfig, weights: Weights) -> Weights:
    """Queries, keys and values in one matrix."""
    for layer in _layers(config):
        for kind in ("weight", "bias"):
            names = [f"{layer}attn_{part}.{kind}" for part in "qkv"]
            if names[0] in weights:
                weights[f"{layer}attn_qkv.{kind}"] = torch.cat([weights.pop(name) for name in names])
    return weights


def _in_pairs(config: ModelConfig, weights: Weights) -> Weights:
    """Rows of queries and keys so that the channels that turn together are neighbours."""
    for layer in _layers(config):
        for name in (f"{layer}attn_q.weight", f"{layer}attn_k.weight"):
            weights[name] = rearrange(weights[name], "(h two c) d -> (h c two) d", two=2, c=config.head_dim // 2)
    return weights


def _plamo3(config: ModelConfig, weights: Weights) -> Weights:
    """Queries, keys and values in one matrix, gate and up in another, and the embeddings scaled."""
    for layer in _layers(config):
        gate = weights.pop(f"{layer}ffn_gate.weight")
        weights[f"{layer}ffn_up.weight"] = torch.cat([gate, weights[f"{layer}ffn_up.weight"]])
        for name in ("post_attention_norm", "post_ffw_norm"):
            weights[f"{layer}{name}"] = weights.pop(f"{layer}{name}.weight")
    embedding = weights["token_embd.weight"]
    if config.embedding_scale != 1:
        weights.setdefault("output.weight", embedding)
        weights["token_embd.weight"] = embedding * config.embedding_scale
    return _fused(config, weights)


# In the order in which they are tried.
ARCHITECTURES = {
    "gpt2": Architecture(
        fixed={"positions": "learned", "norm": "layer", "activation": "gelu_tanh", "gated": False, **BIASES},
        fills_width=True,
        rewrite=_fused,
    ),
    "llama": Architecture(fixed={"activation": "silu"}, rewrite=_in_pairs),
    "qwen3": Architecture(fixed={"activation": "silu", "qk_norm": "head"}),
    "gemma3": Architecture(fixed={"activation": "gelu_tanh", **SANDWICH}, has_windows=True, scales_embeddings=True),
    "plamo3": Architecture(
        fixed={"activation": "silu", **SANDWICH},
        free=("norm_eps", "tied_head", "embedding_scale"),
        has_windows=True,
        rewrite=_plamo3,
    ),
}


def architecture_of(config: ModelConfig) -> str:
    """The first architecture that computes a model.

    Raises:
        ConfigError: there is none; the message names the closest, and what it cannot express.
    """
    missing = {name: architecture.missing(config) for name, architecture in ARCHITECTURES.items()}
    closest = min(missing, key=lambda name: len(missing[name]))
    if missing[closest]:
        raise ConfigError(
            f"No architecture of llama.cpp that we know can express this model. The closest is {closest}, which cannot "
            f"express {', '.join(missing[closest])}. Change these fields to export the model, or export it for "
            "transformers."
        )
    return closest
