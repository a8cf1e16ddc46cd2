"""The commands train and generate, from the command line to the files they leave."""

import errno
import json
import os
import re
import subprocess
import sys
from dataclasses import replace

import pytest

from gemini_workshop.config import load_config
from gemini_workshop.data import corpora
from gemini_workshop.data.batches.sharding import write_shards
from gemini_workshop.data.tokenizers import BPETokenizer
from gemini_workshop.errors import CheckpointError, ConfigError, DataError, TrainingError, WorkshopError
from gemini_workshop.training import run as runs
from tests.training import stories

typer_testing = pytest.importorskip("typer.testing")
SMALL = [
    *("embed_dim=10", "num_layers=2", "ffn_dim=11", "vocab_size=270", "context_tokens=16", "warmup_steps=1"),
    *("batch_size=3", "eval_batches=2", "eval_every_steps=2", "checkpoint_every_steps=3", "validation_fraction=0.3"),
]


@pytest.fixture
def command(monkeypatch):
    """Call the program in this process, on the corpus of the training tests."""
    from gemini_workshop.cli.main import app

    monkeypatch.setattr(corpora, "stream_documents", lambda *_: iter(stories.documents()))
    runner = typer_testing.CliRunner()

    def command(*arguments):
        result = runner.invoke(app, [str(argument) for argument in arguments])
        if isinstance(result.exception, WorkshopError):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.output

    return command


def settings(*more):
    return [part for assignment in (*SMALL, *more) for part in ("--set", assignment)]


@pytest.fixture
def run(command, tmp_path):
    folder = tmp_path / "run"
    return folder, command("train", "--device", "cpu", *settings("steps=5"), "--out", folder)


def test_training_leaves_a_run_with_everything_in_it(run):
    folder, _ = run
    names = {path.name for path in folder.iterdir()}
    assert names == {
        *(
            "config.yaml",
            "run.json",
            "tokenizer.json",
            "shards",
            "checkpoints",
            "history.jsonl",
            "resources.jsonl",
            "loss.png",
            "samples.txt",
        ),
    }
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == ["step-000004", "step-000005"]


def write_text(folder, kind):
    """The documents of the tests as a file of one's own, or as what `data tokenize` writes."""
    documents = stories.documents()
    path = folder / f"own.{kind}"
    if kind == "shards":
        tokenizer = BPETokenizer.train(documents, 270)
        write_shards(documents[:40], tokenizer, path / "train")
        write_shards(documents[40:], tokenizer, path / "validation")
    elif kind == "jsonl":
        path.write_text("".join(json.dumps({"text": document}) + "\n" for document in documents), "utf-8")
    else:
        path.write_text("<|endoftext|>".join(documents), "utf-8")
    return path


@pytest.mark.parametrize(("kind", "rows"), [("txt", "windows"), ("jsonl", "packed"), ("shards", "documents")])
def test_ones_own_text_is_trained_on_in_every_layout_and_resumed_without_it(command, tmp_path, monkeypatch, kind, rows):
    text, more = write_text(tmp_path, kind), settings("steps=4", f"rows={rows}", "accumulation_steps=3")
    monkeypatch.setattr(corpora, "stream_documents", lambda *_: pytest.fail("no corpus is asked for"))
    for out, minutes in (("whole", ()), ("stopped", ("--minutes", "0"))):
        command("train", "--device", "cpu", "--corpus", text, *more, "--out", tmp_path / out, *minutes)
    if kind != "shards":
        text.unlink()
    command("train", "--device", "cpu", "--out", tmp_path / "stopped", "--resume")
    ours, theirs = (
        (tmp_path / out / "checkpoints" / "step-000004" / "model.safetensors").read_bytes()
        for out in ("stopped", "whole")
    )
    assert ours == theirs


def test_training_shows_the_floors_and_ends_with_what_to_do_next(run):
    folder, output = run
    assert "Baselines (nats per token): uniform 5.60, unigram" in output
    assert output.rstrip().endswith(f'gemini-workshop generate "Once upon a time" --checkpoint {folder}')


def test_samples_show_the_step_and_the_loss(run):
    folder, output = run
    text = (folder / "samples.txt").read_text("utf-8")
    assert text.count("nats per token:\nOnce upon a time") == 3  # at steps 2, 4 and 5
    assert "step 4, validation" in output


def test_a_run_resumes_from_the_command_line(command, run, tmp_path):
    undisturbed, _ = run
    folder = tmp_path / "stopped"
    first = command("train", "--device", "cpu", *settings("steps=5"), "--out", folder, "--minutes", "0")
    assert "Saved at step 1, out of time after 0 minutes" in first
    assert f"gemini-workshop train --out {folder} --resume" in first
    command("train", "--device", "cpu", "--out", folder, "--resume")
    ours, theirs = (
        (place / "checkpoints" / "step-000005" / "model.safetensors").read_bytes() for place in (folder, undisturbed)
    )
    assert ours == theirs


def test_early_stopping_is_reported_with_the_best_checkpoint(command, tmp_path):
    more = settings("steps=50", "optimizer=adamw", "learning_rate=1e-30", "eval_every_steps=2", "patience_evals=2")
    output = command("train", "--device", "cpu", *more, "--out", tmp_path / "run")
    stopped = re.search(r"Stopped at step (\d+): 2 measurements in a row were not below 5\.\d+ nats per token", output)
    best = f"step-{int(stopped[1]) - 4:06d}"
    assert output.rstrip().endswith(f"--checkpoint {tmp_path / 'run' / 'checkpoints' / best}")


def test_without_a_terminal_the_run_is_shown_in_lines(run):
    _, output = run
    assert "step 1/5  loss 5.6" in output
    assert "MFU" in output
    assert "Matrix products in fp32; a large one reaches" in output


def test_the_precision_is_measured_once_shown_and_kept(command, tmp_path, monkeypatch):
    from gemini_workshop.training.precision import MeasuredPrecision

    measured = MeasuredPrecision(seconds={"fp32": 0.02, "bf16": 0.01})
    monkeypatch.setattr(runs, "measure_precision", lambda *_: measured)
    more = settings("steps=2", "precision=auto")
    output = command("train", "--device", "cpu", *more, "--out", tmp_path / "run", "--minutes", "0")
    assert "Matrix products in bf16 (10.0 ms per batch; fp32 20.0 ms); a large one" in output
    assert "precision: bf16" in (tmp_path / "run" / "config.yaml").read_text("utf-8")
    monkeypatch.delattr(runs, "measure_precision")  # not measured again
    assert "Matrix products in bf16;" in command("train", "--device", "cpu", "--out", tmp_path / "run", "--resume")


def test_a_full_disk_ends_the_run_with_one_message_and_the_step_that_is_saved(command, tmp_path, monkeypatch):
    from gemini_workshop.training.watching.callbacks import History

    real = History.stepped

    def fill(history, step, metrics):
        if step == 5:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(history, step, metrics)

    monkeypatch.setattr(History, "stepped", fill)
    with pytest.raises(
        TrainingError, match=r"run in .* could not be written: No space left.*Saved is step-000004.*--resume"
    ):
        command("train", "--device", "cpu", *settings("steps=6"), "--out", tmp_path / "run")
    monkeypatch.setattr(History, "stepped", real)
    command("train", "--device", "cpu", "--out", tmp_path / "run", "--resume")


def test_a_run_can_be_talked_to(command, run):
    folder, _ = run
    output = command("generate", "The cat", "--checkpoint", folder, "--max-new-tokens", 5, "--samples", 2)
    assert output.startswith("The cat")
    assert output.count("The cat") >= 2
    assert "\n---\n" in output


def test_a_seed_writes_the_same_text_again(command):
    arguments = ["generate", "The cat", "--max-new-tokens", 12]
    assert command(*arguments, "--seed", 3) == command(*arguments, "--seed", 3)


def test_temperature_zero_needs_no_seed(command):
    arguments = ["generate", "The cat", "--max-new-tokens", 12, "--temperature", 0]
    assert command(*arguments, "--seed", 3) == command(*arguments, "--seed", 4)


def test_settings_cannot_be_changed_on_the_way(command, run):
    folder, _ = run
    with pytest.raises(TrainingError, match="Remove --set steps=9"):
        command("train", "--out", folder, "--resume", "--set", "steps=9")


def test_a_run_begins_with_a_model_and_its_settings(command, run, tmp_path):
    folder, _ = run
    command("train", "--device", "cpu", "--from", folder, "--set", "steps=7", "--out", tmp_path / "more")
    before, after = load_config(folder / "config.yaml"), load_config(tmp_path / "more" / "config.yaml")
    assert after == replace(before, training=replace(before.training, steps=7))
    anew, continued = (
        json.loads((path / "history.jsonl").read_text().splitlines()[0])["loss_nats"]
        for path in (folder, tmp_path / "more")
    )
    assert continued < anew - 0.1


def test_a_run_that_resumes_takes_no_other_weights(command, run):
    folder, _ = run
    with pytest.raises(TrainingError, match="Remove --from stories-small"):
        command("train", "--out", folder, "--resume", "--from", "stories-small")


def test_resuming_nothing_is_refused(command, tmp_path):
    with pytest.raises(CheckpointError, match="There is no run in"):
        command("train", "--out", tmp_path, "--resume")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["--preset", "tyni"], ConfigError, "no preset 'tyni'.*'tiny'"),
        (["--set", "stepz=5"], ConfigError, "'stepz'.*'steps'"),
        (["--set", "optimizer=adamm"], ConfigError, "optimizer='adamm'.*'adamw'"),
        (["--track", "tensorbord"], TrainingError, "no tracker 'tensorbord'"),
        (["--set", "steps=0"], ConfigError, "steps=0 is not positive"),
        (["--device", "abacus"], ConfigError, "device='abacus'"),
    ],
)
def test_a_slip_on_the_command_line_is_answered_by_its_value(command, tmp_path, arguments, error, message):
    with pytest.raises(error, match=message):
        command("train", "--out", tmp_path / "run", *arguments)
    assert not (tmp_path / "run").exists()


def test_an_unknown_corpus_leaves_no_folder_behind(monkeypatch, tmp_path, command):
    monkeypatch.undo()
    with pytest.raises(DataError, match=r"no corpus 'tinystorys'.*'tinystories'"):
        command("train", "--corpus", "tinystorys", "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["train", "generate"])
def test_help_shows_examples_that_can_be_copied(command, name):
    """Each stands on a line of its own, unbroken."""
    from gemini_workshop.cli import generate, train

    documented = {"train": train.train, "generate": generate.generate}[name].__doc__.splitlines()
    examples = [line.strip() for line in documented if line.strip().startswith("gemini-workshop ")]
    assert len(examples) >= 3
    assert set(examples) <= {line.strip() for line in command(name, "--help").splitlines()}


def test_an_error_is_one_message_and_no_traceback():
    process = subprocess.run(
        [sys.executable, "-c", "from gemini_workshop.cli.main import main; main()", "generate", "--checkpoint", "x"],
        capture_output=True,
        text=True,
        env=os.environ,
    )
    assert process.returncode == 2
    assert process.stderr.startswith("There is no checkpoint 'x'.")
    assert "Traceback" not in process.stderr
