import copy
from dataclasses import replace

import pytest
import torch

from gemini_workshop.errors import TrainingError
from gemini_workshop.training.memory import available_bytes
from gemini_workshop.training.rehearsal import finders
from gemini_workshop.training.rehearsal.finders import (
    RateTest,
    diagnosis,
    find_batch_size,
    find_learning_rate,
    largest_that_fits,
    overfit_one_batch,
    steepest,
)
from gemini_workshop.visualization.training import rate_curve
from tests.training.sources import windows


@pytest.fixture
def source():
    return windows(torch.arange(200, dtype=torch.int32) % 13)


def same(model, before):
    return all(torch.equal(a, b) for a, b in zip(model.parameters(), before.parameters(), strict=True))


def test_the_rate_rises_evenly_and_stops_where_the_loss_explodes(model, source, training):
    before = copy.deepcopy(model)
    test = find_learning_rate(model, source, training, lowest=1e-4, highest=1e4, steps=60)
    ratios = [b / a for a, b in zip(test.rates, test.rates[1:], strict=False)]
    assert ratios == pytest.approx([1e8 ** (1 / 59)] * len(ratios))
    assert test.exploded is not None
    assert test.exploded < 1e4
    assert 1e-4 < test.suggestion < test.exploded / 3
    assert same(model, before)


def test_a_run_at_the_suggested_rate_learns_more_than_at_a_hundredth_of_it(model, source, training):
    rate = find_learning_rate(model, source, training, lowest=1e-4, highest=100.0, steps=60).suggestion
    batch = source.batch(0)
    ours, slower = (
        overfit_one_batch(model, batch, replace(training, learning_rate=r), 30)[-1] for r in (rate, rate / 100)
    )
    assert ours < slower - 0.5


def test_a_loss_that_falls_nowhere_is_refused():
    with pytest.raises(TrainingError, match=r"fell nowhere between the rates 1e-03 and 7e\+00.*rehearse one-batch"):
        steepest([1e-3, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], [5.0] * 8)


def test_the_figure_shows_what_was_found(tmp_path):
    import matplotlib

    rates, losses = [1e-3, 1e-2, 1e-1], [3.0, 2.0, 4.0]
    test = RateTest(rates=rates, losses=losses, smoothed=losses, suggestion=1e-2, exploded=1.0)
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        rate_curve(test).savefig(tmp_path / "rate.svg")
    text = (tmp_path / "rate.svg").read_text("utf-8")
    for words in ("falls fastest at a learning rate of 1.0e-02, and explodes at 1e+00", "learning rate (log scale)"):
        assert words in text
    assert test.in_words().startswith("Set learning_rate=1.0e-02: there the loss fell fastest")


@pytest.mark.parametrize("size", [0, 1, 2, 3, 7, 8, 63, 64, 100, 1000])
def test_the_largest_that_fits_is_found_up_to_the_limit(size):
    tried = []
    assert largest_that_fits(lambda n: tried.append(n) or n <= size, limit=100) == min(size, 100)
    assert max(tried) <= max(2 * size, 1, 100)


def test_on_a_cpu_twice_the_memory_holds_twice_the_batch(model, training, monkeypatch):
    before = copy.deepcopy(model)
    found = []
    for free in (10_000_000, 20_000_000):
        monkeypatch.setattr(finders, "available_bytes", lambda free=free: free)
        found.append(find_batch_size(model, training))
    assert found[0] > 50
    assert found[1] == pytest.approx(2 * found[0], rel=0.05)
    assert same(model, before)


def test_what_is_said_to_fit_does_fit(model, training, monkeypatch):
    """The step of that size, measured, takes what was free, and no more than a tenth less."""
    free = 5_000_000
    monkeypatch.setattr(finders, "available_bytes", lambda: free)
    size = find_batch_size(model, training)
    step = finders._one_step(model, training)
    step(1)
    peak = finders.peak_bytes(lambda: step(size))
    assert 0.9 * finders.MEMORY_FRACTION * free < peak < 1.02 * finders.MEMORY_FRACTION * free


def test_memory_for_not_one_sequence_is_refused(model, training, monkeypatch):
    monkeypatch.setattr(finders, "available_bytes", lambda: 1000)
    with pytest.raises(TrainingError, match="Not even one sequence fits in memory"):
        find_batch_size(model, training)


def test_a_trial_that_runs_out_of_memory_does_not_fit(monkeypatch):
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)

    def step(size):
        if size > 5:
            raise torch.OutOfMemoryError("CUDA out of memory")

    assert largest_that_fits(lambda size: finders._fits(step, size), limit=64) == 5


def test_the_machine_has_memory():
    assert 10_000_000 < available_bytes() < 10**14


def test_a_sound_model_overfits_one_batch(model, source, training):
    before = copy.deepcopy(model)
    losses = overfit_one_batch(model, source.batch(0), training)
    assert losses[-1] < 0.05 < losses[-2]
    assert diagnosis(losses, 0.02).startswith("Memorised: the loss fell from 2.5")
    assert same(model, before)


def test_a_rate_that_is_too_low_is_suspected(model, source, training):
    slow = overfit_one_batch(model, source.batch(0), replace(training, learning_rate=5e-4), 60)
    assert "learning rate that is too low" in diagnosis(slow, 5e-4)


@pytest.mark.parametrize(
    ("losses", "words"),
    [
        ([2.5, 1.0, 0.5, 1.2], "rose again: suspect a learning rate that is too high. Try --set learning_rate=7e-03"),
        ([2.5] * 4, "hardly moved: suspect gradients"),
        ([2.5, 2.0, 1.5, 1.2, 0.9], "still falling: suspect a learning rate that is too low"),
        ([2.5, *[0.7] * 40], "fell and then stayed: suspect inputs"),
        ([2.5, 0.04], "Memorised: the loss fell from 2.50 to 0.040 nats per token in 2 steps."),
    ],
)
def test_each_kind_of_failure_has_its_suspects(losses, words):
    assert words in diagnosis(losses, 0.02)
