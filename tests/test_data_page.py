"""docs/data.md: its Python on batches and tasks runs, and its tables of layouts and tasks are those of the code."""

import re

from typer.testing import CliRunner

from gemini_workshop.cli.main import app
from gemini_workshop.config import load_config, override
from gemini_workshop.data.batches.batch import Batch
from gemini_workshop.data.batches.rows import LAYOUTS
from gemini_workshop.data.tasks import find_task, splits, task_names
from gemini_workshop.data.tasks.emoji import emoji, icons
from gemini_workshop.data.tasks.images import images_of
from tests.clone import TOP
from tests.data.tasks.kit import ALWAYS, HERE, needs_mirror

PAGE = (TOP / "docs" / "data.md").read_text("utf-8")
TASKS = PAGE[PAGE.index("## Tasks") : PAGE.index("## From raw texts")]


def test_the_python_about_batches_runs_on_what_tokenize_writes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["data", "tokenize", "stories", "--vocab-size", "300", "--processes", "1", "--out", "shards/tinystories"]
    assert CliRunner().invoke(app, words).exit_code == 0
    (program,) = re.findall(r"^```python\n(.*?)^```$", PAGE[PAGE.index("## From documents to batches") :], re.M | re.S)
    names = {}
    exec(program.replace("vocab_size=4096", "vocab_size=300"), names)
    assert names["inputs"].shape == names["targets"].shape == names["segment_ids"].shape
    assert isinstance(names["batch"], Batch)


def test_every_layout_of_rows_is_in_the_table_and_can_be_set():
    assert re.findall(r"^\| `(\w+)` \| [^|]+\| \d+ MiB \|$", PAGE, re.M) == list(LAYOUTS)
    for name in LAYOUTS:
        assert override(load_config("tiny"), [f"rows={name}"]).training.rows == name


@needs_mirror
def test_the_page_says_how_many_drawings_have_names_of_one_word():
    names = [{name for split in ("train", "heldout") for name, _ in drawings(split)} for drawings in (emoji, icons)]
    assert "{} emoji and {} icons".format(*map(len, names)) in TASKS


def rows_of_tasks():
    return re.findall(r"^\| `([\w-]+)` \| (.+) \| (.+) \|$", TASKS, re.M)


def test_the_table_of_tasks_is_that_of_the_code():
    assert [name for name, _, _ in rows_of_tasks()] == task_names()
    assert [about for name, about, _ in rows_of_tasks() if name in HERE] == [find_task(name).about for name in HERE]


@needs_mirror
def test_the_table_of_tasks_says_what_they_are_made_of():
    for name, _, corpora in rows_of_tasks():
        assert corpora == (", ".join(f"`{corpus}`" for corpus in find_task(name).corpora) or "generated")


def test_the_python_about_tasks_runs(capsys):
    (program,) = re.findall(r"^```python\n(.*?)^```$", TASKS, re.M | re.S)
    names = {}
    exec(program, names)
    assert capsys.readouterr().out.startswith("['VideoPart', 'TextPart'] ")
    assert len(names["measured"]) == len(names["task"])


def test_the_numbers_about_what_is_held_out_are_those_of_the_code():
    assert f"the last {len(images_of('digits', 'heldout').labels)} of `digits`" in TASKS
    assert f"{len(ALWAYS)}".replace("9", "nine") + " tasks need no download" in TASKS
    assert (splits.STYLE_FRACTION, splits.ICON_FRACTION, splits.HELDOUT_FRACTION) == (1 / 3, 1 / 2, 1 / 10)
    assert splits.MIN_HELDOUT_KEYS == 3
