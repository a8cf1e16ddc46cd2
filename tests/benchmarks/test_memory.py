import sys

import pytest
import torch

from gemini_workshop.benchmarks.memory import peak_bytes

MIB = 2**20


def test_what_is_held_at_once_counts():
    assert peak_bytes(lambda: [torch.empty(MIB, dtype=torch.uint8) for _ in range(3)]) == 3 * MIB


def test_what_is_released_in_between_does_not():
    def one_after_another():
        for _ in range(3):
            torch.empty(MIB, dtype=torch.uint8)

    assert peak_bytes(one_after_another) == MIB


def test_what_exists_before_does_not():
    before = torch.zeros(MIB, dtype=torch.uint8)
    assert peak_bytes(lambda: before.add_(1)) < 100


def test_an_error_passes_through_and_stderr_is_as_before(capfd):
    with pytest.raises(ZeroDivisionError):
        peak_bytes(lambda: 1 / 0)
    print("heard", file=sys.stderr)
    assert capfd.readouterr().err == "heard\n"
