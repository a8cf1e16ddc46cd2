import dataclasses
from importlib import resources

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gemini_workshop.config import (
    GenerationConfig,
    LatentAttentionConfig,
    ModelConfig,
    MoEConfig,
    RotaryConfig,
    TrainingConfig,
    WorkshopConfig,
    load_config,
    override,
    preset_names,
    to_yaml,
)
from gemini_workshop.errors import ConfigError, WorkshopError

MODEL = {
    "vocab_size": 13,
    "context_tokens": 7,
    "embed_dim": 10,
    "num_layers": 3,
    "num_heads": 6,
    "num_kv_heads": 2,
    "head_dim": 4,
    "ffn_dim": 11,
    "activation": "silu",
    "rope": {"base": 500.0, "scaling": "linear", "factor": 2.0},
    "layer_pattern": ["local", "global"],
    "window_tokens": 3,
    "moe": {"num_experts": 5, "experts_per_token": 2, "expert_dim": 9, "dense_layers": [0]},
    "norm_eps": 1e-5,
    "qk_norm": "head",
    "tied_head": False,
}
LATENT = {"kv_rank": 5, "content_dim": 5, "rope_dim": 4, "value_dim": 3}
MOE = MODEL["moe"]
TRAINING = {"steps": 50, "batch_size": 3, "learning_rate": 2e-3, "warmup_steps": 5, "seed": 17}
GENERATION = {"max_new_tokens": 9, "temperature": 0.3, "top_k": 4, "top_p": None, "seed": 23}


def everything(**changes: dict) -> dict:
    """A configuration in which no field has its default or a preset's value; sections may be replaced."""
    return {"model": MODEL, "training": TRAINING, "generation": GENERATION} | changes


CONFIG = WorkshopConfig.from_dict(everything())


def error_of(section: type, values: dict) -> str:
    with pytest.raises(ConfigError) as caught:
        section.from_dict(values)
    return str(caught.value)


@pytest.mark.parametrize(
    ("section", "base", "change", "says"),
    [
        (ModelConfig, MODEL, {"vocab_size": 0}, "vocab_size=0 is not positive. Choose vocab_size >= 1."),
        (ModelConfig, MODEL, {"embed_dim": -5}, "embed_dim=-5 is not positive. Choose embed_dim >= 1."),
        (ModelConfig, MODEL, {"num_kv_heads": 0}, "num_kv_heads=0 is not positive. Choose num_kv_heads >= 1."),
        (ModelConfig, MODEL, {"norm_eps": 0}, "norm_eps=0.0 is not positive. Choose norm_eps > 0."),
        (ModelConfig, MODEL, {"rope": {"base": -2.5}}, "base=-2.5 is not positive. Choose base > 0."),
        (ModelConfig, MODEL, {"num_kv_heads": 4}, "num_heads=6 is not a multiple of num_kv_heads=4."),
        (ModelConfig, MODEL, {"num_kv_heads": 4}, "Try num_kv_heads=1, 2, 3 or 6."),
        (ModelConfig, MODEL, {"num_heads": 1, "num_kv_heads": 2}, "Try num_kv_heads=1."),
        (ModelConfig, MODEL, {"head_dim": 5}, "head_dim=5 is odd, but rotary positions turn channels in pairs."),
        (ModelConfig, MODEL, {"head_dim": 5}, "Try head_dim=6."),
        (ModelConfig, MODEL, {"embed_dim": "wide"}, "embed_dim='wide' is not a whole number. Width of"),
        (ModelConfig, MODEL, {"embed_dim": 8.0}, "embed_dim=8.0 is not a whole number."),
        (ModelConfig, MODEL, {"embed_dim": True}, "embed_dim=True is not a whole number."),
        (ModelConfig, MODEL, {"embed_dim": None}, "embed_dim=None is not a whole number."),
        (ModelConfig, MODEL, {"rope": {"base": "far"}}, "base='far' is not a number."),
        (ModelConfig, MODEL, {"rope": {"base": True}}, "base=True is not a number."),
        (ModelConfig, MODEL, {"rope": {"base": float("inf")}}, "base=inf is not a number."),
        (ModelConfig, MODEL, {"rope": 500.0}, "rope=500.0 is not a RotaryConfig or null."),
        (ModelConfig, MODEL, {"rope": {"bass": 5}}, "no field of RotaryConfig called 'bass'. Did you mean 'base'?"),
        (ModelConfig, MODEL, {"rope": {}}, "RotaryConfig lacks base."),
        (ModelConfig, MODEL, {"rope": None}, "positions=rotary needs rope, but it is null. Write, for example, rope:"),
        (ModelConfig, MODEL, {"positions": "learned"}, "positions=learned does not use rope. Set rope and"),
        (
            ModelConfig,
            MODEL,
            {"positions": "sinusoidal", "rope": None, "embed_dim": 9},
            "embed_dim=9 is odd, but",
        ),
        (ModelConfig, MODEL, {"rope": {"base": 9, "fraction": 0}}, "fraction=0.0 is outside (0, 1]. Choose 1"),
        (ModelConfig, MODEL, {"rope": {"base": 9, "scaling": "yarn"}}, "scaling=yarn needs original_tokens, but it is"),
        (ModelConfig, MODEL, {"rope": {"base": 9, "slow_turns": 40}}, "slow_turns=40.0 is not below fast_turns=32.0."),
        (ModelConfig, MODEL, {"rope": {"base": 9, "scaling": "ynar"}}, "scaling='ynar' is not 'none', 'linear',"),
        (ModelConfig, MODEL, {"window_tokens": 0}, "window_tokens=0 is not positive. Choose window_tokens >= 1."),
        (ModelConfig, MODEL, {"window_tokens": None}, "layer_pattern has local layers, but window_tokens is null."),
        (ModelConfig, MODEL, {"layer_pattern": []}, "layer_pattern is empty. Write [global] for plain layers."),
        (ModelConfig, MODEL, {"layer_pattern": ["near"]}, "layer_pattern=('near',) is not a list, each 'global' or"),
        (ModelConfig, MODEL, {"layer_pattern": "local"}, "layer_pattern='local' is not a list, each 'global' or"),
        (ModelConfig, MODEL, {"global_kv_heads": 4}, "num_heads=6 is not a multiple of global_kv_heads=4."),
        (ModelConfig, MODEL, {"global_head_dim": 7}, "global_head_dim=7 is odd, but rotary positions turn"),
        (ModelConfig, MODEL, {"query_scale": [1.0, 2.0]}, "does not have one value for each of num_layers=3."),
        (ModelConfig, MODEL, {"attention_softcap": 0}, "attention_softcap=0.0 is not positive."),
        (ModelConfig, MODEL, {"final_softcap": -1}, "final_softcap=-1.0 is not positive."),
        (ModelConfig, MODEL, {"shared_kv_layers": 2}, "shared_kv_layers=2 leaves a layer without an earlier one"),
        (ModelConfig, MODEL, {"shared_kv_layers": -1}, "shared_kv_layers=-1 leaves a layer without"),
        (ModelConfig, MODEL, {"shared_kv_layers": 3}, "shared_kv_layers=3 leaves a layer without"),
        (ModelConfig, MODEL, {"latent": LATENT}, "head_dim=4 must be content_dim + rope_dim = 9 and num_kv_heads=2 mu"),
        (ModelConfig, MODEL, {"latent": LATENT | {"kv_rank": 0}}, "kv_rank=0 is not positive."),
        (
            ModelConfig,
            MODEL,
            {"latent": LATENT | {"content_dim": 3, "rope_dim": 1}, "num_kv_heads": 6},
            "rope_dim=1 is odd, but rotary positions turn channels in pairs. Try rope_dim=2.",
        ),
        (
            ModelConfig,
            MODEL,
            {"moe": MOE | {"experts_per_token": 6}},
            "experts_per_token=6 is more than num_experts=5",
        ),
        (ModelConfig, MODEL, {"moe": MOE | {"num_groups": 2}}, "num_experts=5 is not a multiple of num_groups=2."),
        (ModelConfig, MODEL, {"moe": MOE | {"kept_groups": 2}}, "kept_groups=2 is more than num_groups=1."),
        (ModelConfig, MODEL, {"moe": MOE | {"num_groups": 5}}, "experts_per_token=2 is more than the 1 experts of the"),
        (ModelConfig, MODEL, {"moe": MOE | {"capacity_factor": 0}}, "capacity_factor=0.0 is not positive."),
        (ModelConfig, MODEL, {"moe": MOE | {"shared_experts": -1}}, "shared_experts=-1 is negative. Choose 0 or more."),
        (ModelConfig, MODEL, {"moe": MOE | {"dense_layers": [3]}}, "dense_layers=[3] names a layer outside 0 to 2."),
        (ModelConfig, MODEL, {"norm_eps": float("nan")}, "norm_eps=nan is not a number."),
        (ModelConfig, MODEL, {"tied_head": 1}, "tied_head=1 is not true or false."),
        (ModelConfig, MODEL, {"qk_norm": True}, "qk_norm=True is not 'none', 'head' or 'all_heads'."),
        (ModelConfig, MODEL, {"activation": "swish"}, "activation='swish' is not 'relu', 'relu_squared', 'gelu',"),
        (ModelConfig, MODEL, {"head_dims": 5}, "no field of ModelConfig called 'head_dims'. Did you mean 'head_dim'?"),
        (TrainingConfig, TRAINING, {"steps": 0}, "steps=0 is not positive."),
        (TrainingConfig, TRAINING, {"learning_rate": 0}, "learning_rate=0.0 is not positive."),
        (TrainingConfig, TRAINING, {"keep_checkpoints": 0}, "keep_checkpoints=0 is not positive."),
        (TrainingConfig, TRAINING, {"beta1": 1}, "beta1=1.0 is outside [0, 1)."),
        (TrainingConfig, TRAINING, {"beta2": -0.1}, "beta2=-0.1 is outside [0, 1)."),
        (TrainingConfig, TRAINING, {"final_rate_fraction": 1.5}, "final_rate_fraction=1.5 is outside [0, 1]."),
        (TrainingConfig, TRAINING, {"validation_fraction": 0}, "validation_fraction=0.0 is outside (0, 1)."),
        (TrainingConfig, TRAINING, {"validation_fraction": 1}, "validation_fraction=1.0 is outside (0, 1)."),
        (TrainingConfig, TRAINING, {"weight_decay": -1}, "weight_decay=-1.0 is negative. Choose 0 or more."),
        (TrainingConfig, TRAINING, {"warmup_steps": 51}, "warmup_steps=51 does not fit into steps=50."),
        (TrainingConfig, TRAINING, {"warmup_steps": -1}, "warmup_steps=-1 does not fit into steps=50."),
        (TrainingConfig, TRAINING, {"precision": "int4"}, "precision='int4' is not 'auto', 'fp32', 'bf16' or 'fp16'."),
        (TrainingConfig, TRAINING, {"accumulation_steps": 2}, "batch_size=3 is not a multiple of accumulation_steps=2"),
        (TrainingConfig, TRAINING, {"strategy": "zero2"}, "strategy='zero2' is not 'ddp', 'zero1' or 'fsdp'."),
        (TrainingConfig, TRAINING, {"strategy": "fsdp", "optimizer": "muon"}, "optimizer=muon needs whole matrices"),
        (TrainingConfig, TRAINING, {"expert_parallel": True, "optimizer": "galore"}, "optimizer=galore needs whole"),
        (TrainingConfig, TRAINING, {"strategy": "zero1", "expert_parallel": True}, "zero1 and expert_parallel=true"),
        (TrainingConfig, TRAINING, {"ema_decay": 1}, "ema_decay=1.0 is outside [0, 1)."),
        (TrainingConfig, TRAINING, {"label_smoothing": -1}, "label_smoothing=-1.0 is outside [0, 1)."),
        (TrainingConfig, TRAINING, {"decay_fraction": 0}, "decay_fraction=0.0 is outside (0, 1]."),
        (TrainingConfig, TRAINING, {"loss_chunk_tokens": 0}, "loss_chunk_tokens=0 is not positive."),
        (TrainingConfig, TRAINING, {"z_loss_weight": -1}, "z_loss_weight=-1.0 is negative. Choose 0 or more."),
        (
            TrainingConfig,
            TRAINING,
            {"length_power": 1.5},
            "length_power=1.5 is outside [0, 1]. Choose 1 to count tokens",
        ),
        (GenerationConfig, {}, {"max_new_tokens": 0}, "max_new_tokens=0 is not positive."),
        (GenerationConfig, {}, {"temperature": -0.1}, "temperature=-0.1 is negative. Choose 0 or more."),
        (GenerationConfig, {}, {"top_k": 0}, "top_k=0 is not positive."),
        (GenerationConfig, {}, {"top_k": "many"}, "top_k='many' is not a whole number or null."),
        (GenerationConfig, {}, {"top_p": 0}, "top_p=0.0 is outside (0, 1]."),
        (GenerationConfig, {}, {"top_p": 1.1}, "top_p=1.1 is outside (0, 1]."),
        (ModelConfig, {}, {"vocab_size": 3}, "ModelConfig lacks context_tokens, embed_dim, num_layers,"),
        (TrainingConfig, {}, {}, "TrainingConfig lacks steps, batch_size, learning_rate."),
    ],
)
def test_an_error_names_field_value_and_fix(section, base, change, says):
    assert says in error_of(section, base | change)


@pytest.mark.parametrize("values", [None, 3, "wide", ["steps"]])
def test_a_section_that_holds_no_fields_is_an_error(values):
    assert error_of(TrainingConfig, values) == (
        f"TrainingConfig is {values!r}, not a list of fields. Write each as field: value."
    )


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (everything(modle={}), "There is no section called 'modle'. Did you mean 'model'?"),
        ({"model": MODEL}, "The configuration has no section 'training'. It needs model and training."),
        ({"training": TRAINING}, "The configuration has no section 'model'."),
    ],
)
def test_a_missing_or_unknown_section_is_named(values, says):
    assert says in error_of(WorkshopConfig, values)


@pytest.mark.parametrize("change", [{"beta1": 0}, {"final_rate_fraction": 1}, {"warmup_steps": 50}])
def test_the_ends_of_a_range_are_allowed(change):
    assert TrainingConfig.from_dict(TRAINING | change)


def test_a_configuration_cannot_be_changed_in_place():
    with pytest.raises(dataclasses.FrozenInstanceError):
        CONFIG.model.embed_dim = 12  # type: ignore[misc]


def test_every_field_has_a_sentence_of_help():
    for section in (
        *(ModelConfig, RotaryConfig, LatentAttentionConfig, MoEConfig),
        *(TrainingConfig, GenerationConfig),
    ):
        for field in dataclasses.fields(section):
            assert field.metadata["help"].endswith("."), field.name


def test_yaml_round_trip_keeps_a_configuration_without_defaults(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(to_yaml(CONFIG), "utf-8")
    assert load_config(file) == CONFIG
    assert load_config(str(file)) == CONFIG


def test_yaml_keeps_the_order_in_which_the_fields_are_explained():
    assert list(yaml.safe_load(to_yaml(CONFIG))["model"]) == [field.name for field in dataclasses.fields(ModelConfig)]


@settings(deadline=None)  # a busy machine must not fail it
@given(
    learning_rate=st.floats(1e-9, 1e3),
    rope_base=st.floats(1e-3, 1e9),
    steps=st.integers(5, 10**9),
    top_p=st.none() | st.floats(1e-6, 1),
    seed=st.integers(-(2**31), 2**31),
)
def test_yaml_round_trip_keeps_every_number(learning_rate, rope_base, steps, top_p, seed):
    config = WorkshopConfig(
        model=dataclasses.replace(CONFIG.model, rope=RotaryConfig(base=rope_base)),
        training=dataclasses.replace(CONFIG.training, learning_rate=learning_rate, steps=steps, seed=seed),
        generation=dataclasses.replace(CONFIG.generation, top_p=top_p),
    )
    assert WorkshopConfig.from_dict(yaml.safe_load(to_yaml(config))) == config


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_loads_and_comes_back_from_its_own_yaml(name):
    config = load_config(name)
    assert WorkshopConfig.from_dict(yaml.safe_load(to_yaml(config))) == config


def test_the_presets_are_the_files_that_ship():
    files = resources.files("gemini_workshop").joinpath("config", "presets").iterdir()
    assert {file.name for file in files} == {f"{name}.yaml" for name in preset_names()}


def test_presets_of_text_models_grow():
    models = [model for name in preset_names() if (model := load_config(name).model).media is None]
    sizes = [model.num_layers * model.embed_dim**2 for model in models]
    assert sizes == sorted(set(sizes))


def test_a_file_with_generation_left_out_gets_its_defaults(tmp_path):
    file = tmp_path / "mine.yml"
    file.write_text(yaml.safe_dump({"model": MODEL, "training": TRAINING}), "utf-8")
    assert load_config(file).generation == GenerationConfig()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("model: [1", "is not valid YAML: "),
        ("", "has no sections. It needs model: and training:"),
        ("- model", "has no sections."),
        ("model: 3\ntraining: {}", "ModelConfig is 3, not a list of fields."),
    ],
)
def test_a_file_that_is_not_a_configuration_is_an_error(tmp_path, text, says):
    file = tmp_path / "broken.yaml"
    file.write_text(text, "utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("smal", "There is no preset 'smal'. Did you mean 'small'? Known: tiny, small, medium, large, mini-gemini."),
        ("nowhere/mine.yaml", "There is no file nowhere/mine.yaml. Give the path of a YAML file or a preset: tiny,"),
    ],
)
def test_a_missing_preset_or_file_is_an_error(name, says):
    with pytest.raises(ConfigError) as caught:
        load_config(name)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("assignment", "section", "field", "value"),
    [
        ("steps=70", "training", "steps", 70),
        ("training.steps=70", "training", "steps", 70),
        ("learning_rate=1e-3", "training", "learning_rate", 0.001),
        ("norm_eps=3", "model", "norm_eps", 3.0),
        ("layer_pattern=[global]", "model", "layer_pattern", ["global"]),
        ("moe=null", "model", "moe", None),
        ("tied_head=true", "model", "tied_head", True),
        ("activation=gelu_tanh", "model", "activation", "gelu_tanh"),
        ("generation.seed=5", "generation", "seed", 5),
        ("top_k=null", "generation", "top_k", None),
        ("top_k=", "generation", "top_k", None),
        (" steps = 70", "training", "steps", 70),
    ],
)
def test_override_changes_one_field_and_nothing_else(assignment, section, field, value):
    changed = override(CONFIG, [assignment]).to_dict()
    assert changed[section].pop(field) == value
    before = CONFIG.to_dict()
    del before[section][field]
    assert changed == before


def test_override_reaches_into_nested_sections():
    changed = override(CONFIG, ["rope.base=3", "model.moe.num_experts=7", "expert_dim=4"]).model
    assert (changed.rope.base, changed.moe.num_experts, changed.moe.expert_dim) == (3.0, 7, 4)
    assert changed.rope.factor == 2.0


def test_later_overrides_win_and_are_checked_together():
    changed = override(CONFIG, ["steps=10", "warmup_steps=8", "steps=9"])
    assert (changed.training.steps, changed.training.warmup_steps) == (9, 8)


@pytest.mark.parametrize(
    ("assignment", "says"),
    [
        ("steps", "'steps' is not an assignment. Write it as field=value: training.steps=500."),
        ("stepps=3", "There is no field called 'stepps'. Did you mean 'steps'?"),
        ("training.stepps=3", "There is no field called 'training.stepps'. Did you mean 'steps'?"),
        ("latent.kv_rank=3", "There is no section called 'latent'"),
        ("trainng.steps=3", "There is no section called 'trainng'. Did you mean 'training'?"),
        ("seed=3", "'seed' is in several sections. Write training.seed or generation.seed."),
        ("steps=[1", "steps=[1 cannot be read. Write one number, word, true, false or null."),
        ("steps=1e3", "steps=1000.0 is not a whole number."),
        ("num_kv_heads=5", "num_heads=6 is not a multiple of num_kv_heads=5."),
    ],
)
def test_an_override_that_cannot_work_says_why(assignment, says):
    with pytest.raises(ConfigError) as caught:
        override(CONFIG, [assignment])
    assert says in str(caught.value)


def test_a_configuration_error_is_a_workshop_error_and_a_value_error():
    assert issubclass(ConfigError, WorkshopError)
    assert issubclass(ConfigError, ValueError)


# --- What a layer is ---


def layers(**changes):
    return ModelConfig.from_dict(MODEL | {"num_layers": 6, "moe": None} | changes).layers


def test_the_pattern_repeats_and_only_local_layers_have_a_window():
    assert [layer.window_tokens for layer in layers(layer_pattern=["local", "local", "global"])] == [3, 3, None] * 2
    assert [layer.window_tokens for layer in layers(layer_pattern=["local"] * 4 + ["global"])] == [3, 3, 3, 3, None, 3]


def test_global_layers_can_have_heads_of_their_own():
    local, its_global = layers(global_head_dim=8, global_kv_heads=1, global_values_are_keys=True)[:2]
    assert (local.head_dim, local.num_kv_heads, local.values_are_keys) == (4, 2, False)
    assert (its_global.head_dim, its_global.num_kv_heads, its_global.values_are_keys) == (8, 1, True)
    assert (local.query_scale, its_global.query_scale) == (4**-0.5, 8**-0.5)


def test_local_layers_can_turn_in_their_own_way():
    local, its_global = layers(local_rope={"base": 7.0})[:2]
    assert (local.rope.base, its_global.rope.base) == (7.0, 500.0)


def test_one_query_scale_is_for_all_layers_and_several_are_one_each():
    assert {layer.query_scale for layer in layers(query_scale=0.3)} == {0.3}
    scales = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    assert [layer.query_scale for layer in layers(query_scale=scales)] == scales


def test_a_layer_that_borrows_reads_the_last_earlier_layer_of_its_kind_that_has_its_own():
    shared = layers(layer_pattern=["local", "local", "global"], shared_kv_layers=3, shared_kv_ffn_dim=22)
    assert [layer.kv_source for layer in shared] == [0, 1, 2, 1, 1, 2]
    assert [layer.borrows_kv for layer in shared] == [False] * 3 + [True] * 3
    assert [layer.ffn_dim for layer in shared] == [11] * 3 + [22] * 3


def test_dense_layers_have_no_experts():
    assert [layer.has_experts for layer in layers(moe=MOE | {"dense_layers": [0, 4]})] == [
        *(False, True, True, True, False, True)
    ]
    assert not any(layer.has_experts for layer in layers())


DEFAULTS = {
    GenerationConfig: {
        "max_new_tokens": 200,
        "temperature": 0.8,
        "top_p": 0.95,
        "repetition_penalty": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "seed": 0,
    },
    TrainingConfig: {
        "accumulation_steps": 1,
        "muon_learning_rate": 0.02,
        "warmup_steps": 100,
        "decay_fraction": 0.4,
        "final_rate_fraction": 0.1,
        "weight_decay": 0.1,
        "beta1": 0.9,
        "beta2": 0.95,
        "momentum": 0.95,
        "galore_rank": 32,
        "galore_every_steps": 200,
        "clip_norm": 1.0,
        "length_power": 1.0,
        "label_smoothing": 0.0,
        "z_loss_weight": 0.0,
        "lora_alpha": 16.0,
        "compile": False,
        "recompute_blocks": False,
        "deterministic": False,
        "expert_parallel": False,
        "eval_every_steps": 100,
        "eval_batches": 20,
        "checkpoint_every_steps": 100,
        "keep_checkpoints": 2,
        "validation_fraction": 0.05,
        "seed": 0,
    },
    ModelConfig: {
        "embedding_scale": 1.0,
        "layer_scale": False,
        "value_norm": False,
        "attention_sinks": False,
        "qkv_bias": False,
        "output_bias": False,
        "global_values_are_keys": False,
        "shared_kv_layers": 0,
        "gated": True,
        "feed_forward_bias": False,
    },
    MoEConfig: {
        "shared_experts": 0,
        "renormalize": True,
        "routed_scale": 1.0,
        "selection_bias": False,
        "num_groups": 1,
        "kept_groups": 1,
        "router_bias": False,
        "router_norm": False,
        "per_expert_scale": False,
        "expert_bias": False,
        "beside_dense": False,
        "balance_weight": 0.01,
        "z_weight": 0.001,
        "bias_rate": 0.001,
    },
    RotaryConfig: {
        "fraction": 1.0,
        "factor": 1.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "slow_turns": 1.0,
        "fast_turns": 32.0,
        "round_range": True,
    },
}


@pytest.mark.parametrize("kind", DEFAULTS, ids=lambda kind: kind.__name__)
def test_the_defaults_are_those_on_which_presets_and_saved_configurations_rely(kind):
    numbers = {each.name: each.default for each in dataclasses.fields(kind) if isinstance(each.default, int | float)}
    assert {name: (value, type(value)) for name, value in numbers.items()} == {
        name: (value, type(value)) for name, value in DEFAULTS[kind].items()
    }
