"""Every command that takes a checkpoint takes a folder for transformers."""

import json
import shutil
from dataclasses import replace

import pytest
import torch

from gemini_workshop.checkpoint import find_checkpoint, load_pretrained
from gemini_workshop.errors import CheckpointError, DataError
from gemini_workshop.exchange.huggingface import export_huggingface
from gemini_workshop.models.families import load_huggingface
from tests.cli.conftest import run  # noqa: F401
from tests.exchange.models import LLAMA, STORY, TOKENIZER, saved


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small model for transformers."""
    place = tmp_path_factory.mktemp("published")
    export_huggingface(saved(replace(LLAMA, tied_head=False), place / "own"), place / "published")
    return place / "published"


def test_the_model_and_its_tokenizer_are_those_of_the_files(folder):
    model, tokenizer = load_pretrained(folder)
    assert tokenizer.encode(STORY) == TOKENIZER.encode(STORY)
    ids = torch.tensor([TOKENIZER.encode(STORY)])
    with torch.no_grad():
        torch.testing.assert_close(model(ids), load_huggingface(folder)(ids), rtol=0, atol=1e-5)


ONE_STEP = [f"--set={each}" for each in ("steps=1", "warmup_steps=0", "eval_batches=1", "batch_size=1")]
COMMANDS = {
    "generate": ("generate", "the little", "--checkpoint", "FOLDER", "--max-new-tokens", "3"),
    "generate beams": ("generate", "the little", "--checkpoint", "FOLDER", "--max-new-tokens", "3", "--beams", "2"),
    "evaluate": ("evaluate", "FOLDER", "--corpus", "TEXT"),
    "export": ("export", "FOLDER", "OUT"),
    "export to gguf": ("export", "FOLDER", "OUT.gguf", "--format", "gguf"),
    "train --from": ("train", "--from", "FOLDER", "--corpus", "TEXT", "--out", "OUT", "--device", "cpu", *ONE_STEP),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_take_the_folder(command, folder, run, tmp_path):  # noqa: F811
    if command == "export to gguf":
        pytest.importorskip("gguf")
    (tmp_path / "text.txt").write_text("<|endoftext|>".join(f"{i} {STORY}" for i in range(200)), "utf-8")
    names = {"FOLDER": str(folder), "TEXT": str(tmp_path / "text.txt"), "OUT": str(tmp_path / "out")}
    names["OUT.gguf"] = str(tmp_path / "out.gguf")
    result = run(*(names.get(part, part) for part in COMMANDS[command]))
    assert result.exit_code == 0, (result.output, result.exception)
    if command == "train --from":
        _, tokenizer = load_pretrained(tmp_path / "out")
        assert tokenizer.encode(STORY) == TOKENIZER.encode(STORY)
    if command == "export":
        for name in ("tokenizer.json", "config.json", "generation_config.json", "model.safetensors"):
            assert (tmp_path / "out" / name).read_bytes() == (folder / name).read_bytes(), name


def test_a_model_in_several_files_is_read(folder, tmp_path):
    from gemini_workshop.models.families import save_huggingface

    save_huggingface(load_huggingface(folder), tmp_path / "shards", max_shard_bytes=2000)
    shutil.copy(folder / "tokenizer.json", tmp_path / "shards")
    values = json.loads((tmp_path / "shards" / "config.json").read_text("utf-8"))
    values["eos_token_id"] = TOKENIZER.end_of_text_id
    (tmp_path / "shards" / "config.json").write_text(json.dumps(values), "utf-8")
    found, expected = find_checkpoint(tmp_path / "shards"), find_checkpoint(folder)
    assert all(torch.equal(found.weights[name], expected.weights[name]) for name in expected.weights)
    assert found.config.model == expected.config.model


def test_what_is_missing_from_the_folder_is_named(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / "tokenizer.json").unlink()
    with pytest.raises(DataError, match=r"no tokenizer\.json in"):
        load_pretrained(copy)
    (copy / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="There are no weights in"):
        load_pretrained(copy)
