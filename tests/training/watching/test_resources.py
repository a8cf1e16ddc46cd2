import json
import mmap

import numpy as np
import pytest
import torch

from gemini_workshop.training.step import StepMetrics
from gemini_workshop.training.watching import resources
from gemini_workshop.training.watching.callbacks import read_history
from gemini_workshop.training.watching.resources import ResourceLog, ResourceMeter, read_gpu

CPU = torch.device("cpu")
METRICS = StepMetrics(loss_nats=2.0, gradient_norm=1.5, learning_rate=0.1)


@pytest.fixture
def now(monkeypatch):
    """A clock that the test turns."""
    now = [100.0]
    monkeypatch.setattr(resources.time, "monotonic", lambda: now[0])
    return now


def drive(log, now, steps, first_step=0, seconds=1.0):
    log.started(first_step, steps)
    for step in range(first_step + 1, steps + 1):
        now[0] += seconds
        log.stepped(step, METRICS)


def test_a_reading_sees_memory_that_was_taken_and_a_core_that_was_busy():
    meter = ResourceMeter()
    before = meter.read()
    taken = np.frombuffer(mmap.mmap(-1, 200_000_000), np.uint8)  # PyTorch may have kept so much from other tests
    taken.fill(1)
    while (after := meter.read()).cpu_percent == 0:
        taken.fill(2)
    assert after.memory_bytes - before.memory_bytes > 150_000_000
    assert 0 <= after.machine_cpu_percent <= 100
    assert (after.gpu_memory_bytes, after.gpu_percent, after.tokens_per_second) == (None, None, None)


def test_a_line_is_json_without_what_is_unknown():
    line = json.loads(ResourceMeter().read(tokens_per_second=350.0).to_json())
    assert line["tokens_per_second"] == 350.0
    assert "gpu_percent" not in line


def test_a_gpu_whose_library_is_missing_is_read_without_its_load(monkeypatch):
    def missing(_):
        raise ModuleNotFoundError("pynvml")

    monkeypatch.setattr(torch.cuda, "utilization", missing)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: 1234)
    assert read_gpu(torch.device("cuda")) == (1234, None)
    monkeypatch.setattr(torch.cuda, "utilization", lambda _: 87)
    assert read_gpu(torch.device("cuda")) == (1234, 87.0)


def test_a_log_has_a_line_every_few_seconds_with_step_and_speed(tmp_path, now):
    log = ResourceLog(tmp_path / "r.jsonl", CPU, lambda: {"tokens_per_second": 50.0}, every_seconds=10.0)
    drive(log, now, 7, seconds=4.0)
    lines = read_history(tmp_path / "r.jsonl")
    assert [line["step"] for line in lines] == [1, 4, 7]
    assert {line["tokens_per_second"] for line in lines} == {50.0}


def test_a_resumed_log_forgets_what_is_done_again(tmp_path, now):
    drive(ResourceLog(tmp_path / "r.jsonl", CPU, every_seconds=1.0), now, 5)
    drive(ResourceLog(tmp_path / "r.jsonl", CPU, every_seconds=1.0), now, 4, first_step=2)
    assert [line["step"] for line in read_history(tmp_path / "r.jsonl")] == [1, 2, 3, 4]
