"""One tiny configuration for each way in which a decoder can be built: together they use every option."""

from dataclasses import replace

from gemini_workshop.config import LatentAttentionConfig, MediaConfig, MoEConfig, RotaryConfig
from tests import tiny

PLAIN = replace(tiny.MODEL, num_layers=3)
EXPERTS = MoEConfig(num_experts=5, experts_per_token=2, expert_dim=9)

VARIANTS = {
    "llama": replace(PLAIN, qk_norm="none", activation="silu", tied_head=False),
    "gpt2": replace(
        PLAIN,
        positions="learned",
        rope=None,
        norm="layer",
        num_kv_heads=6,
        qk_norm="none",
        gated=False,
        qkv_bias=True,
        output_bias=True,
        feed_forward_bias=True,
        query_scale=(0.5, 0.25, 0.125),
    ),
    "first transformer": replace(
        PLAIN, positions="sinusoidal", rope=None, norm="layer", norm_placement="post", activation="relu", gated=False
    ),
    "alibi": replace(PLAIN, positions="alibi", rope=None, activation="relu_squared", gated=False),
    "no positions": replace(PLAIN, positions="none", rope=None, activation="gelu"),
    "gemma2": replace(
        PLAIN,
        norm="rms_offset",
        norm_placement="sandwich",
        embedding_scale=10**0.5,
        layer_pattern=("local", "global"),
        window_tokens=3,
        attention_softcap=1.5,
        final_softcap=2.0,
        query_scale=0.4,
    ),
    "gemma3": replace(
        PLAIN,
        norm="rms_offset",
        norm_placement="sandwich",
        layer_pattern=("local", "local", "global"),
        window_tokens=2,
        rope=RotaryConfig(base=500.0, scaling="linear", factor=8.0),
        local_rope=RotaryConfig(base=50.0),
    ),
    "gemma4 with shared keys": replace(
        PLAIN,
        num_layers=5,
        norm_placement="sandwich",
        layer_pattern=("local", "global"),
        window_tokens=3,
        value_norm=True,
        query_scale=1.0,
        global_head_dim=8,
        rope=RotaryConfig(base=500.0, fraction=0.25, fraction_of="pairs"),
        local_rope=RotaryConfig(base=50.0),
        shared_kv_layers=3,
        shared_kv_ffn_dim=22,
        per_layer_embed_dim=8,
        layer_scale=True,
        final_softcap=3.0,
    ),
    "gemma4 with experts": replace(
        PLAIN,
        norm_placement="sandwich",
        layer_pattern=("local", "global"),
        window_tokens=3,
        global_kv_heads=1,
        global_values_are_keys=True,
        moe=replace(EXPERTS, router_norm=True, per_expert_scale=True, beside_dense=True),
    ),
    "mixtral": replace(PLAIN, qk_norm="none", moe=EXPERTS),
    "olmoe": replace(PLAIN, qk_norm="all_heads", moe=replace(EXPERTS, renormalize=False, shared_experts=1)),
    "gpt-oss": replace(
        PLAIN,
        layer_pattern=("local", "global"),
        window_tokens=2,
        attention_sinks=True,
        qkv_bias=True,
        output_bias=True,
        rope=RotaryConfig(base=500.0, scaling="yarn", factor=4.0, original_tokens=64),
        moe=replace(EXPERTS, scoring="softmax_of_chosen", router_bias=True, expert_bias=True),
    ),
    "deepseek": replace(
        PLAIN,
        qk_norm="none",
        num_kv_heads=6,
        head_dim=10,
        rope=RotaryConfig(base=500.0, layout="interleaved"),
        latent=LatentAttentionConfig(kv_rank=9, query_rank=7, content_dim=6, rope_dim=4, value_dim=8),
        moe=MoEConfig(
            num_experts=6,
            experts_per_token=3,
            expert_dim=9,
            shared_experts=2,
            scoring="sigmoid",
            selection_bias=True,
            routed_scale=2.5,
            num_groups=3,
            kept_groups=2,
            group_score="top2_sum",
            dense_layers=(0,),
        ),
    ),
    "partial rotary": replace(PLAIN, rope=RotaryConfig(base=50.0, fraction=0.5)),
}

MULTIMODAL = replace(
    PLAIN,
    norm_placement="sandwich",
    layer_pattern=("local", "global"),
    window_tokens=5,
    media=MediaConfig(image_token_id=11, audio_token_id=12, patch_pixels=2, max_rows=3, patch_dim=9, frame_dim=8),
)
