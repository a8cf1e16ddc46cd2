"""Which statements of a notebook an answer needs."""

import pytest
from nbformat.v4 import new_code_cell, new_notebook

from gemini_workshop.exercises.core.catalogue import find
from gemini_workshop.grading.answers import Notebook
from gemini_workshop.grading.cells import code_cells, without_magics

CHECK = 'softmax = check("02.1", softmax)'
DEFINED = "def softmax(scores, dim=-1):\n    return scores"


def parts_of(*cells, stand_ins=None, exercise_id="02.1"):
    """The texts that are run for an answer, without empty lines."""
    notebook = Notebook(code_cells(new_notebook(cells=[new_code_cell(cell) for cell in cells])))
    answer = notebook.answer(find(exercise_id), stand_ins or {})
    return [line for _, text in answer.parts for line in text.splitlines() if line], answer


def test_what_it_uses_comes_along_and_nothing_else():
    definition = "def softmax(scores, dim=-1):\n    return helper(scores) * SCALE"
    helper = "def helper(x):\n    return math.exp(x)"
    lines, _ = parts_of("import torch\nimport math", "SCALE = 1.0\nprint(SCALE)", helper, definition, CHECK)
    assert lines == ["import math", "SCALE = 1.0", *helper.splitlines(), *definition.splitlines()]


@pytest.mark.parametrize(
    ("statements", "needed"),
    [
        ("T = {}\nT['a'] = 1\nU = 2", ["T = {}", "T['a'] = 1"]),
        ("T = []\nT.append(1)", ["T = []", "T.append(1)"]),
        ("T = 1\nT += 1", ["T = 1", "T += 1"]),
        ("T = 1\nT = T + 1", ["T = 1", "T = T + 1"]),
        ("T = 1\nT = 2", ["T = 2"]),
        ("for T in range(3):\n    pass", ["for T in range(3):", "    pass"]),
        (
            "try:\n    import T\nexcept ImportError:\n    T = 0",
            ["try:", "    import T", "except ImportError:", "    T = 0"],
        ),
        ("import torch as T\nT.softmax = 0", ["import torch as T"]),
    ],
)
def test_a_name_means_what_it_meant_when_the_check_ran(statements, needed):
    definition = "def softmax(scores, dim=-1):\n    return T"
    lines, _ = parts_of(statements, definition, CHECK, "T = 'later'")
    assert lines == [*needed, *definition.splitlines()]


def test_the_definition_before_the_check_counts_and_a_gap_does_not():
    gap = 'def softmax(scores, dim=-1):\n    raise NotImplementedError("02.1 softmax: your turn")'
    later = "def softmax(scores, dim=-1):\n    return 'later'"
    assert parts_of(DEFINED, CHECK, later)[0] == DEFINED.splitlines()
    assert parts_of(DEFINED, gap, CHECK)[0] == DEFINED.splitlines()
    assert parts_of(gap, CHECK, DEFINED)[0] == DEFINED.splitlines()
    assert parts_of(gap, CHECK)[0] == gap.splitlines()


def test_another_exercise_means_its_stand_in():
    attention = "def scaled_dot_product_attention(query, key, value, mask=None):\n    return softmax(query)"
    stand_in = "from gemini_workshop.models.attention import softmax"
    lines, _ = parts_of(DEFINED, attention, stand_ins={"softmax": stand_in}, exercise_id="02.2")
    assert lines == [stand_in, *attention.splitlines()]
    assert parts_of(DEFINED, attention, exercise_id="02.2")[0] == [*DEFINED.splitlines(), *attention.splitlines()]


def test_lines_keep_their_numbers():
    cell = f"# a comment\nx = 1\n\n{DEFINED}"
    _, answer = parts_of(cell, CHECK)
    assert answer.parts[0][1].splitlines()[3] == DEFINED.splitlines()[0]
    assert answer.first_line == 4


def test_what_cannot_be_parsed_says_where():
    _, answer = parts_of("def softmax(scores:\n    return 1", CHECK)
    assert answer.is_broken
    assert answer.problem[0].startswith("Line 1: `def softmax(scores:`")
    assert parts_of("x = 1")[1].problem == ("No cell defines `softmax`.",)


@pytest.mark.parametrize(
    ("source", "runs"),
    [("%%time\nx = 1", "\nx = 1\n"), ("%%bash\nrm -rf /", ""), ("%%", ""), ("x = 1", "x = 1\n")],
)
def test_magics_of_a_whole_cell(source, runs):
    assert without_magics(source) == runs


@pytest.mark.parametrize("source", ["(" * 5000, "x = " + "-" * 50_000 + "1", "\0", "x" * 200_000])
def test_no_text_breaks_the_reader(source):
    (cell,) = code_cells(new_notebook(cells=[new_code_cell(source)]))
    assert cell.problem
