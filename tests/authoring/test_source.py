import ast

import pytest

from gemini_workshop.authoring.cells import SourceError
from gemini_workshop.authoring.source import find_sources, read_lesson, with_levels
from gemini_workshop.errors import WorkshopError
from gemini_workshop.exercises.core.catalogue import find
from tests.authoring.lessons import BODY, HEADER, HEADER_LINES, lesson_with, notebooks_with

METHOD = """\
# %%
class Norm:
    scale = 1

    def forward(self, x):
        # SOLUTION
        return x
        # END SOLUTION

    def backward(self, x):
        y = x
        # SOLUTION
        return y
        # END SOLUTION


# %% tags=["check"]
Norm = check("90.7", Norm)
"""


def test_the_heading_of_an_exercise_is_followed_by_its_difficulty_and_importance():
    difficulty, importance = find("02.3").difficulty, find("02.3").importance
    assert with_levels("# Title\n### Exercise 02.3 · `causal_mask` (8 minutes)\n\nDraw it.") == (
        "# Title\n### Exercise 02.3 · `causal_mask` (8 minutes)\n\n"
        f"*Difficulty {difficulty} of 5 · importance {importance} of 5*\n\nDraw it."
    )
    unknown = "### Exercise 90.1 · `add_one` (1 minute)"
    assert with_levels(unknown) == unknown


def text_of(lesson, position, flavour="starter"):
    return lesson.text(lesson.cells[position], flavour)


def test_the_starter_keeps_signature_docstring_and_steps_and_drops_the_rest(tmp_path):
    assert text_of(lesson_with(tmp_path), 2) == (
        "def add_one(number: int) -> int:\n"
        '    """The next number."""\n'
        "    # TODO (about 2 lines)\n"
        "    # 1. Add one\n"
        "    #    and not two.\n"
        "    # 2. Give it back.\n"
        '    raise NotImplementedError("90.1 add_one: your turn")'
    )


def test_the_solution_loses_the_two_markers_and_nothing_else(tmp_path):
    lesson = lesson_with(tmp_path)
    lines = lesson.cells[2].text.splitlines()
    expected = [line for line in lines if line.strip() not in ("# SOLUTION", "# END SOLUTION")]
    assert len(lines) - len(expected) == 2
    assert text_of(lesson, 2, "solution").splitlines() == expected


def test_each_gap_of_a_class_names_its_method_and_the_exercise_of_the_class(tmp_path):
    starter = text_of(lesson_with(tmp_path, METHOD), 0)
    assert '        raise NotImplementedError("90.7 Norm.forward: your turn")' in starter
    assert '        raise NotImplementedError("90.7 Norm.backward: your turn")' in starter
    assert starter.count("# TODO (about 1 line)\n") == 2
    assert "y = x" in starter


def test_a_gap_outside_functions_is_three_dots(tmp_path):
    body = "# %%\nif True:\n    # SOLUTION\n    total = 1\n    total += 1\n    # END SOLUTION\n"
    starter = text_of(lesson_with(tmp_path, body), 0)
    assert starter == "if True:\n    # TODO (about 2 lines)\n    ..."
    ast.parse(starter)


def test_a_check_cell_with_two_calls_gives_each_gap_its_own_exercise(tmp_path):
    gap = "# %%\ndef {0}():\n    # SOLUTION\n    return 1\n    # END SOLUTION\n\n"
    body = gap.format("f") + gap.format("g") + '# %% tags=["check"]\nf = check("90.1", f)\ng = check("90.2", g)\n'
    lesson = lesson_with(tmp_path, body)
    assert '"90.1 f: your turn"' in text_of(lesson, 0)
    assert '"90.2 g: your turn"' in text_of(lesson, 1)


@pytest.mark.parametrize(
    ("body", "line", "message"),
    [
        ("# %%\n# SOLUTION\nx = 1\n", 2, "# SOLUTION is never closed"),
        ("# %%\nx = 1\n# END SOLUTION\n", 3, "# END SOLUTION without # SOLUTION"),
        ("# %%\n# SOLUTION\nx = 1\n# SOLUTION\nx = 2\n# END SOLUTION\n", 4, "a second # SOLUTION"),
        ("# %%\nx = 1\n# SOLUTION\n# 1. step\n# END SOLUTION\n", 3, "the region holds no code"),
        ('# %%\nx = 1\ncheck("90.1", lambda: 1)\n', 3, r'write check\("02.1", name\)'),
    ],
)
def test_a_broken_cell_is_reported_at_its_line(tmp_path, body, line, message):
    cell = lesson_with(tmp_path, body).cells[0]
    with pytest.raises(SourceError, match=rf"^90_tests.py:{HEADER_LINES + line}: .*{message}"):
        _ = cell.regions, cell.checks


def test_lines_are_counted_past_a_cell_marker_inside_a_string(tmp_path):
    body = '# %%\ntext = """\n# %% not a cell\n"""\n\n# %%\nx = 1\n'
    lesson = lesson_with(tmp_path, body)
    assert [cell.line for cell in lesson.cells] == [HEADER_LINES + 2, HEADER_LINES + 7]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("minutes: 5", "minuets: 5", "no key in the header called 'minuets'. Did you mean 'minutes'"),
        ("#     minutes: 5\n", "", "lacks minutes"),
        ("kind: pair", "kind: peer", "no kind of lesson 'peer'. Did you mean 'pair'"),
        ('lesson: "90"', 'lesson: "91"', "the header says lesson '91'"),
        ("# %% [markdown]\n", "", "every cell must begin"),
        ("# %% [markdown]\n", "# %% [raw]\n", "a raw cell"),
        ("import io\n", "%matplotlib inline\n", "not plain Python"),
    ],
)
def test_a_broken_file_is_an_error_that_says_what_is_wrong(tmp_path, old, new, message):
    path = notebooks_with(tmp_path) / "sources" / "90_tests.py"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(SourceError, match=r"90_tests.py:\d+: .*" + message):
        read_lesson(path)


def test_a_pair_gives_two_notebooks_and_a_single_one(tmp_path):
    assert lesson_with(tmp_path).files == {
        "solution": "part9_tests/90_tests_solution.ipynb",
        "starter": "part9_tests/90_tests_starter.ipynb",
    }
    assert lesson_with(tmp_path, kind="single", part='""').files == {"solution": "90_tests.ipynb"}


def test_an_unknown_lesson_is_an_error_that_names_the_known_ones(tmp_path):
    notebooks = notebooks_with(tmp_path)
    assert [path.name for path in find_sources(notebooks, ["90"])] == ["90_tests.py"]
    with pytest.raises(WorkshopError, match=r"There is no lesson '91'. Did you mean '90'"):
        find_sources(notebooks, ["91"])


def test_the_lesson_for_tests_is_itself_plain_python():
    ast.parse(HEADER + BODY)
