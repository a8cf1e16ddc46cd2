import base64
import json
from functools import partial
from pathlib import Path

import nbformat
import pytest

from gemini_workshop.authoring import build as module
from gemini_workshop.authoring.build import WIDGET, WIDGET_FALLBACK, BuildError, build, write
from gemini_workshop.authoring.cells import Cell
from gemini_workshop.authoring.outputs import png_size
from gemini_workshop.authoring.source import read_lesson
from tests.authoring.lessons import BODY, lesson_with, notebooks_with


@pytest.fixture(scope="module")
def notebooks(tmp_path_factory):
    """A notebooks folder with one lesson, built."""
    folder = notebooks_with(tmp_path_factory.mktemp("built"))
    write(build(the_lesson(folder), folder), folder)
    return folder


def the_lesson(notebooks):
    return read_lesson(next((notebooks / "sources").iterdir()))


def read(notebooks, flavour):
    return nbformat.read(notebooks / "part9_tests" / f"90_tests_{flavour}.ipynb", as_version=4)


def built_from(tmp_path, body):
    lesson = lesson_with(tmp_path, "# %%\n" + body, kind="single", part='""')
    return build(lesson, tmp_path / "notebooks")["90_tests.ipynb"]


def test_both_notebooks_are_valid(notebooks):
    for flavour in ("starter", "solution"):
        nbformat.validate(read(notebooks, flavour))


def test_the_solution_is_run_and_keeps_its_outputs(notebooks):
    cells = {cell.id: cell for cell in read(notebooks, "solution").cells}
    assert cells["90-003"].outputs[0].text == "90.1 passed\n"
    assert [output.output_type for output in cells["90-004"].outputs] == ["stream", "display_data"]
    assert cells["90-005"].outputs[0].text == "for instructors\n"
    assert [cells[f"90-00{i}"].execution_count for i in range(1, 6)] == [1, 2, 3, 4, 5]


def test_cells_for_a_gpu_are_neither_run_here_nor_by_nbval(notebooks):
    cell = read(notebooks, "solution").cells[-1]
    assert "SystemError" in cell.source
    assert (cell.execution_count, cell.outputs) == (None, [])
    assert cell.metadata.tags == ["gpu", "nbval-skip"]


def test_the_starter_has_no_outputs_and_no_counts(notebooks):
    code = [cell for cell in read(notebooks, "starter").cells if cell.cell_type == "code"]
    assert len(code) == 7
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)


def test_each_flavour_has_its_own_cells_and_shared_cells_share_their_id(notebooks):
    starter, solution = ({c.id: c.source for c in read(notebooks, f).cells} for f in ("starter", "solution"))
    assert starter.keys() - solution.keys() == {"90-004-expected", "90-006", "90-welcome"}
    assert solution.keys() - starter.keys() == {"90-005"}


def test_what_to_expect_follows_its_cell_folded_with_text_and_picture(notebooks):
    cells = read(notebooks, "starter").cells
    place = [cell.id for cell in cells].index("90-004")
    expected, output = cells[place + 1], read(notebooks, "solution").cells[4].outputs[1]
    assert expected.source == (
        "<details>\n<summary>You should see</summary>\n\n"
        "```text\nthree is 3\n```\n\n"
        "![One grey pixel.](attachment:90-004-0.png)\n\n</details>"
    )
    assert expected.attachments == {"90-004-0.png": {"image/png": output.data["image/png"]}}


def test_a_starter_greets_who_comes_back_right_after_its_first_code_cell(notebooks):
    cells = [cell for cell in read(notebooks, "starter").cells if cell.cell_type == "code"]
    assert cells[1].id == "90-welcome"
    assert 'welcome_back("90")' in cells[1].source


def test_a_starter_shows_sliders_at_rest_without_being_asked():
    cell = partial(Cell, id="90-001", kind="code", tags=frozenset(), path=Path("90.py"), line=1)
    assert cell(text="def draw(x):\n    return x\n\nexplore(draw, x=slider)").has_expectation
    assert not cell(text="# explore(draw)\nfigure = draw(1)").has_expectation


def test_backticks_in_what_to_expect_do_not_end_its_block():
    cell = nbformat.from_dict({"id": "90-001"})
    output = nbformat.v4.new_output("stream", text="a ``` b\n")
    assert "\n````text\na ``` b\n````\n" in module._expectation(cell, [output]).source


def test_nothing_depends_on_the_machine_or_the_moment(notebooks):
    for flavour in ("starter", "solution"):
        notebook = read(notebooks, flavour)
        assert notebook.metadata == {"kernelspec": module.KERNELSPEC, "language_info": module.LANGUAGE_INFO}
        assert all(cell.metadata.keys() <= {"tags"} for cell in notebook.cells)


def test_building_again_gives_the_same_bytes_and_writes_nothing(notebooks):
    assert write(build(the_lesson(notebooks), notebooks), notebooks) == []


def test_without_execution_unchanged_cells_keep_their_outputs_and_changed_ones_lose_them(notebooks, tmp_path):
    changed = BODY.replace('print("for instructors")', 'print("for teachers")')
    path = tmp_path / "90_tests.py"
    path.write_text((notebooks / "sources" / path.name).read_text("utf-8").replace(BODY, changed), "utf-8")
    cells = {c.id: c for c in build(read_lesson(path), notebooks, execute=False).popitem()[1].cells}
    assert "three is 3" in cells["90-004-expected"].source
    solution = build(read_lesson(path), notebooks, execute=False)["part9_tests/90_tests_solution.ipynb"]
    cells = {c.id: c for c in solution.cells}
    assert cells["90-004"].outputs == read(notebooks, "solution").cells[4].outputs
    assert (cells["90-005"].outputs, cells["90-005"].execution_count) == ([], None)


# Cells whose outputs need care, built together: one kernel for all of them.
CAREFUL = {
    "pieces": "import sys, time\nfor i in range(3):\n    print(i); sys.stdout.flush(); time.sleep(.1)",
    "stderr": "print('50 %', file=sys.stderr)\nprint('done')",
    "widget": "import ipywidgets\nipywidgets.IntSlider()",
    "network": "import socket\ntry:\n    socket.create_connection(('192.0.2.1', 80), timeout=1)\n"
    "except Exception as error:\n    print(type(error).__name__)",
    "environment": "import os\nprint(os.environ['GEMINI_WORKSHOP_HOME'] == 'mine', os.environ['OMP_NUM_THREADS'])",
    "folder": "print(os.path.basename(os.getcwd()))",
    "figure": "from gemini_workshop.visualization.theme import plt, use_theme\nuse_theme()\n"
    "figure, axes = plt.subplots(figsize=(3, 2))\naxes.set(title='A finding', xlabel='step', ylabel='loss');",
    "names": "print([name for name in dir() if 'work' in name or 'offline' in name])",
}


@pytest.fixture(scope="module")
def careful(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GEMINI_WORKSHOP_HOME", "mine")
        patch.setenv("OMP_NUM_THREADS", "3")
        notebook = built_from(tmp_path_factory.mktemp("careful"), "\n\n# %%\n".join(CAREFUL.values()))
    return dict(zip(CAREFUL, notebook.cells, strict=True)), notebook.metadata


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("pieces", "0\n1\n2\n"),
        ("stderr", "done\n"),
        ("network", "NetworkClosedError\n"),
        ("environment", "False 1\n"),
        ("folder", "notebooks\n"),
        ("names", "[]\n"),
    ],
)
def test_what_a_cell_prints_is_stored_whole_and_without_what_differs_elsewhere(careful, cell, text):
    assert [output.text for output in careful[0][cell].outputs] == [text]


def test_a_widget_leaves_a_sentence_behind_and_no_state(careful):
    cells, metadata = careful
    assert cells["widget"].outputs[0].data == {"text/plain": WIDGET_FALLBACK}
    assert "widgets" not in metadata


def test_a_figure_is_stored_with_its_alternative_text_and_twice_as_sharp_as_it_is_shown(careful):
    (output,) = careful[0]["figure"].outputs
    assert output.data["text/plain"] == output.metadata["image/png"]["alt"] == "A finding: loss over step."
    shown = output.metadata["image/png"]["width"], output.metadata["image/png"]["height"]
    assert 250 < shown[0] < 330
    stored = png_size(base64.b64decode(output.data["image/png"]))
    assert [pixels // 2 for pixels in stored] == list(shown)


def test_a_widget_that_brings_a_picture_leaves_the_picture():
    cell = nbformat.v4.new_code_cell("x", execution_count=1)
    data = {"text/plain": "<Figure>", "image/png": "aGk=", WIDGET: {"model_id": "1"}}
    output = module._tidy_output(cell, nbformat.v4.new_output("display_data", data=data))
    assert output.data == {"text/plain": "<Figure>", "image/png": "aGk="}


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("object()", "90-000 shows a memory address.*object at 0x"),
        ("import os\nprint(os.path.realpath('/usr/bin'))", "90-000 shows an absolute path.*/usr/bin"),
        ("from IPython.display import Image\nImage(b'PNG', format='png')", "90-000 shows an image without an alt"),
        ("import warnings\nwarnings.warn('old')", r"90-000 shows a warning(.|\n)*UserWarning: old"),
        ("x = 1\n\ny = x / 0", r"Cell 90-000 raised an error:\nx = 1(.|\n)*ZeroDivisionError"),
        ("import os\nos._exit(1)", "DeadKernelError"),
    ],
)
def test_an_output_that_must_not_be_stored_stops_the_build(tmp_path, code, message):
    with pytest.raises(BuildError, match=message):
        built_from(tmp_path, code)


def test_notebooks_are_written_with_unix_line_ends_and_a_last_newline(notebooks):
    content = (notebooks / "part9_tests" / "90_tests_starter.ipynb").read_bytes()
    assert content.endswith(b"}\n")
    assert b"\r" not in content
    assert json.loads(content)["nbformat_minor"] == 5
