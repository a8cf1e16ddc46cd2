"""docs/budget.md: its examples are true, its prices are dated and in one file, its formula is what it says."""

import doctest
from datetime import date

import pytest

from gemini_workshop.config import load_config
from gemini_workshop.errors import TrainingError
from gemini_workshop.models.accounting import num_parameters
from gemini_workshop.training.rehearsal.budget import PRICES, budget, offers, run_flops
from tests.clone import TOP

PAGE = TOP / "docs" / "budget.md"


def test_every_example_on_the_page_is_true():
    results = doctest.testfile(str(PAGE), module_relative=False, encoding="utf-8")
    assert results.failed == 0
    assert results.attempted > 5


def test_every_price_has_a_day_and_a_source():
    assert len(offers()) >= 5
    for offer in offers().values():
        assert date(2026, 1, 1) <= offer.seen <= date.today()
        assert offer.source.startswith("https://")
        assert offer.dollars_per_hour >= 0
        assert offer.tflops > 0
    assert f"../{PRICES.relative_to(TOP)}" in PAGE.read_text("utf-8")


def test_hours_and_dollars_by_hand():
    """312e12 FLOP/s at half of its peak: 156e12; two of them need 10,000 s for 3.12e18."""
    cost = budget(3.12e18, "Lambda A100", mfu=0.5, devices=2)
    assert cost.hours == pytest.approx(10_000 / 3600)
    assert cost.dollars == pytest.approx(2 * 2.79 * 10_000 / 3600)


@pytest.mark.parametrize("preset", ["tiny", "medium"])
def test_flops_are_near_the_rule_of_thumb(preset):
    """6 N D leaves out attention; on the other side it counts the embedding, which multiplies nothing, for the head."""
    config = load_config(preset)
    tokens = config.training.steps * config.training.batch_size * config.model.context_tokens
    rule = 6 * num_parameters(config.model) * tokens
    assert 1 < run_flops(config.model, config.training) / rule < 1.25


def test_what_is_impossible_is_refused():
    with pytest.raises(TrainingError, match="Did you mean 'Lambda A100'"):
        budget(1e18, "Lamda A100", mfu=0.3)
    for mfu, devices in ((0.0, 1), (30.0, 1), (0.3, 0)):
        with pytest.raises(TrainingError, match="Try mfu"):
            budget(1e18, "Lambda A100", mfu=mfu, devices=devices)
