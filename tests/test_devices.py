import pytest
import torch

from gemini_workshop.devices import pick_device
from gemini_workshop.errors import ConfigError


@pytest.fixture(params=[(False, False), (True, False), (False, True), (True, True)], ids=str)
def machine(request, monkeypatch):
    """A machine with or without CUDA and MPS."""
    has_cuda, has_mps = request.param
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: has_mps)
    return request.param


def test_auto_takes_cuda_then_mps_then_the_cpu(machine):
    expected = {(False, False): "cpu", (True, False): "cuda", (False, True): "mps", (True, True): "cuda"}
    assert pick_device().type == expected[machine]


def test_a_device_that_is_there_can_be_named(machine):
    has_cuda, has_mps = machine
    assert pick_device("cpu") == torch.device("cpu")
    if has_cuda:
        assert pick_device("cuda:1") == torch.device("cuda", 1)
    if has_mps:
        assert pick_device("mps") == torch.device("mps")


@pytest.mark.parametrize("name", ["cuda", "cuda:1", "mps"])
def test_a_device_that_is_not_there_is_an_error_that_lists_what_is(monkeypatch, name):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ConfigError) as caught:
        pick_device(name)
    assert str(caught.value) == (f"device={name!r} is not available on this machine. Choose auto, or one of: cpu.")


def test_a_device_that_does_not_exist_is_the_same_error(machine):
    with pytest.raises(ConfigError, match="device='gpu' is not available on this machine"):
        pick_device("gpu")
