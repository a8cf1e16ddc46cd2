"""Energy: counters that turn over, an estimate, or nothing."""

import os

import pytest

from gemini_workshop.evaluation.energy import EnergyMeter, read_counters


@pytest.fixture
def counters(tmp_path):
    """Two processor packages, a part of the first, and one that may not be read."""

    def write(zone, energy, largest=1_000_000):
        folder = tmp_path / zone
        folder.mkdir(exist_ok=True)
        (folder / "energy_uj").write_text(f"{energy}\n")
        (folder / "max_energy_range_uj").write_text(f"{largest}\n")

    write("intel-rapl:0", 100)
    write("intel-rapl:0:0", 50)
    write("intel-rapl:1", 999_000)
    (tmp_path / "intel-rapl:2").mkdir()
    write.folder = tmp_path
    return write


def test_packages_are_counted_and_their_parts_are_not_counted_again(counters):
    assert read_counters(counters.folder) == {"intel-rapl:0": (100, 1_000_000), "intel-rapl:1": (999_000, 1_000_000)}


def test_joules_are_the_difference_of_the_counters_also_when_one_begins_anew(counters):
    with EnergyMeter(tdp_watts=15.0, counters=counters.folder) as meter:
        counters("intel-rapl:0", 500_100)
        counters("intel-rapl:1", 1_000)
        counters("intel-rapl:0:0", 400_000)
    assert meter.cost.joules == pytest.approx(0.502)
    assert meter.cost.source == "measured by RAPL: the whole processor"


def test_without_counters_the_stated_power_is_shared_out_by_processor_time(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    with EnergyMeter(tdp_watts=20.0, counters=tmp_path) as meter:
        sum(range(10**5))
    assert meter.cost.joules == pytest.approx(20.0 * meter.cost.cpu_seconds / 4)
    assert meter.cost.source == "estimated from a stated TDP: 20 W x CPU seconds / 4 cores"


def test_without_anything_the_energy_is_unknown(tmp_path):
    with EnergyMeter(counters=tmp_path) as meter:
        pass
    assert meter.cost.joules is None
    assert meter.cost.source.startswith("unknown: no counters")
    assert 0 <= meter.cost.seconds < 60
