"""config.json: every way to write it means to us what it means to transformers; what we do not support is named."""

from dataclasses import replace

import pytest
import transformers

from gemini_workshop.config import MediaConfig, ModelConfig, MoEConfig, RotaryConfig, TowerConfig, load_config
from gemini_workshop.errors import ConfigError, WorkshopError
from gemini_workshop.models.families import (
    config_dict_from,
    family_of,
    model_config_from,
    model_types,
    published_config,
)
from gemini_workshop.models.families.conversions import shortest_pattern
from tests import tiny

SIZES = {
    "vocab_size": 99,
    "hidden_size": 32,
    "intermediate_size": 50,
    "num_hidden_layers": 7,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
}
TEXT = {key: value for key, value in SIZES.items() if key != "vocab_size"}  # the ids of media are large
EXPERTS = {"num_experts_per_tok": 2, "moe_intermediate_size": 14}
LATENT = {"kv_lora_rank": 14, "qk_nope_head_dim": 10, "qk_rope_head_dim": 6, "v_head_dim": 9}
MORE = {
    "gpt2": {"vocab_size": 99, "n_positions": 64, "n_embd": 32, "n_layer": 3, "n_head": 4},
    "mixtral": SIZES | {"num_experts_per_tok": 2, "num_local_experts": 5},
    "qwen3_moe": SIZES | EXPERTS | {"num_experts": 5},
    "olmoe": SIZES | {"num_experts_per_tok": 2, "num_experts": 5},
    "gpt_oss": SIZES | {"num_experts_per_tok": 2, "num_local_experts": 5},
    "gemma4_text": SIZES | {"vocab_size": 262_144},
    "gemma3": {"text_config": TEXT, "vision_config": {"image_size": 896, "patch_size": 14}},
    "gemma4_unified": {"text_config": TEXT, "vision_config": {}, "audio_config": {}},
    "deepseek_v2": SIZES
    | EXPERTS
    | LATENT
    | {"n_routed_experts": 6, "n_shared_experts": 2, "n_group": 2, "topk_group": 1},
    "deepseek_v3": SIZES | EXPERTS | LATENT | {"n_routed_experts": 16, "n_shared_experts": 1},
}
MORE["deepseek_v3"] |= {"n_group": 8, "topk_group": 4}
YARN = {"factor": 4.0, "original_max_position_embeddings": 16}
LLAMA3 = YARN | {"rope_type": "llama3", "low_freq_factor": 1.0, "high_freq_factor": 4.0}
MSCALE = YARN | {"type": "yarn", "mscale": 1.0, "mscale_all_dim": 1.0, "beta_fast": 32, "beta_slow": 1}
GLOBAL = {"global_head_dim": 24, "num_global_key_value_heads": 1}
# Keys of published files that transformers 5 no longer writes.
LEGACY = [
    ("llama", {"rope_theta": 5e5, "rope_scaling": LLAMA3}),
    ("llama", {"rope_scaling": {"type": "linear", "factor": 2.0}}),
    ("llama", {"head_dim": None, "num_key_value_heads": None}),
    ("qwen3", {"rope_theta": 1e6, "rope_scaling": YARN | {"rope_type": "yarn"}}),
    ("qwen3", {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 4}),
    ("gemma3_text", {"rope_theta": 2e6, "rope_local_base_freq": 3e4}),
    ("gemma3_text", {"sliding_window_pattern": 3, "sliding_window": 8}),
    ("gemma3_text", {"rope_scaling": {"factor": 8.0, "rope_type": "linear"}}),
    ("gemma4_text", GLOBAL | {"attention_k_eq_v": True}),
    ("qwen3_moe", {"num_local_experts": 7}),
    ("qwen3_moe", {"mlp_only_layers": [1], "decoder_sparse_step": 2}),
    ("deepseek_v3", {"rope_scaling": MSCALE}),
    ("gpt2", {"n_inner": 77, "scale_attn_by_inverse_layer_idx": True}),
]
WITHOUT_EFFECT = [
    ("gemma", {"hidden_act": "gelu"}),
    ("gemma4_text", {"num_global_key_value_heads": 1, "attention_k_eq_v": False}),
    ("gemma4_text", {"use_bidirectional_attention": "vision"}),
    ("qwen3", {"sliding_window": 8}),
    ("llama", {"pretraining_tp": 2, "rope_scaling": None}),
]


def small(model_type: str, **changes) -> dict:
    """A config.json with as few keys as possible."""
    return {"model_type": model_type} | MORE.get(model_type, SIZES) | changes


def by_transformers(values: dict) -> dict:
    """The same with every key, as transformers completes it."""
    return transformers.AutoConfig.for_model(**values).to_dict()


# --- Reading ---


@pytest.mark.parametrize("model_type", model_types())
def test_an_absent_key_means_what_it_means_to_transformers(model_type):
    values = small(model_type)
    assert model_config_from(values) == model_config_from(by_transformers(values))


@pytest.mark.parametrize(("model_type", "changes"), LEGACY)
def test_an_older_key_means_what_it_means_to_transformers(model_type, changes):
    values = small(model_type, **changes)
    config = model_config_from(values)
    assert config == model_config_from(by_transformers(values))
    assert config != model_config_from(small(model_type))


@pytest.mark.parametrize(("model_type", "changes"), WITHOUT_EFFECT)
def test_a_key_without_effect_has_none(model_type, changes):
    values = small(model_type, **changes)
    assert model_config_from(values) == model_config_from(small(model_type))
    assert model_config_from(values) == model_config_from(by_transformers(values))


def test_a_multimodal_model_is_read_by_its_text_config():
    text = {"hidden_size": 2560, "intermediate_size": 10_240, "num_hidden_layers": 34, "sliding_window": 1024}
    text |= {"model_type": "gemma3_text", "rope_scaling": {"factor": 8.0, "rope_type": "linear"}}
    values = {"model_type": "gemma3", "text_config": text}
    assert model_config_from(values, text_only=True) == published_config("gemma-3-4b")


def test_of_a_model_whose_towers_are_not_built_the_decoder_is_read():
    values = {"model_type": "gemma4", "text_config": small("gemma4_text"), "vision_config": {}, "audio_config": {}}
    decoder = model_config_from(small("gemma4_text"))
    assert model_config_from(values) == model_config_from(values, text_only=True) == replace(decoder, tied_head=True)


@pytest.mark.parametrize(
    ("model_type", "changes", "message"),
    [
        (
            "gemma3",
            {"vision_config": {"layer_norm_eps": 1e-5}},
            r"vision_config\.layer_norm_eps=1e-05; .* with 1e-06\.",
        ),
        ("gemma3", {"vision_config": {"hidden_act": "gelu"}}, r"vision_config\.hidden_act='gelu'; .*text_only=True"),
        ("gemma3", {"vision_config": {"model_type": "clip_vision_model"}}, r"vision_config\.model_type='clip_vision"),
        ("gemma3", {"text_config": TEXT | {"final_logit_softcapping": 3.0}}, r"final_logit_softcapping=3\.0"),
        ("gemma4_unified", {"vision_config": None}, r"vision_config=None; .*text_only=True"),
        (
            "gemma4_unified",
            {"vision_config": {"rms_norm_eps": 0.1}},
            r"vision_config\.rms_norm_eps=0\.1; .* with 1e-06",
        ),
        ("gemma4_unified", {"audio_config": {"rms_norm_eps": 0.2}}, r"audio_config\.rms_norm_eps=0\.2; .* with 1e-06"),
    ],
)
def test_what_reads_media_otherwise_is_refused_and_its_decoder_is_read(model_type, changes, message):
    values = small(model_type, **changes)
    with pytest.raises(ConfigError, match=message):
        model_config_from(values)
    assert model_config_from(values, text_only=True).media is None


@pytest.mark.parametrize(
    ("kinds", "pattern"), [("llglg", "llglg"), ("llgllgl", "llg"), ("gggg", "g"), ("lllg", "lllg"), ("lglglgl", "lg")]
)
def test_the_pattern_is_the_shortest_that_gives_the_list(kinds, pattern):
    assert "".join(shortest_pattern(list(kinds))) == pattern


@pytest.mark.parametrize(
    ("model_type", "changes", "message"),
    [
        ("lama", {}, r"no family with model_type 'lama'\. Did you mean 'llama'"),
        (
            "llama",
            {"rope_scaling": {"rope_type": "longrope", "factor": 2.0}},
            "no rope_type 'longrope'.*Known: default, ",
        ),
        ("llama", {"rope_scaling": {"type": "dynamic", "factor": 2.0}}, "no rope_type 'dynamic'"),
        (
            "llama",
            {"rope_scaling": {"rope_type": "default", "partial_rotary_factor": 0.5}},
            "partial_rotary_factor=0.5",
        ),
        ("llama", {"hidden_act": "mish"}, "no activation called 'mish'"),
        ("llama", {"quantization_config": {"quant_method": "fp8"}}, r"quantization_config=\{'quant_method': 'fp8'\}"),
        ("gpt2", {"add_cross_attention": True}, "add_cross_attention=True; this decoder supports only .*=False"),
        ("olmoe", {"clip_qkv": 8.0}, r"clip_qkv=8\.0; this decoder supports only clip_qkv=None"),
        ("gpt_oss", {"swiglu_limit": 9.0}, r"swiglu_limit=9\.0; this decoder supports only swiglu_limit=7\.0"),
        ("gemma2", {"layer_types": ["chunked_attention"] * 7}, "no layer type 'chunked_attention'"),
        (
            "gemma3_text",
            {"use_bidirectional_attention": True},
            "attention=True; this decoder never looks ahead",
        ),
        ("gemma4_text", {"vocab_size": 99}, "vocab_size_per_layer_input=262144 and vocab_size=99"),
        ("gemma4_text", {"per_layer_config": {"1": {"head_dim": 4}, "3": {"head_dim": 6}}}, "different heads"),
        ("deepseek_v2", {"topk_method": "noaux_tc"}, "no topk_method 'noaux_tc'"),
        ("deepseek_v3", {"attention_bias": True}, "attention_bias=True"),
    ],
)
def test_what_the_decoder_does_not_support_is_refused_by_name(model_type, changes, message):
    with pytest.raises(WorkshopError, match=message):
        model_config_from(small(model_type, **changes))


def test_a_missing_size_is_named():
    values = small("llama")
    del values["hidden_size"]
    with pytest.raises(ConfigError, match=r"config\.json lacks 'hidden_size', which a llama model needs"):
        model_config_from(values)


# --- Writing ---

QWEN3 = tiny.MODEL
LLAMA = replace(QWEN3, qk_norm="none", embed_dim=12)
NTK = RotaryConfig(base=9.0, scaling="ntk", factor=2.0)
TOWER = TowerConfig(num_layers=1, embed_dim=6, num_heads=2, ffn_dim=5, pool_patches=4)
EXPERTS_CONFIG = MoEConfig(num_experts=4, experts_per_token=2, expert_dim=11)


@pytest.mark.parametrize(
    ("config", "family"),
    [
        (LLAMA, "llama"),
        (QWEN3, "qwen3"),
        (replace(QWEN3, layer_pattern=("local", "global"), window_tokens=3), "qwen3"),
        (replace(LLAMA, moe=EXPERTS_CONFIG), "mixtral"),
        (replace(LLAMA, moe=EXPERTS_CONFIG, layer_pattern=("local",), window_tokens=3), "mixtral"),
        (replace(QWEN3, moe=EXPERTS_CONFIG), "qwen3_moe"),
        (replace(QWEN3, qk_norm="all_heads", num_kv_heads=2, embed_dim=24, moe=EXPERTS_CONFIG), "olmoe"),
    ],
)
def test_the_family_is_found_that_can_express_a_model(config, family):
    assert family_of(config) == family
    assert transformers.AutoConfig.for_model(**config_dict_from(config, family)).model_type == family


LINEAR = RotaryConfig(base=9.0, scaling="linear", factor=4.0)
LOCAL = {"layer_pattern": ("local", "local", "global"), "num_layers": 7, "window_tokens": 3}
GEMMA3 = replace(QWEN3, norm="rms_offset", norm_placement="sandwich", activation="gelu_tanh", **LOCAL)
GEMMA3 = replace(GEMMA3, embed_dim=12, embedding_scale=12**0.5, local_rope=RotaryConfig(base=5.0), query_scale=0.5)


@pytest.mark.parametrize(
    ("config", "family", "later_keys"),
    [
        (replace(LLAMA, rope=LINEAR), "llama", {"rope_parameters"}),
        (LLAMA, "llama", {"rope_parameters"}),
        (
            replace(QWEN3, num_layers=3, layer_pattern=("global", "local", "local"), window_tokens=3),
            "qwen3",
            {"rope_parameters", "layer_types"},
        ),
        (replace(GEMMA3, rope=LINEAR), "gemma3_text", {"rope_parameters", "layer_types"}),
        (replace(GEMMA3, layer_pattern=("local",)), "gemma3_text", {"rope_parameters", "layer_types"}),
    ],
)
def test_the_keys_that_transformers_4_reads_say_the_same(config, family, later_keys):
    values = config_dict_from(config, family)
    assert later_keys <= values.keys()
    older = {key: value for key, value in values.items() if key not in later_keys}
    assert config_dict_from(model_config_from(older), family) == values


def test_a_pattern_that_transformers_4_cannot_have_is_written_for_5_alone():
    values = config_dict_from(replace(GEMMA3, layer_pattern=("global", "local", "local")), "gemma3_text")
    assert "sliding_window_pattern" not in values
    assert values["layer_types"][:2] == ["full_attention", "sliding_attention"]


@pytest.mark.parametrize(
    "moe",
    [
        replace(EXPERTS_CONFIG, balance_weight=0.5, z_weight=0.0),
        replace(EXPERTS_CONFIG, bias_rate=0.1),
    ],
)
def test_what_concerns_only_training_is_not_exported(moe):
    assert family_of(replace(LLAMA, moe=moe)) == "mixtral"


def test_the_width_of_an_absent_feed_forward_does_not_matter():
    assert family_of(replace(LLAMA, ffn_dim=77, moe=EXPERTS_CONFIG)) == "mixtral"


@pytest.mark.parametrize(
    ("config", "family", "message"),
    [
        (QWEN3, "llama", r"llama cannot express qk_norm=head, embed_dim=10 \(not a multiple of num_heads=6\)\."),
        (
            replace(GEMMA3, embed_dim=10, embedding_scale=10**0.5),
            "gemma3_text",
            r"10 \(not a multiple of num_heads=6\)",
        ),
        (LLAMA, "qwen3", r"qwen3 cannot express qk_norm=none\."),
        (LLAMA, "mixtral", r"mixtral cannot express moe=None\."),
        (LLAMA, "deepseek_v3", r"deepseek_v3 cannot express latent=None, moe=None\."),
        (replace(LLAMA, attention_softcap=5.0), "llama", r"llama cannot express attention_softcap=5\.0\."),
        (
            replace(LLAMA, rope=RotaryConfig(base=9.0, scaling="ntk", factor=2.0)),
            "llama",
            r"llama cannot express rope=",
        ),
        (replace(LLAMA, query_scale=0.3), "llama", r"llama cannot express query_scale=0\.3\."),
        (replace(LLAMA, qkv_bias=True), "llama", r"llama cannot express output_bias=False\."),
        (replace(LLAMA, rope=None, positions="alibi"), "llama", r"llama cannot express positions=alibi, rope=None\."),
        (replace(LLAMA, layer_pattern=("local",), window_tokens=3), "llama", "layer_pattern=.*window_tokens=3"),
        (replace(LLAMA, moe=replace(EXPERTS_CONFIG, capacity_factor=1.5)), "mixtral", "mixtral cannot express moe="),
        (LLAMA, "lama", "no family with model_type 'lama'"),
    ],
)
def test_what_a_family_cannot_express_is_named(config, family, message):
    with pytest.raises(WorkshopError, match=message):
        config_dict_from(config, family)


MEDIA = MediaConfig(image_token_id=3, audio_token_id=4)
UNIFIED = replace(
    QWEN3,
    embedding_scale=QWEN3.embed_dim**0.5,
    norm_placement="sandwich",
    activation="gelu_tanh",
    value_norm=True,
    query_scale=1.0,
    layer_scale=True,
    media=MEDIA,
)


@pytest.mark.parametrize(
    ("config", "family", "message"),
    [
        (replace(UNIFIED, media=replace(MEDIA, image_attention="all")), "gemma4_unified", "media.image_attention=all"),
        (
            replace(UNIFIED, media=replace(MEDIA, tower=TOWER)),
            "gemma4_unified",
            r"media.tower=\{'num_layers': 1, .*4\}",
        ),
        (UNIFIED, "gemma3", r"value_norm=True, .*media.audio_token_id=4, .*image_attention=local, media.tower=None"),
        (replace(UNIFIED, media=None), "gemma4_unified", "gemma4_unified cannot express media=None"),
        (UNIFIED, "gemma4_text", "gemma4_text cannot express media="),
        (replace(UNIFIED, moe=replace(EXPERTS_CONFIG, shared_experts=1)), None, "moe=.*'shared_experts': 1"),
    ],
)
def test_what_a_multimodal_family_cannot_express_is_named(config, family, message):
    with pytest.raises(ConfigError, match=message):
        family_of(config) if family is None else config_dict_from(config, family)


def test_mini_gemini_has_no_counterpart():
    with pytest.raises(ConfigError, match=r"closest is gemma4_unified, .*value_norm=False, .*'shared_experts': 1"):
        family_of(load_config("mini-gemini").model)


def test_models_with_media_are_written_as_multimodal_ones():
    assert family_of(UNIFIED) == "gemma4_unified"
    for media in (MEDIA, replace(MEDIA, audio_token_id=None, image_attention="causal", patch_pixels=6)):
        values = config_dict_from(replace(UNIFIED, media=media), "gemma4_unified")
        assert model_config_from(values).media == media
        assert transformers.AutoConfig.for_model(**values).text_config.model_type == "gemma4_unified_text"
    assert family_of(replace(UNIFIED, media=None)) == "gemma4_text"


def test_if_no_family_fits_the_closest_is_named_with_what_it_cannot_express():
    config: ModelConfig = replace(QWEN3, value_norm=True)
    with pytest.raises(ConfigError, match=r"The closest is qwen3, which cannot express value_norm=True\."):
        family_of(config)
