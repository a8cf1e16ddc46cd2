import errno
import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, save

from gemini_workshop import checkpoint, files
from gemini_workshop.checkpoint import (
    checkpoint_paths,
    load_checkpoint,
    load_newest,
    load_pretrained,
    restore_weights,
    save_model,
    write_sums,
)
from gemini_workshop.data.tokenizers import BPETokenizer
from gemini_workshop.errors import CheckpointError
from gemini_workshop.files import flush
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.training.objective import NextTokenPrediction
from gemini_workshop.training.resume import best_checkpoint, restore_training, save_checkpoint
from gemini_workshop.training.state import TrainingState
from tests.training import stories

CONFIG = stories.CONFIG
TOKENIZER = BPETokenizer.train(stories.documents(), CONFIG.model.vocab_size)


@pytest.fixture
def model():
    return Transformer(CONFIG.model, torch.Generator().manual_seed(0))


def begin(model):
    return TrainingState.begin(NextTokenPrediction(model, CONFIG.training))


@pytest.fixture
def state(model):
    state = begin(model)
    for weight in model.parameters():
        weight.grad = torch.randn(weight.shape, generator=torch.Generator().manual_seed(1))
    state.optimizer.step()
    return state


@pytest.fixture
def keep(tmp_path, state):
    def keep(step, nats=None, **more):
        metrics = {"loss_nats": step / 10}
        if nats is not None:
            metrics |= {"validation_nats": nats, "validation_step": step}
        state.step = step
        return save_checkpoint(tmp_path, state, metrics=metrics, config=CONFIG, tokenizer=TOKENIZER, **more)

    return keep


def test_what_is_saved_comes_back(model, state, keep):
    state.patience.best, state.patience.since = 2.5, 3
    checkpoint = load_checkpoint(keep(7))
    assert (checkpoint.step, checkpoint.metrics, checkpoint.config) == (7, {"loss_nats": 0.7}, CONFIG)
    assert checkpoint.tokenizer.encode("The cat saw") == TOKENIZER.encode("The cat saw")
    other = Transformer(CONFIG.model)
    restore_weights(other, checkpoint)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))
    restored = begin(other)
    restore_training(restored, checkpoint)
    assert (restored.step, restored.patience.best, restored.patience.since) == (7, 2.5, 3)
    for ours, theirs in zip(model.parameters(), other.parameters(), strict=True):
        one, two = state.optimizer.state[ours], restored.optimizer.state[theirs]
        assert one.keys() == two.keys() == {"step", "exp_avg", "exp_avg_sq"}
        assert all(torch.equal(one[key], two[key]) for key in two)


def test_the_newest_checkpoints_are_kept(tmp_path, keep):
    for step in (90, 100, 200_000, 1_000_000):
        keep(step, keep=2)
    assert [load_checkpoint(path).step for path in checkpoint_paths(tmp_path)] == [1_000_000, 200_000]


def test_the_best_checkpoint_is_kept_besides_the_newest(tmp_path, keep):
    for step, nats in enumerate([4.0, 3.0, 5.0, 4.5, 4.4], start=1):
        keep(step, keep=2, nats=nats)
    assert [load_checkpoint(path).step for path in checkpoint_paths(tmp_path)] == [5, 4, 2]
    assert best_checkpoint(tmp_path).name == "step-000002"
    keep(6, keep=2, nats=2.0)
    assert [load_checkpoint(path).step for path in checkpoint_paths(tmp_path)] == [6, 5]


def test_a_checkpoint_is_not_the_best_by_a_measurement_of_an_earlier_step(tmp_path, keep):
    keep(1)
    assert best_checkpoint(tmp_path) is None
    keep(2, nats=3.0)
    save = {"step": 3, "metrics": {"validation_nats": 1.0, "validation_step": 2}}
    (keep(3) / "state.json").write_text(json.dumps(save))
    assert best_checkpoint(tmp_path).name == "step-000002"


def test_a_run_that_went_back_to_an_earlier_checkpoint_drops_the_damaged_ones_ahead(tmp_path, keep):
    """Otherwise they would count as the newest, and push out the good ones."""
    for step in (1, 5, 7):
        keep(step, keep=9)
    keep(2, keep=1)
    assert [path.name for path in checkpoint_paths(tmp_path)] == ["step-000002"]


OPERATIONS = ["mkdir", "write_bytes", "write_text", "rename"]


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("time", range(3))
def test_a_save_that_ends_at_any_operation_leaves_a_newest_checkpoint_that_is_good(
    tmp_path, keep, monkeypatch, operation, time
):
    keep(1)
    left, real = [time], getattr(Path, operation)

    def die(*arguments, **options):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt  # nothing in the package catches it
        return real(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, operation, die)
        try:
            keep(2)
        except KeyboardInterrupt:
            assert load_newest(tmp_path).step == 1
        else:
            assert left[0] >= 0
    keep(3)
    assert load_newest(tmp_path).step == 3
    assert not list(tmp_path.glob(".*"))


def test_a_full_disk_is_named_and_costs_neither_the_last_checkpoint_nor_the_room_left(tmp_path, keep, monkeypatch):
    keep(1)
    real = Path.write_bytes

    def fill(path, content):
        real(path, content[: len(content) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", fill)
    with pytest.raises(CheckpointError, match=r"step 2 cannot be written to .*: No space left on device.*--out FOLDER"):
        keep(2)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000001"]
    assert load_newest(tmp_path).step == 1


def test_a_write_that_fails_leaves_the_old_checkpoints_and_nothing_else(tmp_path, keep, monkeypatch):
    keep(1)
    monkeypatch.setattr(checkpoint, "write_sums", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        keep(2)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000001"]
    assert load_newest(tmp_path).step == 1


def test_what_a_kill_in_the_middle_of_a_save_leaves_is_not_read_and_removed_by_the_next_save(tmp_path, keep):
    keep(1).rename(tmp_path / ".step-000002.123.tmp")
    assert checkpoint_paths(tmp_path) == []
    keep(3)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000003"]


def test_everything_is_on_the_disk_before_the_name_is_given(keep, monkeypatch):
    flushed = []
    monkeypatch.setattr(files, "flush", lambda path: (flushed.append(path.name), flush(path)))
    path = keep(1)
    names = {file.name for file in path.iterdir()}
    assert len(names) == 6
    assert names <= set(flushed)
    assert flushed[-1] == path.parent.name


@pytest.mark.parametrize(
    "name", ["model.safetensors", "training.safetensors", "state.json", "config.yaml", "tokenizer.json"]
)
@pytest.mark.parametrize("damage", ["changed", "cut", "gone"])
def test_damage_to_any_file_is_noticed_by_its_name(keep, name, damage):
    path = keep(1) / name
    content = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(content[:-1] if damage == "cut" else bytes([content[0] ^ 1]) + content[1:])
    with pytest.raises(CheckpointError, match=rf"step-000001 is damaged: .*{name}"):
        load_checkpoint(path.parent)


@pytest.mark.parametrize("sums", ["", "no sums at all\n"])
def test_an_empty_or_strange_list_of_sums_is_damage(keep, sums):
    path = keep(1)
    (path / "SHA256SUMS").write_text(sums)
    with pytest.raises(CheckpointError, match="is damaged"):
        load_checkpoint(path)


def test_the_list_of_sums_is_what_sha256sum_reads(keep):
    lines = (keep(1) / "SHA256SUMS").read_text().splitlines()
    assert all(len(digest) == 64 and name for digest, name in (line.split("  ") for line in lines))


def test_state_that_lacks_the_step_is_refused(keep):
    path = keep(1)
    (path / "state.json").write_text(json.dumps({"metrics": {}}))
    write_sums(path)
    with pytest.raises(CheckpointError, match="cannot be read: 'step'"):
        load_checkpoint(path)


def test_weights_of_another_shape_are_listed_by_name(model, keep):
    path = keep(1)
    weights = load((path / "model.safetensors").read_bytes())
    del weights["blocks.1.attention.key.weight"]
    weights["extra"] = torch.ones(2)
    weights["norm.weight"] = torch.ones(3)
    (path / "model.safetensors").write_bytes(save(weights))
    write_sums(path)
    with pytest.raises(CheckpointError) as caught:
        restore_weights(model, load_checkpoint(path))
    for part in (
        "blocks.1.attention.key.weight is missing, not (8, 10)",
        "extra is (2,), not wanted",
        "norm.weight is (3,), not (10,)",
    ):
        assert part in str(caught.value)


def test_a_folder_that_cannot_be_written_to_is_named_with_the_step(tmp_path, state):
    blocked = tmp_path / "file"
    blocked.write_text("")
    state.step = 5
    with pytest.raises(CheckpointError, match=r"of step 5 cannot be written to .*file.*: .*--out FOLDER"):
        save_checkpoint(blocked / "run", state, metrics={}, config=CONFIG, tokenizer=TOKENIZER)


@pytest.mark.skipif(os.name == "nt" or not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_read_only_folder_is_refused(tmp_path, keep):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(CheckpointError, match="Permission denied"):
            keep(5)
    finally:
        tmp_path.chmod(0o700)


def test_a_read_only_folder_is_refused_as_the_system_reports_it(keep, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(CheckpointError, match=r"step 5 cannot be written to .*: Permission denied\. Choose a folder"):
        keep(5)


def test_the_training_of_a_model_that_ships_cannot_be_resumed(state, keep):
    path = keep(1)
    (path / "training.safetensors").unlink()
    (path / "state.json").unlink()
    write_sums(path)
    checkpoint = load_checkpoint(path)
    assert checkpoint.step == 0
    with pytest.raises(CheckpointError, match="step-000001 holds a model without the optimizer state"):
        restore_training(state, checkpoint)


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(CheckpointError, match=r"no checkpoint 'stories-smal'\. Did you mean 'stories-small'\?"):
        load_pretrained("stories-smal")


def test_a_folder_without_a_checkpoint_is_refused_by_its_name(tmp_path):
    with pytest.raises(CheckpointError, match=tmp_path.name):
        load_pretrained(tmp_path)


def test_a_saved_model_loads_and_replaces_an_older_one(tmp_path, model):
    folder = tmp_path / "models" / "mine"
    for weights in ({}, model.state_dict()):
        save_model(folder, weights, CONFIG, TOKENIZER)
    loaded, _ = load_pretrained(folder)
    assert all(torch.equal(weight, loaded.state_dict()[name]) for name, weight in model.state_dict().items())
    assert load_checkpoint(folder).step == 0
    assert len(list(folder.iterdir())) == 4
    assert list(folder.parent.iterdir()) == [folder]


def test_a_checkpoint_and_the_folder_of_its_run_load_alike(tmp_path, model, state):
    path = save_checkpoint(tmp_path / "checkpoints", state, metrics={}, config=CONFIG, tokenizer=TOKENIZER)
    ids = torch.tensor([[1, 2, 3]])
    for place in (path, str(path), tmp_path, str(tmp_path)):
        loaded, tokenizer = load_pretrained(place)
        assert not loaded.training
        assert tokenizer.vocab_size == CONFIG.model.vocab_size
        torch.testing.assert_close(loaded(ids), model(ids))


def test_the_model_that_ships_loads_and_fits_its_tokenizer():
    model, tokenizer = load_pretrained()
    assert tokenizer.vocab_size == model.config.vocab_size
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
