"""Where our weights lie in published files: under which names, and in which layout.

A :class:`Spelling` says it for a few tensors; a family is a list of them. Where two say it for the same tensors,
files are written by the first and read by whichever fits: released files hold experts one by one, and a model in
memory holds them stacked.

Source: the modeling files and conversion_mapping.py of transformers 5.23.0.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from gemini_workshop.config import ModelConfig

Tensors = list[Tensor]


@dataclass(frozen=True)
class Layout:
    """How the numbers of some of their tensors become some of ours, and the way back."""

    to_ours: Callable[[Tensors], Tensors]
    to_theirs: Callable[[Tensors], Tensors]


@dataclass(frozen=True)
class Spelling:
    """Names of ours and of theirs for the same numbers. ``{i}`` stands for each layer, ``{e}`` for each expert."""

    ours: tuple[str, ...]
    theirs: tuple[str, ...]
    layout: Layout

    def of_layer(self, i: int, num_experts: int) -> "Spelling":
        """The names in one layer, experts written out."""
        theirs = (
            name.replace("{i}", str(i)).replace("{e}", str(e))
            for e in (range(num_experts) if "{e}" in self.theirs[0] else (0,))
            for name in self.theirs
        )
        return Spelling(tuple(name.replace("{i}", str(i)) for name in self.ours), tuple(theirs), self.layout)


# --- Layouts ---


def interleave(halves: Tensor) -> Tensor:
    """The rows of two halves by turns: (E, 2 F, ...) with the gate first to one with gate and up alternating."""
    return torch.stack(halves.chunk(2, dim=1), dim=2).flatten(1, 2)


def deinterleave(rows: Tensor) -> Tensor:
    """The way back from :func:`interleave`."""
    return torch.cat([rows[:, 0::2], rows[:, 1::2]], dim=1)


SAME = Layout(lambda theirs: theirs, lambda ours: ours)
TRANSPOSED = Layout(lambda theirs: [x.mT for x in theirs], lambda ours: [x.mT for x in ours])
# GPT-2 keeps queries, keys and values side by side.
FUSED = Layout(lambda theirs: list(theirs[0].chunk(3)), lambda ours: [torch.cat(ours)])
FUSED_TRANSPOSED = Layout(lambda theirs: list(theirs[0].mT.chunk(3)), lambda ours: [torch.cat(ours).mT])
# gate 0, up 0, gate 1, up 1, ...
EXPERT_PAIRS = Layout(
    lambda theirs: [torch.stack([torch.cat(pair) for pair in zip(theirs[0::2], theirs[1::2], strict=True)])],
    lambda ours: [half for expert in ours[0] for half in expert.chunk(2)],
)
EXPERTS = Layout(lambda theirs: [torch.stack(theirs)], lambda ours: list(ours[0]))
INTERLEAVED = Layout(lambda theirs: [deinterleave(theirs[0])], lambda ours: [interleave(ours[0])])
INTERLEAVED_TRANSPOSED = Layout(lambda theirs: [deinterleave(theirs[0].mT)], lambda ours: [interleave(ours[0]).mT])

# --- Names ---


def same(names: dict[str, str]) -> list[Spelling]:
    """Tensors that differ in their names only."""
    return [Spelling((ours,), (theirs,), SAME) for ours, theirs in names.items()]


def in_blocks(names: dict[str, str]) -> list[Spelling]:
    """The same for tensors of each layer."""
    return same({f"blocks.{{i}}.{ours}": f"model.layers.{{i}}.{theirs}" for ours, theirs in names.items()})


def _parts(names: dict[str, str], ours: str, theirs: str) -> dict[str, str]:
    return {f"{ours}.{a}.{kind}": f"{theirs}.{b}.{kind}" for a, b in names.items() for kind in ("weight", "bias")}


MLP = {"gate": "gate_proj", "up": "up_proj", "down": "down_proj"}
GROUPED = {"query": "q_proj", "key": "k_proj", "value": "v_proj", "output": "o_proj"}
HEAD_NORMS = {"query_norm": "q_norm", "key_norm": "k_norm"}
LATENT = {
    "query_down": "q_a_proj",
    "query_down_norm": "q_a_layernorm",
    "query_up": "q_b_proj",
    "latent_down": "kv_a_proj_with_mqa",
    "latent_norm": "kv_a_layernorm",
    "latent_up": "kv_b_proj",
}
PRE_NORMS = in_blocks(
    {"attention_norm.weight": "input_layernorm.weight", "feed_forward_norm.weight": "post_attention_layernorm.weight"}
)
SANDWICH_NORMS = in_blocks(
    {
        "attention_norm.weight": "input_layernorm.weight",
        "attention_output_norm.weight": "post_attention_layernorm.weight",
        "feed_forward_norm.weight": "pre_feedforward_layernorm.weight",
        "feed_forward_output_norm.weight": "post_feedforward_layernorm.weight",
    }
)
LLAMA = [
    *same(
        {
            "embedding.weight": "model.embed_tokens.weight",
            "norm.weight": "model.norm.weight",
            "head.weight": "lm_head.weight",
        }
    ),
    *in_blocks(
        _parts(GROUPED | HEAD_NORMS | LATENT, "attention", "self_attn")
        | {"attention.sinks": "self_attn.sinks"}
        | _parts(MLP, "feed_forward", "mlp")
    ),
]


def stacked_experts(ours: str, theirs: str) -> list[Spelling]:
    """Experts as a model of transformers 5 holds them, and as Gemma 4 is released."""
    return in_blocks({f"{ours}.gate_up": f"{theirs}.gate_up_proj", f"{ours}.down": f"{theirs}.down_proj"})


def single_experts(theirs: str, gate: str, up: str, down: str) -> list[Spelling]:
    """Experts as most models are released: three matrices each."""
    ours, names = "blocks.{i}.feed_forward.experts.", "model.layers.{i}." + theirs + ".{e}."
    return [
        Spelling((ours + "gate_up",), (f"{names}{gate}.weight", f"{names}{up}.weight"), EXPERT_PAIRS),
        Spelling((ours + "down",), (f"{names}{down}.weight",), EXPERTS),
    ]


MOE = [
    *single_experts("mlp.experts", "gate_proj", "up_proj", "down_proj"),
    *stacked_experts("feed_forward.experts", "mlp.experts"),
    *in_blocks(
        {
            "feed_forward.router.weight": "mlp.gate.weight",
            "feed_forward.router.selection_bias": "mlp.gate.e_score_correction_bias",
        }
        | _parts(MLP, "feed_forward.shared", "mlp.shared_experts")
    ),
]
MIXTRAL = [
    *single_experts("block_sparse_moe.experts", "w1", "w3", "w2"),
    *stacked_experts("feed_forward.experts", "mlp.experts"),
    *in_blocks({"feed_forward.router.weight": "block_sparse_moe.gate.weight"}),
    *in_blocks({"feed_forward.router.weight": "mlp.gate.weight"}),
]
GPT_OSS = [
    *in_blocks(_parts({"router": "router"}, "feed_forward", "mlp")),
    *(
        Spelling((f"blocks.{{i}}.feed_forward.experts.{ours}",), (f"model.layers.{{i}}.mlp.experts.{theirs}",), layout)
        for ours, theirs, layout in (
            ("gate_up", "gate_up_proj", INTERLEAVED_TRANSPOSED),
            ("gate_up_bias", "gate_up_proj_bias", INTERLEAVED),
            ("down", "down_proj", TRANSPOSED),
            ("down_bias", "down_proj_bias", SAME),
        )
    ),
]
GEMMA4 = [
    *same(
        {
            "per_layer_inputs.embedding.weight": "model.embed_tokens_per_layer.weight",
            "per_layer_inputs.projection.weight": "model.per_layer_model_projection.weight",
            "per_layer_inputs.norm.weight": "model.per_layer_projection_norm.weight",
        }
    ),
    *in_blocks(
        {
            "scale": "layer_scalar",
            "per_layer_input.gate.weight": "per_layer_input_gate.weight",
            "per_layer_input.output.weight": "per_layer_projection.weight",
            "per_layer_input.output_norm.weight": "post_per_layer_input_norm.weight",
            "feed_forward.dense_output_norm.weight": "post_feedforward_layernorm_1.weight",
            "feed_forward.experts_norm.weight": "pre_feedforward_layernorm_2.weight",
            "feed_forward.experts_output_norm.weight": "post_feedforward_layernorm_2.weight",
            "feed_forward.experts.router.weight": "router.proj.weight",
            "feed_forward.experts.router.scale": "router.scale",
            "feed_forward.experts.router.expert_scale": "router.per_expert_scale",
        }
        | _parts(MLP, "feed_forward.dense", "mlp")
    ),
    *stacked_experts("feed_forward.experts.experts", "experts"),
]


def _gpt2() -> list[Spelling]:
    block, layer = "blocks.{i}.", "transformer.h.{i}."
    qkv = [f"{block}attention.{part}." for part in ("query", "key", "value")]
    matrices = {
        "attention.output": "attn.c_proj",
        "feed_forward.up": "mlp.c_fc",
        "feed_forward.down": "mlp.c_proj",
    }
    norms = {"attention_norm": "ln_1", "feed_forward_norm": "ln_2"}
    return [
        *same(
            {
                "embedding.weight": "transformer.wte.weight",
                "position_embedding.weight": "transformer.wpe.weight",
                "norm.weight": "transformer.ln_f.weight",
                "norm.bias": "transformer.ln_f.bias",
                "head.weight": "lm_head.weight",
            }
            | {f"{block}{a}.{kind}": f"{layer}{b}.{kind}" for a, b in norms.items() for kind in ("weight", "bias")}
            | {f"{block}{a}.bias": f"{layer}{b}.bias" for a, b in matrices.items()}
        ),
        *(Spelling((f"{block}{a}.weight",), (f"{layer}{b}.weight",), TRANSPOSED) for a, b in matrices.items()),
        Spelling(tuple(f"{name}weight" for name in qkv), (f"{layer}attn.c_attn.weight",), FUSED_TRANSPOSED),
        Spelling(tuple(f"{name}bias" for name in qkv), (f"{layer}attn.c_attn.bias",), FUSED),
    ]


FAMILIES: dict[str, list[Spelling]] = {
    "gpt2": _gpt2(),
    **dict.fromkeys(("llama", "qwen3", "gemma"), LLAMA + PRE_NORMS),
    **dict.fromkeys(("gemma2", "gemma3_text"), LLAMA + SANDWICH_NORMS),
    "gemma4_text": LLAMA + SANDWICH_NORMS + GEMMA4,
    "mixtral": LLAMA + PRE_NORMS + MIXTRAL,
    **dict.fromkeys(("qwen3_moe", "olmoe", "deepseek_v2", "deepseek_v3"), LLAMA + PRE_NORMS + MOE),
    "gpt_oss": LLAMA + PRE_NORMS + GPT_OSS,
}


def spellings(family: str, config: ModelConfig, needed: set[str]) -> dict[tuple[str, ...], list[Spelling]]:
    """For each group of tensors that a model needs, the ways in which a family's files spell it, best first."""
    found: dict[tuple[str, ...], list[Spelling]] = {}
    num_experts = config.moe.num_experts if config.moe else 0
    for template in FAMILIES[family]:
        layers = range(config.num_layers) if "{i}" in template.ours[0] else (0,)
        for spelling in (template.of_layer(i, num_experts) for i in layers):
            if needed.issuperset(spelling.ours):
                found.setdefault(spelling.ours, []).append(spelling)
    return found


# --- Names that are no part of the decoder ---


def canonical(name: str, names_are_bare: bool, base: str) -> str:
    """The name as a text-only model with a head would have it.

    Multimodal models put their language model under a prefix of its own; GPT-2 was released without its prefix.
    """
    name = re.sub(r"^(model\.language_model\.|language_model\.model\.)", "model.", name)
    name = name.removeprefix("language_model.")
    return f"{base}.{name}" if names_are_bare and not name.startswith("lm_head.") else name


def is_ignored(name: str, family: str, config: ModelConfig) -> bool:
    """Whether a file may hold what the decoder does not use: constants, other towers, tied or shared weights."""
    if layer := re.match(r"model\.layers\.(\d+)\.(self_attn\.(?:k_proj|v_proj|k_norm)\.)?", name):
        number, has_keys = int(layer[1]), layer[2] is not None
        if number >= config.num_layers:
            return family == "deepseek_v3"  # its prediction of several tokens ahead
        if has_keys and config.layers[number].borrows_kv:
            return True
    constants = r"\.rotary_emb\.inv_freq$|\.attn\.(masked_)?bias$"
    towers = r"^(model\.)?(vision_tower|multi_modal_projector|audio_tower|embed_vision|embed_audio)\."
    return bool(re.search(f"{constants}|{towers}", name)) or (config.tied_head and name == "lm_head.weight")
