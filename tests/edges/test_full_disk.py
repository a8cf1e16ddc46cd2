"""A disk without room: one clear error that names the file, and nothing half-written stays.

A limit on the length of files takes the place of the full disk: the system then cuts a write short as a full disk does.
"""

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from gemini_workshop.checkpoint import find_checkpoint, save_model
from gemini_workshop.cli.clean import _write_splits
from gemini_workshop.cli.main import in_words
from gemini_workshop.data.batches.sharding import write_shards
from gemini_workshop.data.conversations.folder import write_conversations
from gemini_workshop.data.conversations.reading import conversation_of
from gemini_workshop.data.preprocessing.pipeline import CleanDocument
from gemini_workshop.data.tokenizers import CharTokenizer
from gemini_workshop.exchange.gguf import export_gguf
from gemini_workshop.exchange.huggingface import export_huggingface
from gemini_workshop.exercises.core import my_gemini, progress
from gemini_workshop.files import append_whole, opened_atomically, whole_folder, write_atomically
from gemini_workshop.training.watching.callbacks import History, Samples, StepMetrics, read_history

resource = pytest.importorskip("resource")
METRICS = StepMetrics(loss_nats=1.0, gradient_norm=1.0, learning_rate=1.0, validation_nats=2.0)
ANSWER = {"role": "assistant", "content": "It." * 300}


@contextmanager
def room_for_bytes(number):
    """While this lasts, no file grows beyond this length."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (number, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture(scope="module")
def shipped():
    return find_checkpoint("stories-small")


def conversations(folder):
    talks = [conversation_of({"messages": [{"role": "user", "content": str(i)}, ANSWER]}, "") for i in range(40)]
    return write_conversations(folder, talks, CharTokenizer.train(["It."], 5), "gemma", 0.5)


def splits(path):
    _write_splits((CleanDocument("x" * 90, split, "0" * 64) for split in ("test", "validation", *["train"] * 9)), path)


def folder_with_numbers(path):
    with whole_folder(path) as folder:
        np.zeros(1000).tofile(folder / "numbers")


WRITERS = {
    "a file": lambda path, _: write_atomically(path, bytes(900)),
    "a checkpoint": lambda path, shipped: save_model(path, {"a": torch.ones(900)}, shipped.config, shipped.tokenizer),
    "a folder for transformers": lambda path, shipped: export_huggingface(shipped, path),
    "a file for llama.cpp": lambda path, shipped: export_gguf(shipped, path),
    "numbers by numpy": lambda path, _: folder_with_numbers(path),
    "shards": lambda path, _: write_shards(["Once " * 200], CharTokenizer.train(["Once "], 9), path),
    "conversations": lambda path, _: conversations(path),
    "clean splits": lambda path, _: splits(path),
    "a kept answer": lambda path, _: my_gemini.keep("02.1", "softmax", "#" * 900),
}  # fmt: skip
"""What writes to a path, given a checkpoint."""


@pytest.mark.parametrize("name", WRITERS)
def test_the_error_names_what_was_written_and_nothing_of_it_stays(name, tmp_path, shipped, monkeypatch):
    monkeypatch.setenv("GEMINI_WORKSHOP_HOME", str(tmp_path))
    place = tmp_path / ("my_gemini" if name == "a kept answer" else "new")
    with room_for_bytes(700), pytest.raises(OSError, match=str(place)) as caught:
        WRITERS[name](place, shipped)
    assert in_words(caught.value).startswith(str(place))
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} <= {"tokenizer.json"}  # of shards, and whole
    WRITERS[name](place, shipped)  # with room again
    assert place.exists()


@pytest.mark.parametrize("whole", [opened_atomically, whole_folder])
def test_what_was_there_before_stays(tmp_path, whole):
    path = tmp_path / "old"
    with whole(path) as new:
        (new / "a").write_bytes(b"old") if isinstance(new, Path) else new.write(b"old")
    with room_for_bytes(700), pytest.raises(OSError, match="old"), whole(path) as new:
        (new / "a").write_bytes(bytes(900)) if isinstance(new, Path) else new.write(bytes(900))
    assert ((path / "a") if path.is_dir() else path).read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_an_error_of_reading_keeps_its_own_name(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing"), opened_atomically(tmp_path / "new") as file:
        file.write((tmp_path / "missing").read_bytes())


def test_a_line_is_added_whole_or_not_at_all(tmp_path):
    append_whole(tmp_path / "log", b"one\n")
    with room_for_bytes(7), pytest.raises(OSError, match="log"):
        append_whole(tmp_path / "log", b"twenty\n")
    assert (tmp_path / "log").read_bytes() == b"one\n"


def test_a_history_and_its_samples_end_with_a_whole_entry(tmp_path):
    history = History(tmp_path / "history.jsonl")
    samples = Samples(lambda: "Once", tmp_path / "samples.txt", lambda _: None)
    for watching in (history, samples):
        watching.stepped(1, METRICS)
        content = watching.path.read_bytes()
        with room_for_bytes(len(content) + 9), pytest.raises(OSError, match=watching.path.name):
            watching.stepped(2, METRICS)
        assert watching.path.read_bytes() == content
    assert [entry["step"] for entry in read_history(history.path)] == [1]


def test_progress_stays_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setenv("GEMINI_WORKSHOP_HOME", str(tmp_path))
    progress.note_hint("02.1")
    content = (tmp_path / "progress.json").read_bytes()
    with room_for_bytes(20), pytest.raises(OSError, match=r"progress\.json"):
        progress.note_hint("02.2")
    assert (tmp_path / "progress.json").read_bytes() == content


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
@pytest.mark.parametrize("command", [["--help"], ["doctor", "--json"]])
def test_what_cannot_be_printed_is_told_in_a_sentence(command):
    with open("/dev/full", "w") as full:
        run = subprocess.run(
            [sys.executable, "-m", "gemini_workshop", *command], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert run.returncode == 2
    assert run.stderr.startswith("What is printed, or a file: No space left on device.")
    assert "Traceback" not in run.stderr
    assert "ignored" not in run.stderr
