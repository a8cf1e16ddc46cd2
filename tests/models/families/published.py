"""Tiny models of the published families, made by transformers, with sizes drawn at random.

Every parameter and buffer is randomised: the library's own beginnings (norms at one, biases at zero) hide mistakes.
"""

import contextlib
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest
import torch
import transformers
from torch import nn

V, CONTEXT, T, B = 99, 64, 23, 2
HEADS = [(3, 1), (5, 5), (6, 2), (4, 2)]  # query heads, key/value heads
WINDOWS = [4, 7, 40]  # shorter and longer than the text


class Draw:
    """Draws the sizes of one family's models: each draw of ``choice`` differs between models with other numbers."""

    def __init__(self, family: str, number: int) -> None:
        self.random, self.number = Random(family), number

    def choice(self, options: list[Any]) -> Any:
        return self.random.sample(options, len(options))[self.number % len(options)]


def sizes(draw: Draw) -> dict[str, Any]:
    """What all families but GPT-2 have, in their words. The head's size is not width / heads."""
    heads, kv_heads = draw.choice(HEADS)
    return {
        "vocab_size": V,
        "hidden_size": heads * draw.choice([6, 8]),
        "intermediate_size": draw.choice([30, 44]),
        "num_hidden_layers": draw.choice([2, 3]),
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": draw.choice([10, 12]),
        "max_position_embeddings": CONTEXT,
        "rms_norm_eps": draw.choice([1e-6, 1e-3, 0.03]),
        "tie_word_embeddings": draw.choice([True, False]),
        "attention_bias": draw.choice([True, False]),
        **dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id"), None),
    }


def rope(draw: Draw) -> dict[str, Any]:
    return draw.choice(
        [
            {"rope_type": "default", "rope_theta": 500.0},
            {"rope_type": "linear", "rope_theta": 1000.0, "factor": 4.0},
            {
                "rope_type": "llama3",
                "rope_theta": 100.0,
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 16,
            },
            {
                "rope_type": "yarn",
                "rope_theta": 200.0,
                "factor": 4.0,
                "beta_fast": 8.0,
                "original_max_position_embeddings": 16,
                "truncate": draw.choice([True, False]),
            },
        ]
    )


def kinds(pattern: str) -> list[str]:
    """Local and global layers by their first letters."""
    return [{"l": "sliding_attention", "g": "full_attention"}[letter] for letter in pattern]


def gpt2(draw: Draw) -> Any:
    heads = draw.choice([3, 5, 4])
    return transformers.GPT2Config(
        vocab_size=V,
        n_positions=CONTEXT,
        n_embd=heads * draw.choice([7, 8]),
        n_layer=3,
        n_head=heads,
        n_inner=draw.choice([None, 50]),
        activation_function=draw.choice(["gelu_new", "gelu", "relu", "silu"]),
        scale_attn_by_inverse_layer_idx=draw.choice([True, False]),
        layer_norm_epsilon=draw.choice([1e-5, 0.03]),
        tie_word_embeddings=draw.choice([True, False]),
        bos_token_id=None,
        eos_token_id=None,
    )


def llama(draw: Draw) -> Any:
    return transformers.LlamaConfig(**sizes(draw), rope_parameters=rope(draw), mlp_bias=draw.choice([True, False]))


def qwen3(draw: Draw) -> Any:
    return transformers.Qwen3Config(
        **sizes(draw),
        rope_parameters=rope(draw),
        hidden_act=draw.choice(["silu", "gelu_pytorch_tanh"]),
        use_sliding_window=draw.choice([True, False]),
        sliding_window=draw.choice(WINDOWS),
        max_window_layers=1,
    )


def gemma(draw: Draw) -> Any:
    return transformers.GemmaConfig(**sizes(draw), rope_parameters=rope(draw))


def gemma2(draw: Draw) -> Any:
    return transformers.Gemma2Config(
        **sizes(draw),
        rope_parameters=rope(draw),
        query_pre_attn_scalar=draw.choice([7, 24]),
        sliding_window=draw.choice(WINDOWS),
        attn_logit_softcapping=draw.choice([2.0, 50.0, None]),
        final_logit_softcapping=draw.choice([3.0, None]),
    )


def gemma3(draw: Draw) -> Any:
    both = sizes(draw) | {"num_hidden_layers": 4}
    return transformers.Gemma3TextConfig(
        **both,
        rope_parameters={
            "full_attention": {"rope_type": "linear", "rope_theta": 700.0, "factor": 8.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 50.0},
        },
        query_pre_attn_scalar=draw.choice([7, 24]),
        sliding_window=draw.choice(WINDOWS),
        layer_types=kinds(draw.choice(["llgl", "glll", "lglg"])),
        final_logit_softcapping=draw.choice([3.0, None]),
    )


def gemma4(draw: Draw, **more: Any) -> Any:
    both = sizes(draw) | {"num_hidden_layers": 5, "attention_bias": False}
    return transformers.Gemma4TextConfig(
        **both
        | {
            "rope_parameters": {
                "full_attention": {"rope_type": "proportional", "partial_rotary_factor": 0.25, "rope_theta": 700.0},
                "sliding_attention": {"rope_type": "default", "rope_theta": 50.0},
            },
            "sliding_window": draw.choice(WINDOWS),
            "layer_types": kinds(draw.choice(["glllg", "glglg", "lgllg"])),
            "global_head_dim": 16,
            "num_global_key_value_heads": 1,
            "attention_k_eq_v": draw.choice([True, False]),
            "hidden_size_per_layer_input": 0,
            "final_logit_softcapping": draw.choice([3.0, None]),
        }
        | more
    )


def gemma4_small(draw: Draw) -> Any:
    """As E2B: an embedding for each layer, keys and values shared, wider layers where they are."""
    return gemma4(
        draw,
        hidden_size_per_layer_input=14,
        vocab_size_per_layer_input=V,
        num_kv_shared_layers=draw.choice([2, 3]),
        use_double_wide_mlp=draw.choice([True, False]),
        attention_k_eq_v=False,
    )


def gemma4_moe(draw: Draw) -> Any:
    """As 26B-A4B: experts beside the dense layer."""
    return gemma4(draw, enable_moe_block=True, num_experts=5, top_k_experts=2, moe_intermediate_size=14)


def gemma4_unified(draw: Draw) -> Any:
    """As the decoder of 12B."""
    dense = gemma4(draw).to_dict()
    common = {key: dense[key] for key in transformers.Gemma4UnifiedTextConfig().to_dict() if key in dense}
    return transformers.Gemma4UnifiedTextConfig(**common | {"model_type": "gemma4_unified_text"})


def mixtral(draw: Draw) -> Any:
    both = {key: value for key, value in sizes(draw).items() if key != "attention_bias"}
    return transformers.MixtralConfig(
        **both,
        rope_parameters=rope(draw),
        sliding_window=draw.choice([None, *WINDOWS]),
        num_local_experts=5,
        num_experts_per_tok=draw.choice([1, 2, 3]),
    )


def qwen3_moe(draw: Draw) -> Any:
    return transformers.Qwen3MoeConfig(
        **sizes(draw),
        rope_parameters=rope(draw),
        use_sliding_window=draw.choice([True, False]),
        sliding_window=draw.choice(WINDOWS),
        moe_intermediate_size=14,
        num_experts=6,
        num_experts_per_tok=draw.choice([2, 3]),
        norm_topk_prob=draw.choice([True, False]),
        decoder_sparse_step=draw.choice([1, 2]),
        mlp_only_layers=draw.choice([[], [0]]),
    )


def olmoe(draw: Draw) -> Any:
    both = {key: value for key, value in sizes(draw).items() if key != "head_dim"}
    both["hidden_size"] = both["num_attention_heads"] * 8  # a head is width / heads here, and even
    return transformers.OlmoeConfig(
        **both,
        rope_parameters=rope(draw),
        num_experts=6,
        num_experts_per_tok=draw.choice([2, 3]),
        norm_topk_prob=draw.choice([True, False]),
    )


def gpt_oss(draw: Draw) -> Any:
    return transformers.GptOssConfig(
        **sizes(draw),
        rope_parameters={
            "rope_type": "yarn",
            "rope_theta": 150.0,
            "factor": 8.0,
            "beta_fast": 8.0,
            "beta_slow": 0.5,  # a border between two pairs, so that rounding it would show
            "truncate": False,
            "original_max_position_embeddings": 16,
        },
        sliding_window=draw.choice(WINDOWS),
        num_local_experts=5,
        num_experts_per_tok=draw.choice([2, 3]),
    )


def deepseek(draw: Draw) -> dict[str, Any]:
    both = {key: value for key, value in sizes(draw).items() if key not in ("head_dim", "attention_bias")}
    yarn = {
        "rope_type": "yarn",
        "rope_theta": 200.0,
        "factor": 4.0,
        "beta_fast": 8.0,
        "beta_slow": 1.0,
        "mscale": 0.7,
        "mscale_all_dim": 1.1,
        "original_max_position_embeddings": 16,
    }
    return both | {
        "rope_parameters": draw.choice([yarn, {"rope_type": "default", "rope_theta": 500.0}]),
        "num_key_value_heads": both["num_attention_heads"],
        "kv_lora_rank": 14,
        "q_lora_rank": draw.choice([None, 20]),
        "qk_nope_head_dim": 10,
        "qk_rope_head_dim": 6,
        "v_head_dim": 9,
        "n_routed_experts": 8,
        "num_experts_per_tok": 3,
        "moe_intermediate_size": 14,
        "n_shared_experts": draw.choice([1, 2]),
        "first_k_dense_replace": 1,
        "routed_scaling_factor": 1.5,
    }


def deepseek_v2(draw: Draw) -> Any:
    groups: dict[str, Any] = {"topk_method": "group_limited_greedy", "n_group": 4, "topk_group": 2}
    return transformers.DeepseekV2Config(**deepseek(draw), **draw.choice([groups, {"topk_method": "greedy"}]))


def deepseek_v3(draw: Draw) -> Any:
    n_group, topk_group = draw.choice([(1, 1), (4, 2), (4, 2)])  # 3 of the 4 experts in the kept groups: they bind
    return transformers.DeepseekV3Config(
        **deepseek(draw),
        n_group=n_group,
        topk_group=topk_group,
        norm_topk_prob=draw.choice([True, False]),
        rope_interleave=draw.choice([True, False]),
        num_nextn_predict_layers=0,
    )


FAMILIES: dict[str, Callable[[Draw], Any]] = {
    function.__name__: function
    for function in (
        *(gpt2, llama, qwen3, gemma, gemma2, gemma3, gemma4, gemma4_small, gemma4_moe, gemma4_unified),
        *(mixtral, qwen3_moe, olmoe, gpt_oss, deepseek_v2, deepseek_v3),
    )
}


def draw(family: str, number: int) -> Any:
    """The sizes of one model."""
    return FAMILIES[family](Draw(family, number))


@contextlib.contextmanager
def in_float64() -> Iterator[None]:
    """Whoever asks for float32 gets float64: transformers' models round to float32 in many places."""
    before = torch.get_default_dtype()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("float32", "float"):
            patch.setattr(torch, name, torch.float64)
        patch.setattr(torch.Tensor, "float", torch.Tensor.double)
        torch.set_default_dtype(torch.float64)
        try:
            yield
        finally:
            torch.set_default_dtype(before)


def make(config: Any, seed: int) -> nn.Module:
    """A model of these sizes with random weights."""
    model = transformers.AutoModelForCausalLM.from_config(
        config, attn_implementation="eager", experts_implementation="eager"
    )
    return randomized(model, seed)


def randomized(model: nn.Module, seed: int) -> nn.Module:
    """The model with every parameter and buffer drawn, so that each matters to the logits."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            if "inv_freq" in name or "embed_scale" in name or "position_ids" in name:
                continue
            noise = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
            if name.endswith("sinks"):
                tensor.copy_(0.3 * noise)  # uninitialised memory before
            elif name.endswith("bias") or "norm" in name or "ln_" in name or tensor.ndim < 2:
                tensor.add_(0.3 * noise)
            else:
                tensor.copy_(noise * tensor.shape[-1] ** -0.5)
            if "gemma4" in model.config.model_type and name.endswith("q_norm.weight"):
                tensor.mul_(0.2)  # its scores are not divided by sqrt(head_dim): as they are, float32 is too coarse
    return model.eval()
