"""A newer starter keeps every line that a learner wrote: in its cell, or beside it where the lesson changed too."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_output

from gemini_workshop.errors import WorkshopError
from gemini_workshop.lessons.update import EARLIER, updated
from tests.lessons.notebooks import GAP, OTHER_GAP, TEXTS, edited, starter, texts

ANSWER = "def double(x):\n    return 2 * x"
BEGAN_AS = starter()
MINE = edited(BEGAN_AS, {GAP: ANSWER})


def test_an_answer_moves_into_the_new_starter_though_its_cell_has_another_place_and_id():
    shipped = starter("# A lesson", "# A new chapter", *TEXTS[1:])
    update = updated(BEGAN_AS, MINE, shipped)
    assert texts(update.notebook) == ["# A lesson", "# A new chapter", "import math", ANSWER, *TEXTS[3:]]
    assert [cell.id for cell in update.notebook.cells] == [cell.id for cell in shipped.cells]
    assert (update.carried, update.both) == (["90.1"], [])


def test_an_answer_moves_with_its_cell_to_another_place():
    shipped = starter("# A lesson", "import math", *TEXTS[4:], *TEXTS[2:4])
    assert texts(updated(BEGAN_AS, MINE, shipped).notebook) == [
        *("# A lesson", "import math", *TEXTS[4:]),
        *(ANSWER, TEXTS[3]),
    ]


def test_another_length_of_the_answer_is_not_another_exercise():
    shipped = starter(*(text.replace("about 1 line", "about 2 lines") for text in TEXTS))
    update = updated(BEGAN_AS, MINE, shipped)
    assert update.carried == ["90.1"]
    assert "about 2 lines" in texts(update.notebook)[5]


def test_where_the_lesson_changed_the_cell_too_both_are_kept_and_the_old_one_does_not_run():
    new_gap = GAP.replace("double(x)", "double(x, times=1)")
    update = updated(BEGAN_AS, MINE, starter(*(new_gap if text == GAP else text for text in TEXTS)))
    assert texts(update.notebook)[2:4] == [new_gap, f"{EARLIER}\n\n````python\n{ANSWER}\n````"]
    assert update.notebook.cells[3].cell_type == "markdown"
    assert (update.carried, update.both) == ([], ["90.1"])


def test_an_answer_to_an_exercise_that_is_gone_stays_where_it_was():
    update = updated(BEGAN_AS, MINE, starter(*TEXTS[:2], *TEXTS[4:]))
    assert texts(update.notebook)[1:4] == ["import math", f"{EARLIER}\n\n````python\n{ANSWER}\n````", TEXTS[4]]


def test_what_nobody_changed_is_the_new_lessons():
    shipped = starter(*(text.replace("math", "cmath") for text in TEXTS))
    update = updated(BEGAN_AS, BEGAN_AS, shipped)
    assert texts(update.notebook) == texts(shipped)
    assert (update.carried, update.both) == ([], [])


def test_cells_and_notes_of_the_learner_stay_after_the_cell_that_they_followed():
    mine = edited(MINE, {TEXTS[4]: "Think about halves. I did."})
    mine.cells.insert(0, new_code_cell("first = 1"))
    mine.cells.insert(4, new_code_cell("print(double(4))"))
    mine.cells.append(new_code_cell("\n"))
    update = updated(BEGAN_AS, mine, starter("# A new beginning", *TEXTS[1:]))
    assert texts(update.notebook) == [
        *("first = 1", "# A new beginning", "import math", ANSWER, "print(double(4))"),
        *(TEXTS[3], "Think about halves. I did.", *TEXTS[5:]),
    ]
    assert update.carried == ["90.1", "a cell", "a cell of yours", "a cell of yours"]
    nbformat.validate(update.notebook)


def test_outputs_come_along_and_old_figures_of_the_lesson_do_not():
    mine, shipped = nbformat.from_dict(MINE), starter()
    mine.cells[3].outputs = [new_output("stream", text="passed")]
    mine.cells[3].execution_count = 7
    mine.cells[4].attachments = {"old.png": {}}
    shipped.cells[4].attachments = {"new.png": {}}
    cells = updated(BEGAN_AS, mine, shipped).notebook.cells
    assert (cells[3].outputs, cells[3].execution_count) == (mine.cells[3].outputs, 7)
    assert cells[4].attachments == {"new.png": {}}


def test_two_cells_of_the_same_text_each_keep_their_own_answer():
    began_as = starter("# A lesson", "x = ...", "x = ...")
    mine = nbformat.from_dict(began_as)
    mine.cells[1].source, mine.cells[2].source = "x = 1", "x = 2"
    shipped = starter("# Lesson", "x = ...", "x = ...")
    assert texts(updated(began_as, mine, shipped).notebook) == ["# Lesson", "x = 1", "x = 2"]


def test_a_deleted_cell_comes_back_and_a_second_update_changes_nothing():
    mine = nbformat.from_dict(MINE)
    del mine.cells[0]
    shipped = starter("# A lesson", "# A new chapter", *TEXTS[1:])
    once = updated(BEGAN_AS, mine, shipped).notebook
    assert texts(once)[0] == "# A lesson"
    assert updated(shipped, once, shipped).notebook == once


def test_a_notebook_without_the_ids_of_its_cells_is_refused():
    mine = nbformat.from_dict(MINE)
    for cell in mine.cells:
        del cell["id"]
    with pytest.raises(WorkshopError, match="lost their ids"):
        updated(BEGAN_AS, mine, BEGAN_AS)


def test_every_line_that_a_learner_wrote_is_in_the_new_notebook_whatever_the_lesson_changed():
    mine = edited(MINE, {OTHER_GAP: "def half(x):\n    return x / 2", "import math": "import math, sys"})
    for gone in range(len(TEXTS)):
        for shipped in (
            starter(*TEXTS[:gone], *TEXTS[gone + 1 :]),
            starter(*TEXTS[:gone], "y = 1", *TEXTS[gone + 1 :]),
        ):
            text = "\n".join(texts(updated(BEGAN_AS, mine, shipped).notebook))
            for line in (ANSWER, "def half(x):\n    return x / 2", "import math, sys"):
                assert text.count(line) == 1
