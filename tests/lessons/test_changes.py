"""What a learner changed, exercise by exercise."""

import nbformat
from nbformat.v4 import new_code_cell

from gemini_workshop.lessons.changes import changes
from tests.lessons.notebooks import GAP, TEXTS, edited, starter

BEGAN_AS = starter()


def found(mine):
    return [(change.exercise, list(change.lines)) for change in changes(BEGAN_AS, mine)]


def test_an_untouched_copy_has_no_changes():
    assert found(BEGAN_AS) == []


def test_an_answer_is_a_change_of_its_exercise():
    mine = edited(BEGAN_AS, {GAP: "def double(x):\n    return 2 * x"})
    lines = [" def double(x):", "-    # TODO (about 1 line)", "+    return 2 * x"]
    lines.insert(2, '-    raise NotImplementedError("90.1 double: your turn")')
    assert found(mine) == [("90.1", lines)]


def test_an_answer_whose_name_was_changed_still_belongs_to_its_exercise():
    assert found(edited(BEGAN_AS, {GAP: "def twice(x): ..."}))[0][0] == "90.1"


def test_cells_added_changed_and_deleted_elsewhere_are_changes_of_no_exercise():
    mine = edited(BEGAN_AS, {"import math": "import cmath"})
    mine.cells.append(new_code_cell("print(1)"))
    del mine.cells[4]
    assert found(mine) == [("", ["-import math", "+import cmath"]), ("", ["+print(1)"]), ("", [f"-{TEXTS[4]}"])]


def test_an_empty_cell_and_outputs_are_no_change():
    mine = nbformat.from_dict(BEGAN_AS)
    mine.cells.append(new_code_cell(""))
    mine.cells[1].execution_count = 3
    assert found(mine) == []
