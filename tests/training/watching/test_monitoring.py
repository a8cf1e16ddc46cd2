import pytest
import torch

from gemini_workshop.models.accounting import training_flops
from gemini_workshop.training.watching import monitoring
from gemini_workshop.training.watching.callbacks import StepMetrics
from gemini_workshop.training.watching.monitoring import (
    ConsoleLines,
    HardwareMonitor,
    clock,
    describe,
    matrix_product_flops,
)

CPU = torch.device("cpu")


def metrics(**more):
    return StepMetrics(loss_nats=2.0, gradient_norm=1.5, learning_rate=0.1, **more)


@pytest.fixture
def now(monkeypatch):
    """A clock that the test turns."""
    now = [100.0]
    monkeypatch.setattr(monitoring.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(monitoring.time, "monotonic", lambda: now[0])
    return now


def test_speed_and_mfu_are_those_of_the_median_step(now):
    monitor = HardwareMonitor(tokens_per_step=50, flops_per_step=600, peak_flops=1000.0, device=CPU)
    monitor.started(0, 10)
    for step, seconds in enumerate([2.0, 2.0, 90.0, 2.0, 2.0], start=1):  # a measurement in the third
        now[0] += seconds
        monitor.stepped(step, metrics())
    latest = monitor.latest()
    assert (latest["tokens_per_second"], latest["mfu"]) == (25.0, 0.3)
    assert 0.01 < latest["memory_gb"] < 1000


def test_a_peak_that_was_measured_on_a_busy_machine_gives_no_mfu_above_one(now):
    monitor = HardwareMonitor(tokens_per_step=50, flops_per_step=600, peak_flops=100.0, device=CPU)
    monitor.started(0, 10)
    for step, seconds in enumerate([2.0, 4.0, 4.0, 4.0], start=1):
        now[0] += seconds
        monitor.stepped(step, metrics())
        latest = monitor.latest()["mfu"]
        assert latest == (1.0 if step == 1 else pytest.approx(latest))
        assert latest <= 1.0
    assert latest == 0.5


def test_there_is_no_speed_before_the_first_step():
    monitor = HardwareMonitor(50, 600, 1000.0, CPU)
    monitor.started(0, 10)
    assert monitor.latest().keys() == {"memory_gb"}


def test_a_product_of_matrices_is_timed_in_the_precision_of_the_run(now, monkeypatch):
    seen, real = [], torch.Tensor.__matmul__

    def slow(a, b):
        seen.append(a.dtype)
        now[0] += 0.5
        return real(a, b)

    monkeypatch.setattr(torch.Tensor, "__matmul__", slow)
    assert matrix_product_flops(CPU, "bf16", width=10, rounds=2) == 2 * 10**3 / 0.5
    assert set(seen) == {torch.bfloat16}


def test_lines_come_now_and_then_and_at_each_measurement(now):
    lines = []
    console = ConsoleLines(lines.append, every_seconds=10.0)
    console.started(0, 30)
    for step in range(1, 31):
        now[0] += 1.0
        console.stepped(step, metrics(validation_nats=1.75 if step == 15 else None))
    assert [line.split()[1] for line in lines] == ["1/30", "11/30", "15/30", "25/30"]
    assert lines[2] == "step 15/30  loss 2.000  validation 1.750  gradient 1.50  rate 1.0e-01  0:15 left"


def test_the_time_left_counts_from_where_the_run_goes_on(now):
    lines = []
    console = ConsoleLines(lines.append)
    console.started(20, 30)
    now[0] += 60
    console.stepped(21, metrics())
    assert lines[0].endswith("9:00 left")


def test_experts_and_hardware_are_told_if_there_are_any():
    hardware = {"tokens_per_second": 12345.0, "mfu": 0.314, "memory_gb": 0.5}
    line = describe(metrics(busiest_expert=1.25), hardware)
    assert line.endswith("busiest expert 1.25 x mean  12,345 tokens/s  MFU 31%  0.50 GB")


def test_flops_of_a_step_are_those_of_the_model(config):
    assert training_flops(config, 7) > 6 * 7 * 1000
    assert clock(3661.0) == "1:01:01"
