"""The command finetune, and what can be done with the run that it leaves."""

import json
from dataclasses import replace

import pytest
import torch

from gemini_workshop.checkpoint import find_checkpoint, load_newest, load_pretrained, save_model
from gemini_workshop.cli.main import app
from gemini_workshop.config import load_config
from gemini_workshop.data.tokenizers import BPETokenizer
from gemini_workshop.errors import DataError, TrainingError, WorkshopError
from gemini_workshop.models.lora import has_lora
from gemini_workshop.models.transformer import Transformer
from tests import tiny

typer_testing = pytest.importorskip("typer.testing")
SHORT = [
    *("steps=4", "warmup_steps=1", "batch_size=2", "row_tokens=40", "eval_every_steps=2", "eval_batches=1"),
    *("checkpoint_every_steps=2", "validation_fraction=0.3"),
]


@pytest.fixture
def model(tmp_path):
    tokenizer = BPETokenizer.train(["hello there, who are you?"], 265)
    config = load_config("tiny")
    config = replace(config, model=replace(tiny.MODEL, vocab_size=265, context_tokens=48))
    save_model(tmp_path / "model", Transformer(config.model).state_dict(), config, tokenizer)
    return tmp_path / "model"


@pytest.fixture
def talks(tmp_path):
    path = tmp_path / "talks.jsonl"
    path.write_text("\n".join(json.dumps({"prompt": f"{i}?", "response": f"{i}!"}) for i in range(30)))
    return path


@pytest.fixture
def finetune(tmp_path, model, talks):
    def call(method, *more, settings=()):
        chosen = [part for assignment in (*SHORT, *settings) for part in ("--set", assignment)]
        given = ["--from", str(model), "--data", str(talks), "--out", str(tmp_path / "run"), "--device", "cpu"]
        result = typer_testing.CliRunner().invoke(app, ["finetune", method, *given, *chosen, *more])
        if isinstance(result.exception, WorkshopError):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.output

    return call


def test_a_model_learns_from_conversations_and_can_be_talked_to(tmp_path, finetune, model):
    output = finetune("sft")
    assert "conversations to train on" in output
    assert f"gemini-workshop chat {tmp_path / 'run'}" in output
    assert (tmp_path / "run/loss.png").exists()
    trained, tokenizer = load_pretrained(tmp_path / "run")
    assert tokenizer.special_tokens["<end_of_turn>"] == 266
    assert trained.config.vocab_size == 267
    before, _ = load_pretrained(model)
    assert not torch.equal(trained.blocks[0].attention.query.weight, before.blocks[0].attention.query.weight)


def test_lora_leaves_the_model_as_it_was_and_trains_beside_it(tmp_path, finetune, model):
    finetune("lora", settings=["lora_rank=2"])
    saved, used = load_newest(tmp_path / "run/checkpoints"), find_checkpoint(tmp_path / "run")
    before = find_checkpoint(model).weights
    name = "blocks.0.attention.query.weight"
    assert has_lora(saved.weights)
    assert torch.equal(saved.weights[name], before[name])
    assert not has_lora(used.weights)
    assert not torch.equal(used.weights[name], before[name])
    assert used.config.training.lora_rank is None


@pytest.mark.parametrize("method", ["sft", "lora"])
def test_a_run_that_was_stopped_ends_as_one_that_was_not(tmp_path, finetune, method):
    settings = ["lora_rank=2"] if method == "lora" else []
    finetune(method, settings=settings)
    whole = load_newest(tmp_path / "run/checkpoints").weights
    (tmp_path / "run").rename(tmp_path / "whole")
    finetune(method, "--minutes", "0", settings=settings)
    assert load_newest(tmp_path / "run/checkpoints").step < 4
    result = typer_testing.CliRunner().invoke(app, ["finetune", method, "--resume", "--out", str(tmp_path / "run")])
    assert result.exit_code == 0, result.output
    resumed = load_newest(tmp_path / "run/checkpoints").weights
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


def test_a_folder_with_a_run_is_refused_and_keeps_its_conversations(finetune, tmp_path):
    finetune("sft")
    kept = {path: path.read_bytes() for path in (tmp_path / "run/conversations").iterdir()}
    other = tmp_path / "other.jsonl"
    other.write_text("\n".join(json.dumps({"prompt": f"{i}, too?", "response": "no"}) for i in range(30)))
    with pytest.raises(TrainingError, match="already contains a run"):
        finetune("sft", "--data", str(other))
    assert {path: path.read_bytes() for path in kept} == kept


def test_what_cannot_be_taught_is_refused(finetune, tmp_path):
    with pytest.raises(DataError, match="There is no template 'llama'"):
        finetune("sft", "--template", "llama")
    with pytest.raises(DataError, match="cannot be read: No such file"):
        finetune("sft", "--data", str(tmp_path / "nothing.jsonl"))
    with pytest.raises(TrainingError, match="--resume reuses the settings"):
        finetune("sft", "--resume")
