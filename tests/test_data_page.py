"""docs/data.md: the Python of its section on batches runs on shards that its commands would have written."""

import re

from typer.testing import CliRunner

from gemini_workshop.cli.main import app
from gemini_workshop.config import load_config, override
from gemini_workshop.data.batches.batch import Batch
from gemini_workshop.data.batches.rows import LAYOUTS
from tests.clone import TOP

PAGE = (TOP / "docs" / "data.md").read_text("utf-8")


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
