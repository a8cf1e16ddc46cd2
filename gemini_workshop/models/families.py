"""The published models as configurations: ``find_family("gemma-3-1b")``.

One function a family says what all its models have in common; a table below gives the sizes. Nothing else in the
package asks for a family's name: the decoder is built from the configuration alone.

Source: the papers named at each function; sizes from the released config.json files and, for Gemma,
google-deepmind/gemma. What each family does exactly: transformers 5.23.0, with which tests compare every one.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from gemini_workshop.config import LatentAttentionConfig, ModelConfig, MoEConfig, RotaryConfig
from gemini_workshop.errors import WorkshopError, unknown_name
from gemini_workshop.models.rotary_scaling import yarn_magnitude


def gpt2(num_layers: int, num_heads: int, embed_dim: int) -> ModelConfig:
    """Learned positions, LayerNorm, biases everywhere, a feed-forward without gate.

    Source: Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", section 2.3.
    """
    return ModelConfig(
        vocab_size=50_257,
        context_tokens=1024,
        embed_dim=embed_dim,
        num_layers=num_layers,
        num_heads=num_heads,
        num_kv_heads=num_heads,
        head_dim=embed_dim // num_heads,
        ffn_dim=4 * embed_dim,
        positions="learned",
        tied_head=True,
        norm="layer",
        norm_eps=1e-5,
        qkv_bias=True,
        output_bias=True,
        activation="gelu_tanh",
        gated=False,
        feed_forward_bias=True,
    )


def llama3(
    num_layers: int, num_heads: int, num_kv_heads: int, head_dim: int, embed_dim: int, ffn_dim: int, factor: float = 1.0
) -> ModelConfig:
    """Grouped heads, RMSNorm, SwiGLU, no biases. From 3.1 on, slow rotary pairs are slowed down by ``factor``.

    Source: Grattafiori et al. 2024, arXiv:2407.21783, section 3.2.
    """
    rope = RotaryConfig(base=500_000.0)
    if factor > 1:
        rope = replace(rope, scaling="llama3", factor=factor, original_tokens=8192)
    return ModelConfig(
        vocab_size=128_256,
        context_tokens=8192 if factor == 1 else 131_072,
        embed_dim=embed_dim,
        num_layers=num_layers,
        num_heads=num_heads,
        num_kv_heads=num_kv_heads,
        head_dim=head_dim,
        ffn_dim=ffn_dim,
        rope=rope,
        tied_head=embed_dim < 4096,
        norm_eps=1e-5,
        activation="silu",
    )


def gemma(
    num_layers: int, num_heads: int, num_kv_heads: int, head_dim: int, embed_dim: int, ffn_dim: int, **more: Any
) -> ModelConfig:
    """Scaled embeddings, norm weights stored as offsets from 1, GeGLU, heads wider than width / heads.

    Source: Gemma Team 2024, arXiv:2403.08295, section 2.
    """
    common = ModelConfig(
        vocab_size=256_000,
        context_tokens=8192,
        embed_dim=embed_dim,
        num_layers=num_layers,
        num_heads=num_heads,
        num_kv_heads=num_kv_heads,
        head_dim=head_dim,
        ffn_dim=ffn_dim,
        rope=RotaryConfig(base=10_000.0),
        embedding_scale=embed_dim**0.5,
        tied_head=True,
        norm="rms_offset",
        norm_eps=1e-6,
        activation="gelu_tanh",
    )
    return replace(common, **more)


def gemma2(*sizes: int, query_dim: int = 256) -> ModelConfig:
    """Norms before and after each sublayer, every second layer local, bounded scores and logits.

    Source: Gemma Team 2024, arXiv:2408.00118, section 2.
    """
    return gemma(
        *sizes,
        norm_placement="sandwich",
        layer_pattern=("local", "global"),
        window_tokens=4096,
        query_scale=query_dim**-0.5,
        attention_softcap=50.0,
        final_softcap=30.0,
    )


def gemma3(*sizes: int, window_tokens: int = 1024, query_dim: int = 256, is_large: bool = True) -> ModelConfig:
    """Five local layers to a global one, queries and keys normed, two bases; the large ones are stretched eightfold.

    Source: Gemma Team 2025, arXiv:2503.19786, section 2.
    """
    rope = RotaryConfig(base=1_000_000.0)
    return gemma(
        *sizes,
        vocab_size=262_208 if is_large else 262_144,
        context_tokens=131_072 if is_large else 32_768,
        norm_placement="sandwich",
        layer_pattern=(*["local"] * 5, "global"),
        window_tokens=window_tokens,
        rope=replace(rope, scaling="linear", factor=8.0) if is_large else rope,
        local_rope=RotaryConfig(base=10_000.0),
        qk_norm="head",
        query_scale=query_dim**-0.5,
    )


def gemma4(*sizes: int, num_local: int = 5, window_tokens: int = 1024, **more: Any) -> ModelConfig:
    """Wide global heads that turn a quarter of their pairs, normed values, unscaled scores, a factor for each layer.

    Source: the Gemma 4 model card and google-deepmind/gemma (gm/nn/gemma4), April 2026.
    """
    return gemma(
        *sizes,
        vocab_size=262_144,
        context_tokens=262_144 if window_tokens == 1024 else 131_072,
        norm="rms",
        norm_placement="sandwich",
        layer_pattern=(*["local"] * num_local, "global"),
        window_tokens=window_tokens,
        rope=RotaryConfig(base=1_000_000.0, fraction=0.25, fraction_of="pairs"),
        local_rope=RotaryConfig(base=10_000.0),
        global_head_dim=512,
        qk_norm="head",
        value_norm=True,
        query_scale=1.0,
        layer_scale=True,
        final_softcap=30.0,
        **more,
    )


GEMMA4_EXPERTS = MoEConfig(
    num_experts=128,
    experts_per_token=8,
    expert_dim=704,
    router_norm=True,
    per_expert_scale=True,
    beside_dense=True,
)


def mixtral() -> ModelConfig:
    """Eight experts in every layer, two for each token.

    Source: Jiang et al. 2024, arXiv:2401.04088, section 2.
    """
    return ModelConfig(
        vocab_size=32_000,
        context_tokens=32_768,
        embed_dim=4096,
        num_layers=32,
        num_heads=32,
        num_kv_heads=8,
        head_dim=128,
        ffn_dim=14_336,
        rope=RotaryConfig(base=1_000_000.0),
        tied_head=False,
        norm_eps=1e-5,
        activation="silu",
        moe=MoEConfig(num_experts=8, experts_per_token=2, expert_dim=14_336),
    )


def qwen3(
    num_layers: int, num_heads: int, num_kv_heads: int, embed_dim: int, ffn_dim: int, expert_dim: int | None = None
) -> ModelConfig:
    """Llama with queries and keys normed; with ``expert_dim``, 128 experts in place of the feed-forward.

    Source: Qwen Team 2025, arXiv:2505.09388, section 2.
    """
    moe = MoEConfig(num_experts=128, experts_per_token=8, expert_dim=expert_dim) if expert_dim else None
    return ModelConfig(
        vocab_size=151_936,
        context_tokens=40_960,
        embed_dim=embed_dim,
        num_layers=num_layers,
        num_heads=num_heads,
        num_kv_heads=num_kv_heads,
        head_dim=128,
        ffn_dim=ffn_dim,
        rope=RotaryConfig(base=1_000_000.0),
        tied_head=moe is None and embed_dim < 4096,
        norm_eps=1e-6,
        qk_norm="head",
        activation="silu",
        moe=moe,
    )


def olmoe() -> ModelConfig:
    """Many small experts whose weights do not sum to one; all heads of a query normed together.

    Source: Muennighoff et al. 2024, arXiv:2409.02060, section 2.
    """
    return ModelConfig(
        vocab_size=50_304,
        context_tokens=4096,
        embed_dim=2048,
        num_layers=16,
        num_heads=16,
        num_kv_heads=16,
        head_dim=128,
        ffn_dim=1024,
        rope=RotaryConfig(base=10_000.0),
        tied_head=False,
        norm_eps=1e-5,
        qk_norm="all_heads",
        activation="silu",
        moe=MoEConfig(num_experts=64, experts_per_token=8, expert_dim=1024, renormalize=False),
    )


def gpt_oss(num_layers: int, num_experts: int) -> ModelConfig:
    """Attention sinks, every second layer local, experts with biases and clamped gates.

    Source: OpenAI 2025, arXiv:2508.10925, section 2.
    """
    return ModelConfig(
        vocab_size=201_088,
        context_tokens=131_072,
        embed_dim=2880,
        num_layers=num_layers,
        num_heads=64,
        num_kv_heads=8,
        head_dim=64,
        ffn_dim=2880,
        rope=RotaryConfig(base=150_000.0, scaling="yarn", factor=32.0, original_tokens=4096, round_range=False),
        tied_head=False,
        norm_eps=1e-5,
        layer_pattern=("local", "global"),
        window_tokens=128,
        attention_sinks=True,
        qkv_bias=True,
        output_bias=True,
        activation="silu",
        moe=MoEConfig(
            num_experts=num_experts,
            experts_per_token=4,
            expert_dim=2880,
            scoring="softmax_of_chosen",
            router_bias=True,
            expert_bias=True,
        ),
    )


def deepseek(
    num_layers: int,
    num_heads: int,
    embed_dim: int,
    ffn_dim: int,
    query_rank: int | None,
    yarn_weight: float,
    moe: MoEConfig,
    vocab_size: int = 102_400,
) -> ModelConfig:
    """Latent attention, shared experts, the first layers dense.

    ``yarn_weight`` is DeepSeek's ``mscale``: YaRN's factor of cosine and sine moves, squared, to the scores as a whole.

    Source: DeepSeek-AI 2024, arXiv:2405.04434 (V2), section 2; arXiv:2412.19437 (V3), section 2.1.
    """
    latent = LatentAttentionConfig(kv_rank=512, query_rank=query_rank, content_dim=128, rope_dim=64, value_dim=128)
    head_dim = latent.content_dim + latent.rope_dim
    return ModelConfig(
        vocab_size=vocab_size,
        context_tokens=163_840,
        embed_dim=embed_dim,
        num_layers=num_layers,
        num_heads=num_heads,
        num_kv_heads=num_heads,
        head_dim=head_dim,
        ffn_dim=ffn_dim,
        rope=RotaryConfig(
            base=10_000.0, layout="interleaved", scaling="yarn", factor=40.0, original_tokens=4096, magnitude=1.0
        ),
        tied_head=False,
        norm_eps=1e-6,
        query_scale=head_dim**-0.5 * yarn_magnitude(40.0, yarn_weight) ** 2,
        latent=latent,
        activation="silu",
        moe=moe,
    )


DEEPSEEK_V2_LITE = MoEConfig(
    num_experts=64, experts_per_token=6, expert_dim=1408, shared_experts=2, renormalize=False, dense_layers=(0,)
)
DEEPSEEK_V2 = replace(
    DEEPSEEK_V2_LITE, num_experts=160, expert_dim=1536, routed_scale=16.0, num_groups=8, kept_groups=3
)
DEEPSEEK_V3 = MoEConfig(
    num_experts=256,
    experts_per_token=8,
    expert_dim=2048,
    shared_experts=1,
    scoring="sigmoid",
    routed_scale=2.5,
    selection_bias=True,
    num_groups=8,
    kept_groups=4,
    group_score="top2_sum",
    dense_layers=(0, 1, 2),
)

_FAMILIES: dict[str, Callable[[], ModelConfig]] = {
    # layers, heads, width
    "gpt2": partial(gpt2, 12, 12, 768),
    "gpt2-medium": partial(gpt2, 24, 16, 1024),
    "gpt2-large": partial(gpt2, 36, 20, 1280),
    "gpt2-xl": partial(gpt2, 48, 25, 1600),
    # layers, heads, key/value heads, head's channels, width, feed-forward's width
    "llama-3-8b": partial(llama3, 32, 32, 8, 128, 4096, 14_336),
    "llama-3-70b": partial(llama3, 80, 64, 8, 128, 8192, 28_672),
    "llama-3.1-8b": partial(llama3, 32, 32, 8, 128, 4096, 14_336, factor=8.0),
    "llama-3.2-1b": partial(llama3, 16, 32, 8, 64, 2048, 8192, factor=32.0),
    "llama-3.2-3b": partial(llama3, 28, 24, 8, 128, 3072, 8192, factor=32.0),
    "gemma-2b": partial(gemma, 18, 8, 1, 256, 2048, 16_384),
    "gemma-7b": partial(gemma, 28, 16, 16, 256, 3072, 24_576),
    "gemma-2-2b": partial(gemma2, 26, 8, 4, 256, 2304, 9216),
    "gemma-2-9b": partial(gemma2, 42, 16, 8, 256, 3584, 14_336),
    "gemma-2-27b": partial(gemma2, 46, 32, 16, 128, 4608, 36_864, query_dim=144),
    "gemma-3-270m": partial(gemma3, 18, 4, 1, 256, 640, 2048, window_tokens=512, is_large=False),
    "gemma-3-1b": partial(gemma3, 26, 4, 1, 256, 1152, 6912, window_tokens=512, is_large=False),
    "gemma-3-4b": partial(gemma3, 34, 8, 4, 256, 2560, 10_240),
    "gemma-3-12b": partial(gemma3, 48, 16, 8, 256, 3840, 15_360),
    "gemma-3-27b": partial(gemma3, 62, 32, 16, 128, 5376, 21_504, query_dim=168),
    "gemma-4-e2b": partial(
        *(gemma4, 35, 8, 1, 256, 1536, 6144),
        num_local=4,
        window_tokens=512,
        per_layer_embed_dim=256,
        shared_kv_layers=20,
        shared_kv_ffn_dim=12_288,
    ),
    "gemma-4-e4b": partial(
        *(gemma4, 42, 8, 2, 256, 2560, 10_240), window_tokens=512, per_layer_embed_dim=256, shared_kv_layers=18
    ),
    "gemma-4-26b-a4b": partial(
        *(gemma4, 30, 16, 8, 256, 2816, 2112), global_kv_heads=2, global_values_are_keys=True, moe=GEMMA4_EXPERTS
    ),
    "gemma-4-31b": partial(*(gemma4, 60, 32, 16, 256, 5376, 21_504), global_kv_heads=4, global_values_are_keys=True),
    "mixtral-8x7b": mixtral,
    # layers, heads, key/value heads, width, feed-forward's width
    "qwen3-0.6b": partial(qwen3, 28, 16, 8, 1024, 3072),
    "qwen3-1.7b": partial(qwen3, 28, 16, 8, 2048, 6144),
    "qwen3-4b": partial(qwen3, 36, 32, 8, 2560, 9728),
    "qwen3-8b": partial(qwen3, 36, 32, 8, 4096, 12_288),
    "qwen3-14b": partial(qwen3, 40, 40, 8, 5120, 17_408),
    "qwen3-32b": partial(qwen3, 64, 64, 8, 5120, 25_600),
    "qwen3-30b-a3b": partial(qwen3, 48, 32, 4, 2048, 6144, expert_dim=768),
    "olmoe-1b-7b": olmoe,
    "gpt-oss-20b": partial(gpt_oss, 24, 32),
    "gpt-oss-120b": partial(gpt_oss, 36, 128),
    "deepseek-v2-lite": partial(deepseek, 27, 16, 2048, 10_944, None, 0.707, DEEPSEEK_V2_LITE),
    "deepseek-v2": partial(deepseek, 60, 128, 5120, 12_288, 1536, 0.707, DEEPSEEK_V2),
    "deepseek-v3": partial(deepseek, 61, 128, 7168, 18_432, 1536, 1.0, DEEPSEEK_V3, vocab_size=129_280),
}


def family_names() -> list[str]:
    """The published models that have a configuration here, family by family."""
    return list(_FAMILIES)


def find_family(name: str) -> ModelConfig:
    """The configuration of a published model.

    Raises:
        WorkshopError: there is none of that name.

    Example:
        >>> find_family("gpt2-xl").num_layers
        48
    """
    if name not in _FAMILIES:
        raise WorkshopError(unknown_name("published model called", name, _FAMILIES))
    return _FAMILIES[name]()
