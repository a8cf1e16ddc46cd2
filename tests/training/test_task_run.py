"""Runs on tasks: the ordinary trainer, with images in its batches."""

import json

import pytest
import torch
from typer.testing import CliRunner

from gemini_workshop.authoring import publish
from gemini_workshop.authoring import task_card as cards
from gemini_workshop.checkpoint import find_checkpoint, load_pretrained
from gemini_workshop.cli.main import app
from gemini_workshop.errors import CheckpointError
from gemini_workshop.training import run as runs
from tests.training import few_tasks

CPU = torch.device("cpu")


def start(folder):
    return runs.start_run(folder, few_tasks.CONFIG, runs.TASKS, "all", CPU)


@pytest.fixture
def finished(tmp_path, monkeypatch):
    few_tasks.use(monkeypatch)
    run = start(tmp_path / "run")
    before = {name: weight.clone() for name, weight in run.state.model.state_dict().items()}
    runs.train_run(run)
    return run, before


def test_training_moves_the_weights_that_read_images(finished):
    run, before = finished
    after = run.state.model.state_dict()
    assert all(torch.isfinite(weight).all() for weight in after.values())
    assert not torch.equal(after["media_embedder.image.patch.weight"], before["media_embedder.image.patch.weight"])


def test_a_run_that_was_stopped_ends_with_the_same_weights(finished, tmp_path):
    stopped = start(tmp_path / "stopped")
    runs.train_run(stopped, minutes=0.0)
    assert 0 < stopped.state.step < 6
    resumed = runs.resume_run(stopped.folder, CPU)
    runs.train_run(resumed)
    run, _ = finished
    for name, weight in run.state.model.state_dict().items():
        assert torch.equal(resumed.state.model.state_dict()[name], weight), name


def test_its_abilities_are_measured_by_a_command(finished):
    run, _ = finished
    arguments = ["evaluate", "abilities", str(run.folder), "--task", "arithmetic", "--limit", "3", "--json"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert (result["kind"], result["scores"], result["settings"]) == ("abilities", {"arithmetic": 0.0}, {"limit": 3})
    assert result["details"]["arithmetic"]["asked"] == len(result["details"]["arithmetic"]["wrong"]) == 3


def test_right_answers_are_measured_at_each_checkpoint(finished, tmp_path):
    run, _ = finished
    picture = tmp_path / "curve.png"
    arguments = ["evaluate", "curve", str(run.folder), "--task", "digits", "--limit", "3", "--picture", str(picture)]
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert result["details"]["digits"]["tokens"] == [3 * 4 * 64, 6 * 4 * 64]
    assert result["details"]["digits"]["asked"] == 3
    assert picture.stat().st_size > 1000


@pytest.mark.parametrize(("task", "message"), [("arithmetic", "None of these tasks has a must"), (None, "needs two")])
def test_a_curve_needs_checkpoints_and_a_must(finished, tmp_path, task, message):
    run, _ = finished
    arguments = ["evaluate", "curve", str(run.folder if task else tmp_path), *(["--task", task] if task else [])]
    done = CliRunner().invoke(app, arguments)
    assert isinstance(done.exception, CheckpointError)
    assert message in str(done.exception)


def test_what_ships_carries_a_card_with_measured_answers(finished, tmp_path, monkeypatch):
    run, _ = finished
    monkeypatch.setattr(cards, "NUM_ASKED", 4)
    folder = tmp_path / "shipped" / "few"
    publish.publish(run.folder, folder, "gemini-workshop train --corpus tasks")
    card = (folder / "MODEL_CARD.md").read_text("utf-8")
    model, _ = load_pretrained(folder)
    for words in (
        "# few",
        f"{model.num_parameters():,} parameters",
        f"| digits | {run.text.weights['digits']:.0%} | name a digit",
        "`gemini-workshop train --corpus tasks`",
        "6 steps of 4 rows of 64 tokens: 1,536 tokens",
        "| arithmetic | 0.0% | ",
        "| 97% | 99% | neither | 4 |",
    ):
        assert words in card, words
    assert find_checkpoint(folder).config == few_tasks.CONFIG
