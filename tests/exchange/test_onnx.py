"""The graph for ONNX Runtime: equal logits and equal text at every length, and what it refuses."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from gemini_workshop.checkpoint import load_pretrained
from gemini_workshop.config import MediaConfig, MoEConfig
from gemini_workshop.data.tokenizers import prompt_ids
from gemini_workshop.errors import CheckpointError, ConfigError, WorkshopError
from gemini_workshop.exchange.onnx import CLOSE, export_onnx, run_onnx
from gemini_workshop.generation.plain import plain_generate
from gemini_workshop.generation.sampling import greedy
from tests.exchange.models import LLAMA, SANDWICH, TOKENIZER, saved

SMALL = replace(SANDWICH, num_layers=2, layer_pattern=("local", "global"), context_tokens=40)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A model with windows, its file, and a session of ONNX Runtime."""
    runtime = pytest.importorskip("onnxruntime")
    folder = tmp_path_factory.mktemp("onnx")
    saved(SMALL, folder / "model")
    # in a process of its own: the checks of types under pytest do not know sizes that are symbols
    command = [sys.executable, "-m", "gemini_workshop", "export", "model", "new/model.onnx", "--format", "onnx"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("Wrote new/model.onnx: "), done.stderr
    session = runtime.InferenceSession(folder / "new" / "model.onnx", providers=["CPUExecutionProvider"])
    return load_pretrained(folder / "model")[0], session


@pytest.mark.parametrize(("num_rows", "num_tokens"), [(1, 1), (2, 3), (3, 17), (1, 40)])
def test_logits_are_equal_at_every_length(exported, num_rows, num_tokens):
    model, session = exported
    ids = torch.randint(TOKENIZER.vocab_size, (num_rows, num_tokens), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = model(ids).numpy()
    found = run_onnx(session, ids.numpy())
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() < CLOSE


@pytest.mark.parametrize("prompt", ["", "the", "the little dog ran to the old tree"])
def test_greedy_text_is_equal(exported, prompt):
    model, session = exported
    ids = prompt_ids(TOKENIZER, prompt)
    expected = plain_generate(model, ids, greedy, max_new_tokens=12)
    for _ in range(12):
        ids.append(int(run_onnx(session, np.array([ids]))[0, -1].argmax()))
    assert ids[-12:] == expected


def test_the_file_says_how_a_text_begins_and_ends(exported):
    _, session = exported
    facts = session.get_modelmeta().custom_metadata_map
    assert json.loads(facts["start_ids"]) == json.loads(facts["stop_ids"]) == [TOKENIZER.end_of_text_id]
    assert facts["context_tokens"] == "40"


@pytest.mark.parametrize(("config", "part"), [
    (replace(LLAMA, moe=MoEConfig(num_experts=4, experts_per_token=2, expert_dim=5)), "moe"),
    (replace(LLAMA, media=MediaConfig(image_token_id=3)), "media"),
])  # fmt: skip
def test_what_the_graph_cannot_express_is_refused(tmp_path, config, part):
    pytest.importorskip("onnxruntime")
    with pytest.raises(ConfigError, match=f"cannot express {part}: "):
        export_onnx(saved(config, tmp_path / "model"), tmp_path / "model.onnx")


def test_a_file_that_is_there_stays(tmp_path):
    pytest.importorskip("onnxruntime")
    (tmp_path / "a.onnx").write_text("mine")
    with pytest.raises(CheckpointError, match=r"a\.onnx exists already. Choose a new file, such as a-2\.onnx"):
        export_onnx(saved(LLAMA, tmp_path / "model"), tmp_path / "a.onnx")
    assert (tmp_path / "a.onnx").read_text() == "mine"


def test_a_missing_library_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setitem(sys.modules, "onnx", sys)
    with pytest.raises(WorkshopError, match=r'onnxruntime is not installed. Install it: pip install ".*\[onnx\]"'):
        export_onnx(saved(LLAMA, tmp_path / "model"), tmp_path / "a.onnx")
