"""Later lessons build with what was passed in earlier ones, and with the package's parts where nothing was."""

import pytest
from torch import nn

from gemini_workshop.exercises.core import my_gemini
from gemini_workshop.exercises.core.own_parts import is_own, own_or
from gemini_workshop.exercises.core.standalone import standalone
from gemini_workshop.models.masks import causal_mask
from gemini_workshop.models.normalization import RMSNorm

OWN_MASK = """import torch

def causal_mask(num_queries, num_keys, *, device=None):
    return torch.ones(num_queries, num_keys, dtype=torch.bool, device=device).tril(num_keys - num_queries)
"""
OWN_NORM = """import torch
from torch import nn

class RMSNorm(nn.Module):
    def __init__(self, dim, eps):
        super().__init__()
        self.eps, self.NAME = eps, nn.Parameter(torch.ones(dim))

    def forward(self, x):
        wide = x.float()
        return (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)).to(x.dtype) * self.NAME
"""


@pytest.fixture(autouse=True)
def kept_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("GEMINI_WORKSHOP_HOME", str(tmp_path))
    folder = my_gemini.folder()
    folder.mkdir()
    return folder


def test_without_anything_kept_it_is_the_packages_part():
    assert own_or(causal_mask) is causal_mask
    assert not is_own(causal_mask)


def test_a_kept_function_is_used():
    my_gemini.keep("02.3", "causal_mask", OWN_MASK)
    own = own_or(causal_mask)
    assert own is not causal_mask
    assert is_own(own)
    assert own(2, 3).tolist() == causal_mask(2, 3).tolist()


@pytest.mark.parametrize("spoilt", [OWN_MASK.replace("- num_queries", ""), "def causal_mask(:", ""])
def test_what_no_longer_passes_is_left_aside(spoilt):
    my_gemini.keep("02.3", "causal_mask", spoilt)
    assert own_or(causal_mask) is causal_mask


def test_a_class_is_used_if_its_parameters_are_named_alike():
    my_gemini.keep("06.2", "RMSNorm", OWN_NORM.replace("NAME", "weight"))
    assert is_own(own_or(RMSNorm, dim=3, eps=1e-6))
    my_gemini.keep("06.2", "RMSNorm", OWN_NORM.replace("NAME", "gain"))
    assert own_or(RMSNorm, dim=3, eps=1e-6) is RMSNorm


def test_what_no_exercise_asks_for_is_the_packages():
    assert own_or(nn.Linear, in_features=1, out_features=2) is nn.Linear


def test_what_is_built_from_kept_parts_is_kept_with_them(kept_folder):
    my_gemini.keep("02.3", "causal_mask", OWN_MASK)
    path = kept_folder.parent / "cell.py"
    path.write_text("def first_rows(n):\n    return own_mask(n, n)[:2]\n")
    cell = {"__name__": "cell", "own_mask": own_or(causal_mask)}
    exec(compile(path.read_text(), str(path), "exec"), cell)
    my_gemini.keep("99.1", "first_rows", standalone(cell["first_rows"], "first_rows"))
    assert my_gemini.load("99.1", "first_rows")(3).tolist() == [[True, False, False], [True, True, False]]
