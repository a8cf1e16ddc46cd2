# ruff: noqa: E501 (cells of a notebook, each in one string)
"""All answers of lessons 01 to 06, written into one notebook full of other names, are kept and build lesson 06."""

import ast
import linecache
import re
import subprocess
import sys
from types import ModuleType

import pytest
import torch

from gemini_workshop.exercises.core import my_gemini
from gemini_workshop.exercises.core.calls import check
from gemini_workshop.exercises.core.catalogue import all_exercises
from tests.clone import TOP

IN_THE_WAY = ("x", "up", "device", "mask", "scores", "query", "weight", "i", "t", "B", "T", "state", "e", "step")
USE = """
from gemini_workshop.exercises import is_own, own_or
from gemini_workshop.models.feedforward import GatedFeedForward
from gemini_workshop.models.masks import causal_mask
from gemini_workshop.models.multi_head_attention import MultiHeadAttention
print(is_own(own_or(causal_mask)))
print(is_own(own_or(MultiHeadAttention, embed_dim=8, num_heads=2)))
print(is_own(own_or(GatedFeedForward, embed_dim=8, ffn_dim=3, activation="silu")))
from gemini_workshop.models.normalization import RMSNorm
from gemini_workshop.models.plain_transformer import PlainBlock, PlainTransformer
print(is_own(own_or(RMSNorm, dim=8, eps=1e-6)))
sizes = {"embed_dim": 8, "num_heads": 2, "ffn_dim": 3}
print(is_own(own_or(PlainBlock, **sizes)))
print(is_own(own_or(PlainTransformer, vocab_size=9, context_tokens=5, num_layers=2, **sizes)))
"""


class Notebook:
    """Runs cells as a kernel does: in one namespace, each from a file of its own."""

    def __init__(self, folder):
        self.module = sys.modules["cells"] = ModuleType("cells")
        self.folder = folder / "ipykernel_7"
        self.count = 0

    def run(self, cell):
        self.count += 1
        file = str(self.folder / f"{self.count}.py")
        linecache.cache[file] = (len(cell), None, cell.splitlines(keepends=True), file)
        exec(compile(cell, file, "exec"), vars(self.module))

    def check(self, exercise_id, name):
        vars(self.module)[name] = check(exercise_id, vars(self.module)[name])


@pytest.fixture
def notebook(tmp_path, monkeypatch):
    monkeypatch.setenv("GEMINI_WORKSHOP_HOME", str(tmp_path))
    yield Notebook(tmp_path)
    del sys.modules["cells"]


def answers(source):
    """The imports of a lesson as one cell, and each cell with an answer, with the exercise's number and name."""
    cells = re.split(r"^# %%.*\n", source, flags=re.MULTILINE)
    statements = [node for cell in cells if (tree := _tree(cell)) for node in tree.body]
    imports = [ast.unparse(node) for node in statements if isinstance(node, ast.Import | ast.ImportFrom)]
    checks = [match for cell in cells if (match := re.search(r'^(\w+) = check\("(.*?)"', cell, re.MULTILINE))]
    written = {
        name: cell for cell in cells if "# SOLUTION" in cell for name in re.findall(r"^(?:def|class) (\w+)", cell, re.M)
    }
    return "\n".join(imports), [(match[2], match[1], written[match[1]]) for match in checks]


def _tree(cell):
    try:
        return ast.parse(cell)
    except SyntaxError:
        return None


def test_every_answer_is_kept_whatever_else_the_notebook_defines_and_lesson_06_is_built_of_them(notebook, tmp_path):
    for path in sorted((TOP / "notebooks" / "sources").glob("0[1-6]_*.py")):
        imports, written = answers(path.read_text("utf-8"))
        notebook.run(imports)
        for exercise_id, name, cell in written:
            notebook.run(cell)
            vars(notebook.module).update(dict.fromkeys(IN_THE_WAY, torch.zeros(50_000)))
            notebook.check(exercise_id, name)
    assert my_gemini.kept() == [each for each in all_exercises() if "01" < each < "07"]
    used = subprocess.run([sys.executable, "-c", USE], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert used.stdout.split() == ["True"] * 6


BEFORE = """
import functools, math
import torch
import torch.nn.functional as F
from torch import nn
"""
MEANS = """
def softmax(scores, dim=-1):
    e = (scores - scores.amax(dim, keepdim=True)).exp()
    return e / e.sum(dim, keepdim=True)
"""
WAYS = {
    "constants": [
        "LOW, HIGH, SHAPE = -math.inf, 5, (1,)",
        MEANS.replace(".exp()", ".clamp(min=LOW).exp().reshape(scores.shape)"),
    ],
    "a small tensor": ["ONE = torch.tensor([1.0])", MEANS.replace(".exp()", ".exp() * ONE")],
    "a table of functions": [
        'TABLE = {"low": lambda t: t - t.amax(), "relu": F.relu}',
        MEANS.replace("(scores -", '(TABLE["low"](scores) -').replace("scores.amax", 'TABLE["low"](scores).amax'),
    ],
    "helpers of another cell": [
        "def low(t, n=1): return high(t, n - 1) if n else t",
        "def high(t, n): return low(t, n)",
        MEANS.replace("(scores -", "(low(scores) -"),
    ],
    "an import of another cell": ["from math import prod as times", MEANS.replace(".exp()", ".exp() * times([1])")],
    "an alias of a type": [
        "Numbers = dict[str, torch.Tensor]",
        MEANS.replace("scores, dim=-1", "scores, dim: Numbers = -1"),
    ],
    "a decorator of torch": [MEANS.replace("def softmax", "@torch.enable_grad()\ndef softmax")],
    "a decorator of the learner": [
        "def seen(f):\n    @functools.wraps(f)\n    def inner(*args, **kwargs):\n        return f(*args, **kwargs)\n    return inner",
        MEANS.replace("def softmax", "@seen\ndef softmax"),
    ],
    "a lambda": ["softmax = lambda scores, dim=-1: (\n    F.softmax(scores,\n              dim)\n)"],
    "a partial": [
        "def general(power, scores, dim=-1):\n    return F.softmax(scores**power, dim)",
        "softmax = functools.partial(general, 1)",
    ],
    "recursion": [
        "def softmax(scores, dim=-1, again=True):\n    return softmax(scores, dim, False) if again else F.softmax(scores, dim)"
    ],
    "an indented definition": [
        "if True:\n    def softmax(scores, dim=-1):\n        '''A text\nflush left.'''\n        return F.softmax(scores, dim)"
    ],
    "a class of the learner": [
        "class Base:\n    sign = 1\n\nclass Power(Base):\n    @staticmethod\n    def of(t): return t ** Base.sign",
        MEANS.replace("(scores -", "(Power.of(scores) -"),
    ],
}


@pytest.mark.parametrize("way", WAYS)
def test_an_answer_is_kept_with_what_it_needs(way, notebook, capsys):
    for cell in [BEFORE, *WAYS[way]]:
        notebook.run(cell)
    notebook.check("02.1", "softmax")
    assert capsys.readouterr().out.splitlines() == ["✓ 02.1 softmax · passed"]
    linecache.clearcache()
    x = torch.randn(2, 3)
    assert torch.allclose(my_gemini.load("02.1", "softmax")(x), x.softmax(-1))


CANNOT = {
    "`table`, a Tensor with 50000 numbers": "table = torch.zeros(50_000)",
    "`table`, a Linear": "table = nn.Linear(2, 2)",
    "`table`, a file of your own": "import types; table = types.ModuleType('mine'); table.__file__ = '/mine.py'",
}


@pytest.mark.parametrize("said", CANNOT)
def test_what_cannot_be_kept_is_told_and_an_older_version_does_not_stay_in_silence(said, notebook, capsys):
    for cell in (BEFORE, CANNOT[said], MEANS):
        notebook.run(cell)
    notebook.check("02.1", "softmax")
    notebook.run("def softmax(scores, dim=-1):\n    table\n    return F.softmax(scores, dim)")
    capsys.readouterr()
    notebook.check("02.1", "softmax")
    heading, why, older = capsys.readouterr().out.splitlines()
    assert heading == "✓ 02.1 softmax · passed"
    assert f"It cannot be saved for later lessons: it uses {said}" in why
    assert "the version of yours that passed before" in older
