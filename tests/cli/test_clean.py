import json

import pytest
from typer.testing import CliRunner

from gemini_workshop.cli.data import app
from gemini_workshop.data.corpora import load_documents
from gemini_workshop.data.documents import read_documents
from gemini_workshop.errors import DataError

SPLITS = ("train", "validation", "test")


def clean(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["clean", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def story() -> str:
    return load_documents("stories")[0]


def test_a_file_becomes_splits_a_report_and_a_figure(tmp_path, story):
    raw = tmp_path / "raw.txt"
    raw.write_text(f"{story}\n\n\n{story}\n\n\n{story[::-1]}\n\n\nshort", "utf-8")
    output = clean(raw, "--out", tmp_path / "out", "--boundary", r"\n\n\n")
    kept = [text for split in SPLITS for text in read_documents(tmp_path / "out" / f"{split}.jsonl")]
    assert sorted(kept) == sorted([story, story[::-1]])
    assert "dropped: exact duplicate" in output
    report = json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))
    assert report["dropped"] == {"exact duplicate": 1, "too short": 1}
    assert report["examples"]["too short"] == ["short"]
    assert (tmp_path / "out" / "report.png").read_bytes().startswith(b"\x89PNG")
    assert len(list((tmp_path / "out").iterdir())) == 5


def test_options_reach_the_recipe(tmp_path):
    raw = tmp_path / "raw.txt"
    raw.write_text("x² to jo@example.org", "utf-8")
    clean(
        *(raw, "--out", tmp_path, "--form", "NFKC", "--min-characters", 5, "--no-scrub"),
        *("--validation", 0, "--test", 0.999),
    )
    assert list(read_documents(tmp_path / "test.jsonl")) == ["x2 to jo@example.org"]


def test_a_corpus_can_be_cleaned_by_name(tmp_path):
    output = clean("stories", "--out", tmp_path)
    assert output.splitlines()[0].split()[:2] == ["read", "1,000"]


def test_a_source_that_is_neither_file_nor_corpus_is_an_error_and_leaves_no_result(tmp_path):
    with pytest.raises(DataError, match="no corpus 'storis'"):
        clean("storis", "--out", tmp_path)
    assert not list(tmp_path.iterdir())


def test_help_shows_an_example():
    assert "gemini-workshop data clean tinystories" in clean("--help")
