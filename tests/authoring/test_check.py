import base64
import io
import shutil

import nbformat
import pytest
from matplotlib.image import imsave
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from gemini_workshop.authoring.build import build, write
from gemini_workshop.authoring.check import compare, differences, orphans, settle
from gemini_workshop.authoring.source import read_lesson
from tests.authoring.lessons import notebooks_with


def png(width, height, level=0.0):
    file = io.BytesIO()
    imsave(file, [[level] * width] * height, vmin=0, vmax=1, format="png")
    return base64.b64encode(file.getvalue()).decode()


def notebook(text="print(1)\nx = 2", printed="1\n", picture=None, tags=()):
    outputs = [new_output("stream", text=printed)]
    if picture:
        outputs.append(new_output("display_data", data={"image/png": picture}))
    code = new_code_cell(text, id="02-001", outputs=outputs, execution_count=1, metadata={"tags": list(tags)})
    return new_notebook(cells=[new_markdown_cell("# Title", id="02-000"), code])


def compared(changed, base=None):
    return compare(base or notebook(), changed)


def test_equal_notebooks_have_no_differences():
    assert compared(notebook()) == []


def test_a_changed_line_is_shown_with_its_cell():
    assert compared(notebook(text="print(1)\nx = 3")) == ["cell 02-001 (- committed, + rebuilt)\n  - x = 2\n  + x = 3"]


def test_all_changes_of_a_cell_stand_under_one_heading():
    [found] = compared(notebook(text="print(2)\nx = 2", printed="2\n"))
    assert found.splitlines()[1:] == ["  - print(1)", "  + print(2)", "  - 1", "  + 2"]


def test_a_changed_output_is_shown():
    assert compared(notebook(printed="2\n")) == ["cell 02-001 (- committed, + rebuilt)\n  - 1\n  + 2"]


def test_an_inserted_cell_does_not_hide_that_the_others_are_equal():
    changed = notebook()
    changed.cells.insert(1, new_markdown_cell("New", id="02-001"))
    changed.cells[2].id = "02-002"
    assert compared(changed) == ["cell 02-001 (- committed, + rebuilt)\n  + [markdown]\n  + New"]


def test_a_changed_id_tag_or_kernel_is_a_difference():
    other_id, other_kernel = notebook(), notebook()
    other_id.cells[0].id = "02-007"
    other_kernel.metadata["kernelspec"] = {"name": "r"}
    assert compared(other_id) == ["cell 02-007: the id, the tags or other metadata differ"]
    assert compared(notebook(tags=["slow"])) == ["cell 02-001: the id, the tags or other metadata differ"]
    assert compared(other_kernel) == ["the notebook's metadata differ"]


@pytest.mark.parametrize("changed", [png(200, 100, 0.5), png(204, 100), None])
def test_images_are_compared_exactly(changed):
    [line] = compared(notebook(picture=changed), notebook(picture=png(200, 100)))
    assert line.startswith("cell 02-001")


def test_the_sizes_of_images_that_differ_are_named():
    [line] = compared(notebook(picture=png(300, 100)), notebook(picture=png(200, 100)))
    assert "200x100" in line
    assert "300x100" in line


def test_an_output_that_agrees_is_settled_and_one_that_does_not_is_left():
    stored = notebook(printed="loss 0.52\n", tags=["rounded"])
    near, far = (notebook(printed=text, tags=["rounded"]) for text in ("loss 0.53\n", "loss 0.54\n"))
    settle(near, stored)
    settle(far, stored)
    assert near.cells[1].outputs == stored.cells[1].outputs
    assert far.cells[1].outputs[0].text == "loss 0.54\n"


@pytest.fixture(scope="module")
def built_once(tmp_path_factory):
    notebooks = notebooks_with(tmp_path_factory.mktemp("built"))
    write(build(read_lesson(notebooks / "sources" / "90_tests.py"), notebooks), notebooks)
    return notebooks


@pytest.fixture
def built(built_once, tmp_path):
    """A built lesson to spoil."""
    notebooks = shutil.copytree(built_once, tmp_path / "notebooks")
    return notebooks, read_lesson(notebooks / "sources" / "90_tests.py")


def test_a_built_lesson_has_no_differences_and_any_edit_of_it_has(built):
    notebooks, lesson = built
    assert list(differences(lesson, notebooks, execute=False)) == []
    assert list(differences(lesson, notebooks, execute=True)) == []
    assert orphans([lesson], notebooks) == []
    solution = notebooks / lesson.files["solution"]
    edited = nbformat.read(solution, as_version=4)
    edited.cells[3].outputs[0].text = "90.1 excellent\n"
    nbformat.write(edited, solution)
    assert list(differences(lesson, notebooks, execute=False)) == []
    [line] = differences(lesson, notebooks, execute=True)
    assert line == (
        "part9_tests/90_tests_solution.ipynb · cell 90-003 (- committed, + rebuilt)\n"
        "  - 90.1 excellent\n  + 90.1 passed"
    )


def test_a_starter_that_shows_an_older_output_than_the_solution_is_found_without_running(built):
    notebooks, lesson = built
    solution = notebooks / lesson.files["solution"]
    edited = nbformat.read(solution, as_version=4)
    edited.cells[4].outputs[0].text = "three is 4\n"
    nbformat.write(edited, solution)
    [line] = differences(lesson, notebooks, execute=False)
    assert line.startswith("part9_tests/90_tests_starter.ipynb · cell 90-004-expected")


def test_a_missing_notebook_a_cell_never_run_and_an_orphan_are_named(built):
    notebooks, lesson = built
    (notebooks / lesson.files["starter"]).rename(notebooks / "part9_tests" / "91_old_starter.ipynb")
    solution = nbformat.read(notebooks / lesson.files["solution"], as_version=4)
    solution.cells[3].update(outputs=[], execution_count=None)
    nbformat.write(solution, notebooks / lesson.files["solution"])
    assert list(differences(lesson, notebooks, execute=False)) == [
        "part9_tests/90_tests_solution.ipynb · 90-003 was never run. Run: gemini-workshop notebooks build 90",
        "part9_tests/90_tests_starter.ipynb is missing. Run: gemini-workshop notebooks build 90",
    ]
    assert orphans([lesson], notebooks) == ["part9_tests/91_old_starter.ipynb"]
