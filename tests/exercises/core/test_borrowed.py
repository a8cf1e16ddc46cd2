"""The package's own function passes in no disguise, its other parts may be used, and gaps are told exactly."""

import functools

import pytest
import torch
from torch import nn

from gemini_workshop.exercises.core import my_gemini, progress
from gemini_workshop.exercises.core.calls import check, solution
from gemini_workshop.exercises.core.catalogue import find
from gemini_workshop.exercises.core.judge import judge
from gemini_workshop.exercises.core.verdict import Outcome
from gemini_workshop.models.attention import softmax
from gemini_workshop.models.normalization import RMSNorm
from tests.exercises.bank import defined


@pytest.fixture(autouse=True)
def learner_home(tmp_path, monkeypatch):
    monkeypatch.setenv("GEMINI_WORKSHOP_HOME", str(tmp_path))


def decorated(f):
    @functools.wraps(f)
    def inner(*args, **kwargs):
        return f(*args, **kwargs)

    return inner


class SameAgain(RMSNorm):
    pass


class Inside(nn.Module):
    def __init__(self, dim, eps):
        super().__init__()
        self.norm = RMSNorm(dim, eps)

    def forward(self, x):
        return self.norm(x)


DISGUISES = [
    ("02.1", softmax),
    ("02.1", lambda scores, dim=-1: softmax(scores, dim)),
    ("02.1", functools.partial(softmax)),
    ("02.1", decorated(softmax)),
    ("06.2", RMSNorm),
    ("06.2", SameAgain),
    ("06.2", Inside),
]


@pytest.mark.parametrize(("exercise_id", "disguise"), DISGUISES)
def test_the_packages_own_passes_in_no_disguise_and_leaves_no_trace(exercise_id, disguise, capsys):
    assert check(exercise_id, disguise) is find(exercise_id).reference
    out = capsys.readouterr().out
    assert "not yours yet" in out
    assert "the package's own" in out
    assert progress.load() == {}
    assert my_gemini.kept() == []
    solution(exercise_id)
    assert "not attempted yet" in capsys.readouterr().out


def test_a_check_that_is_run_again_after_a_failure_does_not_pass(capsys):
    answer = check("02.1", lambda scores, dim=-1: scores)
    check("02.1", answer)
    assert "not yours yet" in capsys.readouterr().out
    assert not progress.load()["02.1"].has_passed


def test_other_parts_of_the_package_may_be_used(capsys):
    def scaled_dot_product_attention(query, key, value, mask=None):
        scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
        return softmax(scores if mask is None else scores.masked_fill(~mask, -torch.inf)) @ value

    assert check("02.2", scaled_dot_product_attention) is scaled_dot_product_attention
    assert my_gemini.kept() == ["02.2"]


@pytest.mark.parametrize("call", [("02.1",), (softmax,), (softmax, "02.1")])
def test_a_check_that_is_called_otherwise_says_how_it_is_called(call, capsys):
    assert check(*call) is softmax
    assert 'softmax = check("02.1", softmax)' in capsys.readouterr().out


def test_a_gap_left_below_finished_code_is_told_with_its_line():
    def unfinished(scores, dim=-1):
        e = scores.exp()
        e / e.sum(dim, keepdim=True)
        raise NotImplementedError("02.1 softmax: your turn")

    verdict = judge(find("02.1"), unfinished)
    assert verdict.outcome == Outcome.ERROR
    assert "is still the `raise NotImplementedError` of the gap" in verdict.lines[0]
    assert "`return`" in verdict.lines[0]


def test_a_gap_left_above_finished_code_is_told_with_its_line():
    def finished(scores, dim=-1):
        raise NotImplementedError("02.1 softmax: your turn")
        return scores.softmax(dim)

    verdict = judge(find("02.1"), finished)
    assert verdict.outcome == Outcome.ERROR
    assert "your code below never runs" in verdict.lines[0]


def test_an_error_in_another_cell_is_told_with_the_line_that_leads_there():
    other = defined("def doubled(x):\n    return x.duble()\n", "doubled")
    answer = defined("def softmax(scores, dim=-1):\n    twice = other(scores)\n    return twice\n", "softmax")
    answer.__globals__["other"] = other
    lines = judge(find("02.1"), answer).lines
    assert lines[0] == "Line 2: `twice = other(scores)`"
    assert lines[1].startswith(
        "There `doubled`, of another cell, is called, and breaks at its line 2: `return x.duble()`"
    )


def test_a_misspelled_forward_is_named():
    class Slip(nn.Module):
        def __init__(self, dim, eps):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(dim))

        def foward(self, x):
            return x

    verdict = judge(find("06.2"), Slip)
    assert verdict.outcome == Outcome.WRONG
    assert "It has `foward`: is that a slip?" in verdict.lines[0]
