"""What passes is kept so that it can be imported again, alone."""

import math
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gemini_workshop.errors import WorkshopError
from gemini_workshop.exercises.core import my_gemini
from gemini_workshop.exercises.core.calls import check
from gemini_workshop.exercises.core.catalogue import find
from gemini_workshop.exercises.core.judge import judge
from gemini_workshop.exercises.core.standalone import standalone
from gemini_workshop.exercises.core.verdict import Outcome
from gemini_workshop.models.feedforward import ACTIVATIONS

ROOT_POWER = 0.5


@pytest.fixture(autouse=True)
def learner_home(tmp_path, monkeypatch):
    monkeypatch.setenv("GEMINI_WORKSHOP_HOME", str(tmp_path))
    return tmp_path


def shifted(scores: Tensor, dim: int) -> Tensor:
    return scores - scores.amax(dim, keepdim=True)


def softmax(scores: Float[Tensor, "..."], dim: int = -1) -> Float[Tensor, "..."]:
    e = shifted(scores, dim).exp()
    return e / e.sum(dim, keepdim=True)


def scaled_dot_product_attention(query, key, value, mask=None):
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** ROOT_POWER
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    return softmax(scores) @ value


def test_a_kept_function_is_loaded_and_passes_again():
    check("02.1", softmax)
    loaded = my_gemini.load("02.1", "softmax")
    assert loaded is not softmax
    assert judge(find("02.1"), loaded).outcome == Outcome.PASSED


def kept_path(exercise_id, name, function):
    return my_gemini.keep(exercise_id, name, standalone(function, name))


def test_a_kept_function_stands_alone_with_its_helpers_constants_and_imports(learner_home):
    path = kept_path("02.2", "scaled_dot_product_attention", scaled_dot_product_attention)
    code = (
        "import runpy, torch\n"
        f"f = runpy.run_path({str(path)!r})['scaled_dot_product_attention']\n"
        "x = torch.eye(3)\n"
        "print(torch.allclose(f(x, x, x), torch.nn.functional.scaled_dot_product_attention(x, x, x)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=learner_home, check=True)
    assert result.stdout == "True\n"


def bend(x: Tensor) -> Tensor:
    return ACTIVATIONS["relu"](x)


def test_a_table_of_the_package_is_imported(learner_home):
    path = kept_path("99.1", "bend", bend)
    assert "import ACTIVATIONS\n" in path.read_text("utf-8")
    assert my_gemini.load("99.1", "bend")(torch.tensor([-1.0, 2.0])).tolist() == [0.0, 2.0]


def test_a_function_of_another_name_is_kept_under_the_exercises_name():
    def my_own(scores, dim=-1):
        return F.softmax(scores, dim)

    check("02.1", my_own)
    x = torch.randn(3, 4)
    assert torch.equal(my_gemini.load("02.1", "softmax")(x), F.softmax(x, -1))


def test_what_was_kept_is_listed_by_exercise():
    check("02.1", softmax)
    assert my_gemini.kept() == ["02.1"]


def test_loading_what_was_never_passed_says_so():
    with pytest.raises(WorkshopError, match=r"Exercise 02\.4 has not been passed here yet"):
        my_gemini.load("02.4", "additive_mask")
