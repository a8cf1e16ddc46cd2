"""The committed notebooks, their sources and the package say the same. Nothing is run."""

import ast
import inspect
import re
import textwrap

import pytest

from gemini_workshop.authoring.check import differences, orphans
from gemini_workshop.authoring.lint import problems, unchecked
from gemini_workshop.exercises.core.catalogue import all_exercises
from tests.notebooks.lessons import LESSONS, NOTEBOOKS, PAIRS, committed, name, verdicts

every_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=name)
every_pair = pytest.mark.parametrize("lesson", PAIRS, ids=name)

MEGABYTE = 1_000_000
REGION = re.compile(r"^ *# SOLUTION\n(.*?)\n *# END SOLUTION$", re.MULTILINE | re.DOTALL)
GAP = re.compile(
    r"^( *)# TODO \(about \d+ lines?\)\n(?: *#.*\n)*\1(?:raise NotImplementedError\(.*\)|\.\.\.)$", re.MULTILINE
)


def test_the_sources_hold_nothing_that_a_lesson_must_not_hold():
    found = problems(LESSONS, all_exercises())
    assert not found, "\n".join(found)


def test_every_exercise_is_checked():
    assert unchecked(LESSONS, all_exercises()) == []


@every_lesson
def test_the_committed_notebooks_are_what_the_source_gives(lesson):
    found = list(differences(lesson, NOTEBOOKS, execute=False))
    assert not found, "\n".join(found)


def test_every_notebook_has_a_source():
    assert orphans(LESSONS, NOTEBOOKS) == []


@every_pair
def test_a_starter_with_the_answers_put_back_is_the_solution(lesson):
    answers = iter(REGION.findall(lesson.path.read_text("utf-8")))
    starter, solution = (
        {cell.id: cell.source for cell in committed(lesson, flavour).cells} for flavour in ("starter", "solution")
    )
    for cell_id in starter:
        if cell_id in solution:
            assert GAP.sub(lambda _: next(answers), starter[cell_id]) == solution[cell_id]
    assert list(answers) == []


@every_pair
def test_a_starter_gives_no_answer_away(lesson):
    text = "\n".join(cell.source for cell in committed(lesson, "starter").cells)
    assert text.count("# TODO (about") == sum(len(cell.regions) for cell in lesson.cells)
    assert "SOLUTION" not in text


@pytest.mark.parametrize("lesson", LESSONS, ids=name)
def test_every_figure_has_an_alternative_text_of_its_own_and_so_has_its_copy_in_the_starter(lesson):
    told = [
        output.metadata.get("image/png", {}).get("alt", "")
        for cell in committed(lesson, "solution").cells
        for output in cell.get("outputs", ())
        if "image/png" in output.get("data", {})
    ]
    assert [text for text in told if len(text) < 40] == []
    if lesson in PAIRS:
        copies = "\n".join(cell.source for cell in committed(lesson, "starter").cells if cell.get("attachments"))
        shown = re.findall(r"!\[(.*)\]\(attachment:", copies)
        assert [text for text in shown if len(text) < 40] == []
        assert len(shown) <= len(told)


@every_lesson
def test_a_notebook_weighs_at_most_a_megabyte(lesson):
    for flavour in lesson.files:
        assert (NOTEBOOKS / lesson.files[flavour]).stat().st_size <= MEGABYTE, lesson.files[flavour]


@every_pair
def test_every_check_of_the_stored_solution_has_passed(lesson):
    for exercise_id, verdict in verdicts(committed(lesson, "solution"), lesson).items():
        assert "passed" in verdict, f"{exercise_id}: {verdict}"


@every_lesson
def test_what_a_lesson_defines_has_the_signature_that_the_package_has(lesson):
    exercises = all_exercises()
    trees = [cell.tree for cell in lesson.cells if cell.kind == "code"]
    defined = {node.name: node for tree in trees for node in tree.body if hasattr(node, "name")}
    for call in lesson.checks:
        reference = exercises[call.exercise_id].reference
        assert call.function == reference.__name__
        [package] = ast.parse(textwrap.dedent(inspect.getsource(reference))).body
        expected = signatures(package)
        for function, signature in signatures(defined[call.function]).items():
            assert signature == expected[function]


def signatures(node):
    """The first line of a function, or of every method of a class, by name."""
    if isinstance(node, ast.ClassDef):
        methods = (child for child in node.body if isinstance(child, ast.FunctionDef))
        return {f"{node.name}.{key}": line for method in methods for key, line in signatures(method).items()}
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return {node.name: f"{node.name}({ast.unparse(node.args)}){returns}"}


def test_lesson_00_names_the_lessons_that_do_not_exist_yet():
    prose = LESSONS[0].path.read_text("utf-8").replace("\n# ", " ")
    (named,) = re.findall(r"Lessons? ([\d, and]+) (?:is|are) still being written", prose)
    exist = {lesson.id for lesson in LESSONS}
    assert set(re.findall(r"\d\d", named)) == {f"{number:02d}" for number in range(15)} - exist
