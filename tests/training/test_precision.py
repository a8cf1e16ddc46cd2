from types import SimpleNamespace

import pytest
import torch

from gemini_workshop.training import precision
from gemini_workshop.training.precision import MeasuredPrecision, matrix_products_in, measure_precision


@pytest.fixture
def token_ids(config):
    return torch.arange(3 * 7).view(3, 7) * 5 % config.vocab_size


@pytest.mark.parametrize(
    ("fp32", "bf16", "fastest"), [(2.0, 1.0, "bf16"), (1.0, 2.0, "fp32"), (1.0, 0.95, "fp32")], ids=str
)
def test_sixteen_bits_must_be_clearly_faster(fp32, bf16, fastest):
    assert MeasuredPrecision(seconds={"fp32": fp32, "bf16": bf16}).fastest == fastest


def test_the_choice_says_what_was_measured():
    assert str(MeasuredPrecision(seconds={"fp32": 0.0203, "bf16": 0.0121})) == "bf16 (12.1 ms per batch; fp32 20.3 ms)"


@pytest.mark.parametrize("slow", ["fp32", "bf16"])
def test_what_is_slowed_down_is_not_chosen(model, token_ids, monkeypatch, slow):
    """Which of them is faster here, no test can know; so a clock of its own goes on faster in one of them."""
    forward, seconds = model.forward, [0.0]

    def timed(inputs):
        seconds[0] += 2.0 if torch.is_autocast_enabled("cpu") == (slow == "bf16") else 1.0
        return forward(inputs)

    monkeypatch.setattr(model, "forward", timed)
    monkeypatch.setattr(precision, "time", SimpleNamespace(perf_counter=lambda: seconds[0]))
    assert measure_precision(model, token_ids, rounds=1).fastest != slow


def test_the_measurement_leaves_no_trace(model, token_ids):
    before, state = [weight.clone() for weight in model.parameters()], torch.get_rng_state()
    measure_precision(model, token_ids, rounds=1)
    assert all(weight.grad is None for weight in model.parameters())
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert torch.equal(torch.get_rng_state(), state)


def test_in_bf16_products_are_rounded_and_weights_are_not(model, token_ids):
    with matrix_products_in("bf16", model):
        logits = model(token_ids)
    assert logits.dtype == torch.bfloat16
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    torch.testing.assert_close(logits.float(), model(token_ids), rtol=0, atol=0.02)
