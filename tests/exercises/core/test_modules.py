"""Classes are judged with the reference's weights, whatever their parameters are called."""

import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gemini_workshop.exercises.core import my_gemini
from gemini_workshop.exercises.core.exercise import Say
from gemini_workshop.exercises.core.judge import judge
from gemini_workshop.exercises.core.modules import Build, ModuleExercise, drawn_weights
from gemini_workshop.exercises.core.standalone import standalone
from gemini_workshop.exercises.core.verdict import Outcome


class FeedForward(nn.Module):
    def __init__(self, embed_dim: int, ffn_dim: int) -> None:
        super().__init__()
        self.up = nn.Linear(embed_dim, ffn_dim, bias=False)
        self.down = nn.Linear(ffn_dim, embed_dim)

    def forward(self, x: Float[Tensor, "B D"], power: int = 1) -> Float[Tensor, "B D"]:
        return self.down(F.relu(self.up(x)) ** power)


def _oracle(build, x, power=1):
    w = drawn_weights(FeedForward, build)
    return (x @ w["up.weight"].T).clamp(min=0) ** power @ w["down.weight"].T + w["down.bias"]


def _cases(generator):
    return [
        (Build(embed_dim=3, ffn_dim=5), torch.randn(2, 3, generator=generator)),
        (Build(embed_dim=4, ffn_dim=7), torch.randn(3, 4, generator=generator), 2),
    ]


class WithoutActivation(FeedForward):
    def forward(self, x, power=1):
        return self.down(self.up(x) ** power)


class WithoutTheWayDown(nn.Module):
    def __init__(self, embed_dim, ffn_dim):
        super().__init__()
        self.up = nn.Linear(embed_dim, ffn_dim, bias=False)

    def forward(self, x, power=1):
        return F.relu(self.up(x)) ** power


EXERCISE = ModuleExercise(
    id="99.1",
    minutes=5,
    difficulty=1,
    importance=1,
    reference=FeedForward,
    oracle=_oracle,
    cases=_cases,
    hints=("one", "two", "three"),
    misconceptions={
        "no activation": Say("Two matrices are one.").to(WithoutActivation),
        "not down again": Say("The way back is missing.").to(WithoutTheWayDown),
    },
)


@pytest.fixture(autouse=True)
def learner_home(tmp_path, monkeypatch):
    monkeypatch.setenv("GEMINI_WORKSHOP_HOME", str(tmp_path))
    return tmp_path


def test_the_reference_passes_although_each_instance_starts_with_other_weights():
    assert judge(EXERCISE, FeedForward).outcome == Outcome.PASSED


def test_parameters_of_other_names_are_matched_by_their_order():
    class Nested(nn.Module):
        def __init__(self, embed_dim, ffn_dim):
            super().__init__()
            up, down = nn.Linear(embed_dim, ffn_dim, bias=False), nn.Linear(ffn_dim, embed_dim)
            self.both = nn.ModuleList([up, down])

        def forward(self, x, power=1):
            return self.both[1](F.relu(self.both[0](x)).pow(power))

    assert judge(EXERCISE, Nested).outcome == Outcome.PASSED


def test_parameters_of_the_same_names_are_matched_by_name_in_any_order():
    class Swapped(FeedForward):
        def __init__(self, embed_dim, ffn_dim):
            nn.Module.__init__(self)
            self.down = nn.Linear(ffn_dim, embed_dim)
            self.up = nn.Linear(embed_dim, ffn_dim, bias=False)

    assert judge(EXERCISE, Swapped).outcome == Outcome.PASSED


def test_a_mistake_is_named_and_the_way_it_was_built_is_shown():
    class Mine(FeedForward):
        def forward(self, x, power=1):
            return self.down(self.up(x).pow(power))

    verdict = judge(EXERCISE, Mine)
    assert verdict.mistake == "no activation"
    assert verdict.lines[1].endswith("is needed.")
    assert verdict.lines[2] == (
        "Given: built = (embed_dim=3, ffn_dim=5) · x = [[1.541, -0.2934, -2.179], [0.5684, -1.085, -1.399]]."
    )


def test_a_mistake_in_the_parameters_is_named_too():
    class Mine(WithoutTheWayDown):
        def forward(self, x, power=1):
            return F.relu(self.up(x)).pow(power)

    verdict = judge(EXERCISE, Mine)
    assert verdict.mistake == "not down again"
    assert "It has no parameter `down.weight`; one of shape (3, 5) is needed." in verdict.lines[1]


def test_a_parameter_of_another_shape_is_named():
    class Mine(FeedForward):
        def __init__(self, embed_dim, ffn_dim):
            super().__init__(embed_dim, ffn_dim)
            self.up.weight = nn.Parameter(torch.zeros(embed_dim, ffn_dim))

    verdict = judge(EXERCISE, Mine)
    assert verdict.outcome == Outcome.WRONG
    assert verdict.lines[:2] == (
        "It behaves as if `embed_dim` and `ffn_dim` changed places.",
        "`up.weight` has shape (3, 5); (5, 3) is needed.",
    )


def test_layers_in_a_plain_list_are_missed():
    class Mine(nn.Module):
        def __init__(self, embed_dim, ffn_dim):
            super().__init__()
            self.layers = [nn.Linear(embed_dim, ffn_dim, bias=False), nn.Linear(ffn_dim, embed_dim)]

        def forward(self, x, power=1):
            return self.layers[1](F.relu(self.layers[0](x)) ** power)

    assert "It has no parameter `up.weight`" in judge(EXERCISE, Mine).lines[0]


@pytest.mark.parametrize("where", ["__init__", "forward"])
def test_a_gap_in_either_method_is_not_started(where):
    def gap(self, *args, **kwargs):
        raise NotImplementedError("your turn")

    assert judge(EXERCISE, type("FeedForward", (FeedForward,), {where: gap})).outcome == Outcome.NOT_STARTED


def test_the_method_that_is_left_to_write_is_named():
    def gap(self, *args, **kwargs):
        raise NotImplementedError("90.1 FeedForward.forward: your turn")

    answer = type("FeedForward", (FeedForward,), {"forward": gap})
    assert judge(EXERCISE, answer).lines[0] == "`forward` is still to be written."


def test_what_is_no_class_is_said_to_be_none():
    assert judge(EXERCISE, FeedForward(3, 5)).lines[0].startswith("`FeedForward` is of type FeedForward, and a class")
    assert judge(EXERCISE, lambda x: x).lines[0].startswith("`FeedForward` is a function, and a class is needed")
    assert "a class, but not an nn.Module" in judge(EXERCISE, _Plain).lines[0]


class _Plain:
    def __init__(self, embed_dim, ffn_dim):
        pass

    def forward(self, x, power=1):
        return x


def test_other_first_lines_are_told_what_comes():
    class NoWidth(nn.Module):
        def __init__(self, embed_dim):
            super().__init__()

        def forward(self, x, power=1):
            return x

    class NoInput(FeedForward):
        def forward(self):
            return 1

    assert (
        "It is built with (embed_dim), but it is called with (embed_dim, ffn_dim)." in judge(EXERCISE, NoWidth).lines[0]
    )
    assert "Its `forward` takes (self), but it is called with (self, x)." in judge(EXERCISE, NoInput).lines[0]


def test_a_crash_in_a_class_shows_the_learners_own_line():
    class Mine(FeedForward):
        def forward(self, x, power=1):
            return self.down(x)

    verdict = judge(EXERCISE, Mine)
    assert verdict.outcome == Outcome.ERROR
    assert "`return self.down(x)`" in verdict.lines[0]


def test_a_case_can_ask_for_the_weights_with_which_a_class_starts():
    class Ones(nn.Module):
        def __init__(self, dim: int) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(dim))

        def forward(self, x: Float[Tensor, " D"]) -> Float[Tensor, " D"]:
            return self.weight * x

    class Zeros(Ones):
        def __init__(self, dim):
            super().__init__(dim)
            nn.init.zeros_(self.weight)

    exercise = ModuleExercise(
        id="99.2",
        minutes=1,
        difficulty=1,
        importance=1,
        reference=Ones,
        oracle=lambda build, x: x if build.starts_as_it_is else x * drawn_weights(Ones, build)["weight"],
        cases=lambda generator: [
            (Build(dim=3), torch.randn(3, generator=generator)),
            (Build(dim=3, starts_as_it_is=True), torch.randn(3, generator=generator)),
        ],
        hints=("one", "two", "three"),
    )
    assert judge(exercise, Ones).outcome == Outcome.PASSED
    assert judge(exercise, Zeros).outcome == Outcome.WRONG


class Doubled(FeedForward):
    """Uses a class of this file, and one of torch."""

    def forward(self, x: Float[Tensor, "B D"], power: int = 1) -> Float[Tensor, "B D"]:
        return 2 * super().forward(F.relu(x), power)


def test_a_class_is_kept_with_the_classes_it_is_made_of(learner_home):
    path = my_gemini.keep("99.1", "Doubled", standalone(Doubled, "Doubled"))
    code = (
        "import runpy, torch\n"
        f"module = runpy.run_path({str(path)!r})['Doubled'](3, 5)\n"
        "print(module(torch.ones(2, 3)).shape)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=learner_home, check=True)
    assert result.stdout == "torch.Size([2, 3])\n"


def test_a_class_of_a_notebook_is_kept(learner_home):
    """A notebook's cells have no file; IPython keeps their lines by a name of its own."""
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell()
    shell.run_cell("import torch\nfrom torch import nn")
    shell.run_cell("class Norm(nn.Module):\n    def forward(self, x):\n        return x / x.abs().sum()")
    path = my_gemini.keep("99.2", "Norm", standalone(shell.user_ns["Norm"], "Norm"))
    assert "class Norm(nn.Module):" in path.read_text()
    assert "import torch.nn as nn" in path.read_text()
    assert torch.equal(my_gemini.load("99.2", "Norm")()(torch.ones(4)), torch.full((4,), 0.25))
