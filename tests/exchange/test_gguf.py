"""Files for llama.cpp: what they hold, what is refused, and, where it is installed, what llama.cpp makes of them."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from gemini_workshop.checkpoint import load_pretrained
from gemini_workshop.config import MediaConfig, MoEConfig, RotaryConfig, load_config
from gemini_workshop.data.tokenizers import BPETokenizer, CharTokenizer
from gemini_workshop.data.tokenizers.exchange import huggingface_content
from gemini_workshop.errors import CheckpointError, ConfigError, DataError, WorkshopError
from gemini_workshop.exchange.gguf import export_gguf
from gemini_workshop.exchange.gguf_architectures import architecture_of
from gemini_workshop.exchange.gguf_vocabulary import CONTROL, NORMAL, UNUSED, gguf_vocabulary
from tests.exchange.models import LLAMA, MODELS, SANDWICH, STORY, TOKENIZER, saved

# --- Which architecture ---


@pytest.mark.parametrize("name", MODELS)
def test_the_architecture_is_found_that_computes_a_model(name):
    assert architecture_of(MODELS[name]) == name


@pytest.mark.parametrize(
    ("preset", "name"), [("tiny", "plamo3"), ("small", "gemma3"), ("medium", "gemma3"), ("large", "gemma3")]
)
def test_the_presets_for_text_can_be_written(preset, name):
    assert architecture_of(load_config(preset).model) == name


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (replace(LLAMA, activation="relu"), "closest is llama, which cannot express activation=relu"),
        (replace(LLAMA, query_scale=0.3), r"cannot express query_scale=0\.3"),
        (replace(LLAMA, rope=RotaryConfig(base=50.0, scaling="linear", factor=2.0)), r"express rope=.*factor': 2\.0"),
        (replace(LLAMA, positions="alibi", rope=None), "express positions=alibi, rope=None"),
        (replace(LLAMA, moe=MoEConfig(num_experts=4, experts_per_token=2, expert_dim=5)), "express moe="),
        (replace(LLAMA, media=MediaConfig(image_token_id=3)), "express media"),
        (replace(LLAMA, embedding_scale=2.0), r"express embedding_scale=2\.0"),
        (replace(SANDWICH, layer_pattern=("global", "local")), r"express layer_pattern=\('global', 'local'\)"),
        (replace(SANDWICH, final_softcap=3.0), r"express final_softcap=3\.0"),
        (replace(SANDWICH, activation="gelu"), "express activation=gelu"),
        (replace(MODELS["gemma3"], embedding_scale=2.0), r"gemma3, which cannot express embedding_scale=2\.0"),
        (replace(MODELS["gpt2"], embed_dim=14), r"gpt2, which cannot express embed_dim=14 \(not num_heads"),
    ],
)
def test_what_llama_cpp_computes_otherwise_is_refused_by_name(config, message):
    with pytest.raises(ConfigError, match=message):
        architecture_of(config)


# --- The vocabulary ---


@pytest.mark.parametrize(("pattern", "known"), [("gpt2", "gpt-2"), ("cl100k", "dbrx"), ("o200k", "gpt-4o")])
def test_how_text_is_split_is_named_as_llama_cpp_names_it(pattern, known):
    content = huggingface_content(BPETokenizer({}, pattern=pattern))
    assert gguf_vocabulary(content, 257).pattern == known


def test_the_vocabulary_has_every_id_of_the_model():
    content = huggingface_content(BPETokenizer({(104, 101): 256}))
    found = gguf_vocabulary(content, 260)
    assert found.tokens[104:106] == ["h", "i"]
    assert found.tokens[256:] == ["he", "<|endoftext|>", "[UNUSED258]", "[UNUSED259]"]
    assert found.kinds[256:] == [NORMAL, CONTROL, UNUSED, UNUSED]
    assert found.merges == ["h e"]


def test_the_pattern_of_gpt_2_is_known_in_the_words_of_its_own_file():
    content = huggingface_content(BPETokenizer({}))
    content["pre_tokenizer"] = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    assert gguf_vocabulary(content, 257).pattern == "gpt-2"


@pytest.mark.parametrize(
    ("tokenizer", "message"),
    [
        (BPETokenizer({}, pattern="whole"), "has another pattern that splits text"),
        (BPETokenizer({}, normalization="NFC"), "has the normalizer NFC"),
        (CharTokenizer.train(["abc"]), "has a model of the type WordLevel"),
    ],
)
def test_a_tokenizer_that_llama_cpp_has_not_is_refused(tokenizer, message):
    with pytest.raises(DataError, match=message):
        gguf_vocabulary(huggingface_content(tokenizer), 300)


# --- The file ---


def read(path):
    return pytest.importorskip("gguf").GGUFReader(path)


def value(reader, name):
    return reader.fields[name].contents()


def test_the_file_holds_the_settings_the_vocabulary_and_the_weights(tmp_path):
    pytest.importorskip("gguf")
    checkpoint = saved(MODELS["gemma3"], tmp_path / "run")
    assert export_gguf(checkpoint, tmp_path / "model.gguf") == "gemma3"
    file = read(tmp_path / "model.gguf")
    expected = {"block_count": 4, "attention.head_count": 6, "attention.head_count_kv": 2, "rope.freq_base": 50.0}
    expected |= {"attention.key_length": 6, "attention.sliding_window": 4, "attention.sliding_window_pattern": 3}
    expected |= {"rope.freq_base_swa": 9.0, "context_length": 64, "feed_forward_length": 11, "embedding_length": 12}
    assert {name: value(file, f"gemma3.{name}") for name in expected} == expected
    end = TOKENIZER.end_of_text_id
    assert value(file, "tokenizer.ggml.bos_token_id") == value(file, "tokenizer.ggml.eos_token_id") == end
    assert value(file, "tokenizer.ggml.add_bos_token")
    assert value(file, "tokenizer.ggml.pre") == "dbrx"
    assert len(value(file, "tokenizer.ggml.tokens")) == TOKENIZER.vocab_size
    assert len(value(file, "tokenizer.ggml.merges")) == len(TOKENIZER.merges)
    tensors = {tensor.name: tensor.data for tensor in file.tensors}
    assert len(tensors) == len(checkpoint.weights)
    ours = checkpoint.weights
    np.testing.assert_array_equal(tensors["blk.3.ffn_gate.weight"], ours["blocks.3.feed_forward.gate.weight"])
    np.testing.assert_array_equal(tensors["blk.0.attn_q_norm.weight"], ours["blocks.0.attention.query_norm.weight"] + 1)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_matrices_have_the_number_format_asked_for_and_vectors_float32(dtype, tmp_path):
    pytest.importorskip("gguf")
    export_gguf(saved(MODELS["qwen3"], tmp_path / "run"), tmp_path / "model.gguf", dtype)
    name = {torch.float16: "F16", torch.bfloat16: "BF16"}[dtype]
    for tensor in read(tmp_path / "model.gguf").tensors:
        assert tensor.tensor_type.name == ("F32" if "norm" in tensor.name else name), tensor.name


def test_a_file_that_exists_is_left_alone(tmp_path):
    pytest.importorskip("gguf")
    (tmp_path / "model.gguf").write_text("mine")
    with pytest.raises(CheckpointError, match=r"model\.gguf exists already. Choose a new file, such as model-2\.gguf"):
        export_gguf(saved(LLAMA, tmp_path / "run"), tmp_path / "model.gguf")
    assert (tmp_path / "model.gguf").read_text() == "mine"


def test_without_the_package_the_error_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(WorkshopError, match=r"gguf is not installed\. Install it: pip install .*\[gguf\]"):
        export_gguf(saved(LLAMA, tmp_path / "run"), tmp_path / "model.gguf")


# --- llama.cpp ---


@pytest.mark.parametrize("name", MODELS)
def test_llama_cpp_gives_the_same_probabilities(name, tmp_path):
    """Its cache has 16 bits, and so has its table of GELU: the difference is that of 16 bits."""
    pytest.importorskip("gguf")
    llama = pytest.importorskip("gemini_workshop.benchmarks.llama")
    if not llama.is_installed():
        pytest.skip("no llama.cpp: pip install xllamacpp")
    export_gguf(saved(MODELS[name], tmp_path / "run"), tmp_path / "model.gguf")
    ours, tokenizer = load_pretrained(tmp_path / "run")
    engine = llama.LlamaCpp(tmp_path / "model.gguf")
    compared = 0
    for prompt in (STORY[:40], "the old cat 12345", "naïve!", STORY):
        ids = [tokenizer.end_of_text_id, *tokenizer.encode(prompt)]
        with torch.no_grad():
            expected = ours(torch.tensor([ids]))[0, -1].log_softmax(dim=-1)
        if int(expected.argmax()) == tokenizer.end_of_text_id:
            continue  # it shows no probabilities of the end
        found, num_tokens = engine.logprobs(prompt)
        assert num_tokens == len(ids)
        assert found.keys() == set(range(tokenizer.vocab_size))
        assert max(abs(found[i] - float(expected[i])) for i in found) < (0.2 if name == "gemma3" else 0.02)
        compared += 1
    assert compared


def test_the_command_writes_a_file_and_says_how_to_use_it(run, tmp_path):
    pytest.importorskip("gguf")
    result = run("export", "stories-small", str(tmp_path / "s.gguf"), "--format", "gguf", "--dtype", "float16")
    assert result.exit_code == 0, result.output
    assert "as gemma3 of llama.cpp" in result.output
    assert f"-m {(tmp_path / 's.gguf').as_posix()} " in result.output
    assert value(read(tmp_path / "s.gguf"), "general.license") == "apache-2.0"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("out", "--format", "gguf"), r"out does not end in \.gguf, .* Choose out\.gguf"),
        (("out.gguf", "--format", "gguf", "--family", "llama"), "--family llama is for transformers"),
    ],
)
def test_what_does_not_fit_a_gguf_file_is_refused(run, arguments, message):
    with pytest.raises(WorkshopError, match=message):
        raise run("export", "stories-small", *arguments).exception
