"""Files: strict about names and shapes, in one file or many, under any names in use."""

import json
import os
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from gemini_workshop.config import LatentAttentionConfig, ModelConfig, MoEConfig, RotaryConfig
from gemini_workshop.errors import CheckpointError
from gemini_workshop.models.families import load_huggingface, save_huggingface
from gemini_workshop.models.transformer import Transformer
from tests import tiny
from tests.models.conftest import randomize

LLAMA = replace(tiny.MODEL, qk_norm="none", embed_dim=12)
MIXTRAL = replace(LLAMA, moe=MoEConfig(num_experts=3, experts_per_token=2, expert_dim=11))
GPT2 = replace(
    LLAMA,
    **{"positions": "learned", "rope": None, "norm": "layer", "gated": False, "num_kv_heads": 6, "head_dim": 2},
    **dict.fromkeys(("qkv_bias", "output_bias", "feed_forward_bias"), True),
)
GEMMA3 = replace(
    LLAMA,
    norm="rms_offset",
    norm_placement="sandwich",
    qk_norm="head",
    embedding_scale=12**0.5,
    query_scale=4**-0.5,
    local_rope=RotaryConfig(base=10.0),
)
GEMMA4 = replace(
    GEMMA3,
    norm="rms",
    value_norm=True,
    query_scale=1.0,
    layer_scale=True,
    shared_kv_layers=1,
    rope=RotaryConfig(base=100.0, fraction=0.5, fraction_of="pairs"),
)
DEEPSEEK = replace(
    LLAMA,
    num_kv_heads=6,
    latent=LatentAttentionConfig(kv_rank=5, content_dim=2, rope_dim=2, value_dim=3),
    moe=MoEConfig(
        **{"num_experts": 4, "experts_per_token": 2, "expert_dim": 11, "shared_experts": 1},
        **{"scoring": "sigmoid", "selection_bias": True, "group_score": "top2_sum"},
    ),
)


def made(config: ModelConfig) -> Transformer:
    model = Transformer(config)
    randomize(model, torch.Generator().manual_seed(0))
    return model


def rewrite(folder, change) -> None:
    """Change the tensors of a folder's only file."""
    tensors = load_file(folder / "model.safetensors")
    save_file({name: tensor.contiguous() for name, tensor in change(tensors).items()}, folder / "model.safetensors")


def assert_same(ours: Transformer, theirs: Transformer) -> None:
    expected = ours.state_dict()
    assert theirs.state_dict().keys() == expected.keys()
    assert all(torch.equal(weight, expected[name]) for name, weight in theirs.state_dict().items())
    token_ids = torch.arange(7).unsqueeze(0)
    with torch.no_grad():
        assert torch.equal(theirs(token_ids), ours.eval()(token_ids))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "model"


# --- There and back ---


@pytest.mark.parametrize("config", [LLAMA, GPT2, MIXTRAL, GEMMA3, GEMMA4, DEEPSEEK], ids=lambda c: c.norm)
@pytest.mark.parametrize("max_shard_bytes", [10**9, 2000])
def test_what_is_saved_is_loaded_in_one_file_or_many(config, max_shard_bytes, folder):
    model = made(config)
    save_huggingface(model, folder, max_shard_bytes=max_shard_bytes)
    assert_same(model, load_huggingface(folder))
    files = sorted(path.name for path in folder.glob("*.safetensors"))
    if max_shard_bytes == 10**9:
        assert files == ["model.safetensors"]
    else:
        index = json.loads((folder / "model.safetensors.index.json").read_text("utf-8"))
        assert len(files) > 2
        assert set(index["weight_map"].values()) == set(files)
        assert index["metadata"]["total_size"] == sum(weight.nbytes for weight in model.state_dict().values())


def test_the_number_format_is_that_of_the_file_or_the_one_asked_for(folder):
    save_huggingface(made(LLAMA).bfloat16(), folder)
    values = json.loads((folder / "config.json").read_text("utf-8"))
    assert values["dtype"] == values["torch_dtype"] == "bfloat16"  # transformers 5, and 4
    assert {weight.dtype for weight in load_huggingface(folder).parameters()} == {torch.bfloat16}
    assert {weight.dtype for weight in load_huggingface(folder, dtype=torch.float64).parameters()} == {torch.float64}


@pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_others_may_read_the_files_where_they_may_read_those_of_this_user(umask, mode, folder):
    before = os.umask(umask)
    try:
        save_huggingface(made(LLAMA), folder, max_shard_bytes=2000)
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {mode}


def test_what_chooses_among_experts_is_not_rounded(folder):
    model = made(DEEPSEEK)
    router = model.blocks[0].feed_forward.router
    router.selection_bias.copy_(torch.tensor([1.0, 1.0001, 1.0002, 1.0003]))
    save_huggingface(model, folder)
    loaded = load_huggingface(folder, dtype=torch.bfloat16)
    assert torch.equal(loaded.blocks[0].feed_forward.router.selection_bias, router.selection_bias)
    assert loaded.embedding.weight.dtype == torch.bfloat16


def test_frequencies_stay_exact_whatever_the_weights_are(folder):
    save_huggingface(made(LLAMA).bfloat16(), folder)
    exact = Transformer(LLAMA).rotary[0].frequencies
    assert torch.equal(load_huggingface(folder).rotary[0].frequencies, exact)


def test_a_loaded_model_can_be_trained_and_leaves_the_file_alone(folder):
    model = made(LLAMA)
    save_huggingface(model, folder)
    loaded = load_huggingface(folder)
    loaded(torch.arange(7).unsqueeze(0)).sum().backward()
    with torch.no_grad():
        for weight in loaded.parameters():
            weight -= weight.grad
    assert_same(model, load_huggingface(folder))


def test_a_folder_with_something_in_it_is_left_alone(folder):
    save_huggingface(made(LLAMA), folder)
    with pytest.raises(CheckpointError, match=r"model is not empty\. Choose a new folder"):
        save_huggingface(made(LLAMA), folder)


# --- Other names ---


def fused(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Mixtral as a model in memory names it."""
    names = {name.replace("block_sparse_moe", "mlp"): tensor for name, tensor in tensors.items()}
    for i in range(2):
        experts = [
            [names.pop(f"model.layers.{i}.mlp.experts.{e}.{w}.weight") for w in ("w1", "w3", "w2")] for e in range(3)
        ]
        names[f"model.layers.{i}.mlp.experts.gate_up_proj"] = torch.stack([torch.cat([g, u]) for g, u, _ in experts])
        names[f"model.layers.{i}.mlp.experts.down_proj"] = torch.stack([down for *_, down in experts])
    return names


def prefixed(prefix: str, *towers: str):
    """Names as multimodal models have them, with towers that the decoder does not read."""
    return lambda tensors: (
        {name.replace("model.", prefix, 1): tensor for name, tensor in tensors.items()}
        | {f"{tower}.weight": torch.ones(2) for tower in towers}
    )


NAMINGS = {
    "experts stacked": (MIXTRAL, fused),
    "gpt-2 without prefix": (GPT2, lambda ts: {name.removeprefix("transformer."): t for name, t in ts.items()}),
    "gpt-2 with its masks": (GPT2, lambda ts: ts | {"transformer.h.0.attn.bias": torch.ones(1, 1, 7, 7)}),
    "the frequencies of old files": (
        LLAMA,
        lambda ts: ts | {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(2)},
    ),
    "a tied head written out": (LLAMA, lambda ts: ts | {"lm_head.weight": ts["model.embed_tokens.weight"].clone()}),
    "gemma 3 with a tower": (GEMMA3, prefixed("language_model.model.", "vision_tower.x", "multi_modal_projector.y")),
    "gemma 4 with towers": (GEMMA4, prefixed("model.language_model.", "model.vision_tower.x", "model.embed_audio.y")),
    "keys that are shared": (GEMMA4, lambda ts: ts | {"model.layers.1.self_attn.k_norm.weight": torch.ones(4)}),
    "layers that predict further ahead": (DEEPSEEK, lambda ts: ts | {"model.layers.2.eh_proj.weight": torch.ones(2)}),
}


@pytest.mark.parametrize("naming", NAMINGS)
def test_other_names_in_use_are_read(naming, folder):
    config, change = NAMINGS[naming]
    model = made(config)
    save_huggingface(model, folder)
    rewrite(folder, change)
    assert_same(model, load_huggingface(folder))


# --- What does not fit ---


@pytest.fixture
def saved(folder):
    save_huggingface(made(LLAMA), folder)
    return folder


def test_missing_and_extra_tensors_are_named(saved):
    def change(tensors):
        tensors["model.layers.0.mlp.gate_prj.weight"] = tensors.pop("model.layers.0.mlp.gate_proj.weight")
        return tensors

    rewrite(saved, change)
    with pytest.raises(CheckpointError, match=r"Missing: \S+gate_proj\.weight\. Not expected: \S+gate_prj\.weight\."):
        load_huggingface(saved)


def test_a_layer_beyond_those_of_config_json_is_an_error(saved):
    rewrite(saved, lambda tensors: tensors | {"model.layers.2.mlp.up_proj.weight": torch.ones(11, 12)})
    with pytest.raises(CheckpointError, match=r"Not expected: model\.layers\.2\.mlp\.up_proj\.weight\."):
        load_huggingface(saved)


def test_of_many_missing_tensors_the_first_are_named(saved):
    rewrite(saved, lambda tensors: {"model.norm.weight": tensors["model.norm.weight"]})
    with pytest.raises(
        CheckpointError, match=r"Missing: \S+embed_tokens\.weight, .* and 11 more\. Not expected: nothing"
    ):
        load_huggingface(saved)


def test_a_tensor_of_another_shape_is_named(saved):
    rewrite(saved, lambda tensors: tensors | {"model.norm.weight": torch.ones(9)})
    with pytest.raises(CheckpointError, match=r"model\.norm\.weight \(9,\) does not give norm\.weight \(12,\)"):
        load_huggingface(saved)


def test_an_expert_of_another_shape_is_named(folder):
    save_huggingface(made(MIXTRAL), folder)
    name = "model.layers.1.block_sparse_moe.experts.0.w2.weight"
    rewrite(folder, lambda tensors: tensors | {name: torch.ones(3, 5)})
    with pytest.raises(
        CheckpointError, match=r"0\.w2\.weight \(3, 5\), .* does not give .*experts\.down \(3, 12, 11\)"
    ):
        load_huggingface(folder)


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda folder: (folder / "config.json").unlink(), r"config\.json cannot be read"),
        (lambda folder: (folder / "config.json").write_text("{"), r"config\.json cannot be read"),
        (
            lambda folder: (folder / "model.safetensors").unlink(),
            r"no weights in .*pytorch_model\.bin.* not supported",
        ),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"no"), r"model\.safetensors cannot be read"),
    ],
)
def test_a_file_that_is_missing_or_damaged_is_named(saved, break_it, message):
    break_it(saved)
    with pytest.raises(CheckpointError, match=message):
        load_huggingface(saved)
