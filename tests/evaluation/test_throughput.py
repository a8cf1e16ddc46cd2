"""Speed of reading and writing."""

import pytest

from gemini_workshop.errors import DataError
from gemini_workshop.evaluation import throughput
from gemini_workshop.evaluation.energy import Cost
from gemini_workshop.evaluation.throughput import measure_throughput
from gemini_workshop.models.transformer import Transformer
from tests import tiny

MODEL = Transformer(tiny.MODEL)  # never asked


@pytest.fixture
def clock(monkeypatch):
    """A model that reads in 2, 4, 6, 8 ... seconds and writes the rest in 10, 20, 30, 40 ...: round by round."""
    costs = iter(
        Cost(seconds=seconds, cpu_seconds=1.0, joules=seconds / 5, source="told")
        for n in range(1, 9)
        for seconds in (2.0 * n, 10.0 * n)
    )

    class Meter:
        def __init__(self, tdp_watts):
            assert tdp_watts == 9.0

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.cost = next(costs)

    written = []

    def generate(model, prompt_ids, config):
        assert config.temperature == 0
        for n in range(config.max_new_tokens):
            written.append(n)
            yield n

    monkeypatch.setattr(throughput, "EnergyMeter", Meter)
    monkeypatch.setattr(throughput, "generate", generate)
    return written


def test_the_first_token_is_reading_and_the_others_are_writing(clock):
    """The first round warms up; the median of 4, 6 and 8 seconds is 6, of 20, 30 and 40 it is 30."""
    found = measure_throughput(MODEL, [1] * 12, new_tokens=4, rounds=3, tdp_watts=9.0)
    assert clock == [0, 1, 2, 3] * 4
    assert (found.first_token_seconds, found.read_tokens_per_second) == (6.0, 2.0)
    assert found.written_tokens_per_second == pytest.approx(0.1)
    assert found.joules_per_written_token == pytest.approx(2.0)
    assert found.energy_source == "told"


def test_one_token_leaves_nothing_to_time():
    with pytest.raises(DataError, match="new_tokens=1 leaves nothing"):
        measure_throughput(MODEL, [1], new_tokens=1)
