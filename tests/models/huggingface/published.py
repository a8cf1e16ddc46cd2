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
HEADS = [(3, 1), (5, 5), (6, 2), (6, 3), (4, 2)]  # query heads, key/value heads
WINDOWS = [4, 7, 40]  # shorter and longer than the text


def sizes(rng: Random) -> dict[str, Any]:
    """What all families but GPT-2 have, in their words. The head's size is not width / heads."""
    heads, kv_heads = rng.choice(HEADS)
    return {
        "vocab_size": V,
        "hidden_size": heads * rng.choice([6, 8]),
        "intermediate_size": rng.choice([30, 44]),
        "num_hidden_layers": rng.choice([2, 3]),
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": rng.choice([10, 12]),
        "max_position_embeddings": CONTEXT,
        "rms_norm_eps": rng.choice([1e-6, 1e-3, 0.03]),
        "tie_word_embeddings": rng.random() < 0.5,
        "attention_bias": rng.random() < 0.3,
        **dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id"), None),
    }


def rope(rng: Random) -> dict[str, Any]:
    return rng.choice(
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
                "truncate": rng.random() < 0.5,
            },
        ]
    )


def kinds(rng: Random, count: int, last: str | None = None) -> list[str]:
    drawn = rng.choices(["sliding_attention", "full_attention"], k=count)
    return [*drawn[:-1], last or drawn[-1]]


def gpt2(rng: Random) -> Any:
    heads = rng.choice([3, 5, 4])
    return transformers.GPT2Config(
        vocab_size=V,
        n_positions=CONTEXT,
        n_embd=heads * rng.choice([7, 8]),
        n_layer=3,
        n_head=heads,
        n_inner=rng.choice([None, 50]),
        activation_function=rng.choice(["gelu_new", "gelu", "relu", "silu"]),
        scale_attn_by_inverse_layer_idx=rng.random() < 0.5,
        layer_norm_epsilon=rng.choice([1e-5, 0.03]),
        tie_word_embeddings=rng.random() < 0.7,
        bos_token_id=None,
        eos_token_id=None,
    )


def llama(rng: Random) -> Any:
    return transformers.LlamaConfig(**sizes(rng), rope_parameters=rope(rng), mlp_bias=rng.random() < 0.3)


def qwen3(rng: Random) -> Any:
    return transformers.Qwen3Config(
        **sizes(rng),
        rope_parameters=rope(rng),
        hidden_act=rng.choice(["silu", "gelu_pytorch_tanh"]),
        use_sliding_window=rng.random() < 0.6,
        sliding_window=rng.choice(WINDOWS),
        max_window_layers=1,
    )


def gemma(rng: Random) -> Any:
    return transformers.GemmaConfig(**sizes(rng), rope_parameters=rope(rng))


def gemma2(rng: Random) -> Any:
    return transformers.Gemma2Config(
        **sizes(rng),
        rope_parameters=rope(rng),
        query_pre_attn_scalar=rng.choice([7, 24]),
        sliding_window=rng.choice(WINDOWS),
        attn_logit_softcapping=rng.choice([2.0, 50.0, None]),
        final_logit_softcapping=rng.choice([3.0, None]),
    )


def gemma3(rng: Random) -> Any:
    both = sizes(rng) | {"num_hidden_layers": 4}
    return transformers.Gemma3TextConfig(
        **both,
        rope_parameters={
            "full_attention": {"rope_type": "linear", "rope_theta": 700.0, "factor": 8.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 50.0},
        },
        query_pre_attn_scalar=rng.choice([7, 24]),
        sliding_window=rng.choice(WINDOWS),
        layer_types=kinds(rng, 4),
        final_logit_softcapping=rng.choice([3.0, None]),
    )


def gemma4(rng: Random, **more: Any) -> Any:
    both = sizes(rng) | {"num_hidden_layers": 5, "attention_bias": False}
    return transformers.Gemma4TextConfig(
        **both
        | {
            "rope_parameters": {
                "full_attention": {"rope_type": "proportional", "partial_rotary_factor": 0.25, "rope_theta": 700.0},
                "sliding_attention": {"rope_type": "default", "rope_theta": 50.0},
            },
            "sliding_window": rng.choice(WINDOWS),
            "layer_types": ["full_attention", "sliding_attention", *kinds(rng, 3, "full_attention")],
            "global_head_dim": 16,
            "num_global_key_value_heads": 1,
            "attention_k_eq_v": rng.random() < 0.7,
            "hidden_size_per_layer_input": 0,
            "final_logit_softcapping": rng.choice([3.0, None]),
        }
        | more
    )


def gemma4_small(rng: Random) -> Any:
    """As E2B: an embedding for each layer, keys and values shared, wider layers where they are."""
    return gemma4(
        rng,
        hidden_size_per_layer_input=6,
        vocab_size_per_layer_input=V,
        num_kv_shared_layers=rng.choice([2, 3]),
        use_double_wide_mlp=rng.random() < 0.7,
        attention_k_eq_v=False,
    )


def gemma4_moe(rng: Random) -> Any:
    """As 26B-A4B: experts beside the dense layer."""
    return gemma4(rng, enable_moe_block=True, num_experts=5, top_k_experts=2, moe_intermediate_size=14)


def mixtral(rng: Random) -> Any:
    both = {key: value for key, value in sizes(rng).items() if key != "attention_bias"}
    return transformers.MixtralConfig(
        **both,
        rope_parameters=rope(rng),
        sliding_window=rng.choice([None, *WINDOWS]),
        num_local_experts=5,
        num_experts_per_tok=rng.choice([1, 2, 3]),
    )


def qwen3_moe(rng: Random) -> Any:
    return transformers.Qwen3MoeConfig(
        **sizes(rng),
        rope_parameters=rope(rng),
        use_sliding_window=rng.random() < 0.4,
        sliding_window=rng.choice(WINDOWS),
        moe_intermediate_size=14,
        num_experts=6,
        num_experts_per_tok=rng.choice([2, 3]),
        norm_topk_prob=rng.random() < 0.5,
        decoder_sparse_step=rng.choice([1, 2]),
        mlp_only_layers=rng.choice([[], [0]]),
    )


def olmoe(rng: Random) -> Any:
    both = {key: value for key, value in sizes(rng).items() if key != "head_dim"}
    both["hidden_size"] = both["num_attention_heads"] * 8  # a head is width / heads here, and even
    return transformers.OlmoeConfig(
        **both,
        rope_parameters=rope(rng),
        num_experts=6,
        num_experts_per_tok=rng.choice([2, 3]),
        norm_topk_prob=rng.random() < 0.5,
    )


def gpt_oss(rng: Random) -> Any:
    return transformers.GptOssConfig(
        **sizes(rng),
        rope_parameters={
            "rope_type": "yarn",
            "rope_theta": 150.0,
            "factor": 8.0,
            "beta_fast": 8.0,
            "beta_slow": 1.0,
            "truncate": False,
            "original_max_position_embeddings": 8,
        },
        sliding_window=rng.choice(WINDOWS),
        num_local_experts=5,
        num_experts_per_tok=rng.choice([2, 3]),
    )


def deepseek(rng: Random) -> dict[str, Any]:
    both = {key: value for key, value in sizes(rng).items() if key not in ("head_dim", "attention_bias")}
    yarn = {
        "rope_type": "yarn",
        "rope_theta": 200.0,
        "factor": 4.0,
        "beta_fast": 8.0,
        "beta_slow": 1.0,
        "mscale": 0.7,
        "mscale_all_dim": rng.choice([0.7, 1.3]),
        "original_max_position_embeddings": 16,
    }
    return both | {
        "rope_parameters": rng.choice([yarn, {"rope_type": "default", "rope_theta": 500.0}]),
        "num_key_value_heads": both["num_attention_heads"],
        "kv_lora_rank": 14,
        "q_lora_rank": rng.choice([None, 20]),
        "qk_nope_head_dim": 10,
        "qk_rope_head_dim": 6,
        "v_head_dim": 9,
        "n_routed_experts": 8,
        "num_experts_per_tok": 3,
        "moe_intermediate_size": 14,
        "n_shared_experts": rng.choice([1, 2]),
        "first_k_dense_replace": 1,
        "routed_scaling_factor": 2.5,
    }


def deepseek_v2(rng: Random) -> Any:
    groups: dict[str, Any] = {"topk_method": "group_limited_greedy", "n_group": 4, "topk_group": 2}
    return transformers.DeepseekV2Config(**deepseek(rng), **rng.choice([groups, {"topk_method": "greedy"}]))


def deepseek_v3(rng: Random) -> Any:
    n_group, topk_group = rng.choice([(1, 1), (4, 2), (4, 2)])  # 3 of the 4 experts in the kept groups: they bind
    return transformers.DeepseekV3Config(
        **deepseek(rng),
        n_group=n_group,
        topk_group=topk_group,
        norm_topk_prob=rng.random() < 0.5,
        rope_interleave=rng.random() < 0.7,
        num_nextn_predict_layers=0,
    )


FAMILIES: dict[str, Callable[[Random], Any]] = {
    function.__name__: function
    for function in (
        *(gpt2, llama, qwen3, gemma, gemma2, gemma3, gemma4, gemma4_small, gemma4_moe),
        *(mixtral, qwen3_moe, olmoe, gpt_oss, deepseek_v2, deepseek_v3),
    )
}


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
    """A model of these sizes with random weights, in float64 throughout."""
    model = transformers.AutoModelForCausalLM.from_config(
        config, attn_implementation="eager", experts_implementation="eager"
    )
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            if "inv_freq" in name or "embed_scale" in name:
                continue
            noise = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
            if name.endswith(("bias", "sinks")) or "norm" in name or "ln_" in name or tensor.ndim < 2:
                is_uninitialised = name.endswith("sinks")
                tensor.copy_(0.3 * noise + (0 if is_uninitialised else tensor))
            else:
                tensor.copy_(1.2 * noise * tensor.shape[-1] ** -0.5)
    return model.eval()
