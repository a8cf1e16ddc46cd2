import pytest

from gemini_workshop.authoring.lint import problems, unchecked
from tests.authoring.lessons import BODY, HEADER_LINES, lesson_with

GAP = "    # SOLUTION\n    x = 1\n    # END SOLUTION\n"
CHECKED = '# %%\ndef f():\n    return 1\n\n\n# %% tags=["check"]\nf = check("90.1", f)\n'


def found(tmp_path, body):
    return problems([lesson_with(tmp_path, body)], ["90.1", "90.2"])


def test_the_lesson_for_tests_is_clean(tmp_path):
    assert found(tmp_path, BODY) == []


@pytest.mark.parametrize(
    ("body", "line", "message"),
    [
        ("# %%\nx = 1\n# !ls\n", 3, "not plain Python"),
        ("# %%\n# %matplotlib inline\n", 2, "not plain Python"),
        ("# %%\n# SOLUTION\nx = 1\n", 2, "never closed"),
        ("# %%\ndef f():\n    # SOLUTION\n    return 1\n    # END SOLUTION\n", 3, "no check follows this gap in f"),
        (CHECKED.replace("    return 1\n", f"{GAP}\n    return 2\n"), 5, "must be the end of"),
        (CHECKED.replace("90.1", "90.8"), 7, "no exercise '90.8'"),
        (CHECKED.replace(' tags=["check"]', ""), 6, "carry the tag check"),
        ('# %% tags=["check"]\nx = 1\n', 1, "carry the tag check"),
        ('# %% tags=["expcted"]\nx = 1\n', 1, "unknown tag 'expcted'"),
        ('# %% [markdown] tags=["expected"]\n# x\n', 1, "tags belong to code cells"),
        ("# %%\ntorch.manual_seed(0)\n", 2, "memory address"),
        ("# %%\nx = 1\nax.plot([1])\n", 3, "memory address"),
        ("# %%\naxes[0].set_title('x')\n", 2, "memory address"),
        ("# %%\ndef f():\n    return 1\n\n\nf\n", 6, "memory address"),
        ("# %%\nopen('/home/ada/text.txt')\n", 2, "an absolute path"),
        ("# %% [markdown]\n# See\n# C:\\Users\\ada.\n", 3, "an absolute path"),
        ("# %%\nimport gemini_workshop.nowhere\n", 2, "no gemini_workshop.nowhere to import"),
        ("# %%\nfrom gemini_workshop.no.where import x\n", 2, "no gemini_workshop.no.where.x to import"),
        ("# %%\nfrom gemini_workshop.errors import WorkError\n", 2, "no gemini_workshop.errors.WorkError to import"),
        ("# %%\nfrom math import *\n", 2, "instead of `\\*`"),
        ("# %%\nimport no_such_library\n", 2, "no no_such_library to import"),
    ],
)
def test_a_problem_is_found_at_its_line(tmp_path, body, line, message):
    [problem] = [text for text in found(tmp_path, body) if message.replace("\\", "") in text]
    assert problem.startswith(f"90_tests.py:{HEADER_LINES + line}: ")


@pytest.mark.parametrize(
    "body",
    [
        "# %%\ntorch.manual_seed(0);\n",
        "# %%\nax.plot([1]);\n",
        "# %%\nplt.show()\n",
        "# %%\ntensor.shape\n",
        "# %%\nf(2)\n",
        "# %% [markdown]\n# See https://arxiv.org/home/1706 and part1/tmp/x.\n",
        "# %%\nimport gemini_workshop.models\nfrom gemini_workshop.models import attention\n",
        "# %%\nfrom gemini_workshop.config.section import Section, option, dataclasses\n",
        "# %%\nimport torch.nn.functional as F\nfrom os import path\n",
    ],
)
def test_what_is_allowed_is_not_reported(tmp_path, body):
    assert found(tmp_path, body) == []


def test_an_exercise_is_checked_once_other_attempts_keep_no_name(tmp_path):
    attempt = lesson_with(tmp_path / "one", CHECKED + '\n# %% tags=["check"]\nfirst = check("90.1", f)\n')
    twice = lesson_with(tmp_path / "two", CHECKED + '\n# %% tags=["check"]\nf = check("90.1", f)\n')
    other = lesson_with(tmp_path / "three", CHECKED, stem="90_others")
    already = f"exercise '90.1' is already checked in 90_tests.py:{HEADER_LINES + 7}."
    assert problems([attempt], ["90.1"]) == []
    assert problems([twice], ["90.1"]) == [f"90_tests.py:{HEADER_LINES + 10}: {already}"]
    assert problems([attempt, other], ["90.1"]) == [f"90_others.py:{HEADER_LINES + 7}: {already}"]


def test_an_exercise_that_no_lesson_checks_is_found(tmp_path):
    lesson = lesson_with(tmp_path, CHECKED)
    assert unchecked([lesson], ["89.1", "90.1"]) == []
    assert unchecked([lesson], ["90.1", "90.2"]) == ["exercise '90.2' is checked in no lesson."]
    attempt = lesson_with(tmp_path, CHECKED.replace("f = check", "first = check"))
    assert unchecked([attempt], ["90.1"]) == ["exercise '90.1' is checked in no lesson."]
