import gzip
import json

import pytest

from gemini_workshop.data import documents
from gemini_workshop.data.documents import read_documents
from gemini_workshop.errors import DataError


def test_documents_end_at_the_boundary_and_empty_ones_are_left_out(tmp_path):
    path = tmp_path / "stories.txt"
    path.write_text("\ufeffOne.\n<|endoftext|>\n\n<|endoftext|> Two.\nStill two.", "utf-8")
    assert list(read_documents(path)) == ["One.", "Two.\nStill two."]
    assert list(read_documents(path, boundary="\n")) == ["One.", "<|endoftext|>", "<|endoftext|> Two.", "Still two."]


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 13, 1000])
def test_a_boundary_that_spans_two_pieces_is_found(tmp_path, monkeypatch, piece):
    monkeypatch.setattr(documents, "PIECE_CHARACTERS", piece)
    path = tmp_path / "stories.txt"
    path.write_text("One.<|endoftext|>Two <|endof<|endoftext|><|endoftext|>Three.", "utf-8")
    assert list(read_documents(path)) == ["One.", "Two <|endof", "Three."]


def test_a_document_comes_before_the_file_has_been_read_to_its_end(tmp_path, monkeypatch):
    path = tmp_path / "stories.txt"
    path.write_text("One.<|endoftext|>" + "x" * 1_000_000)
    stream = documents.open_text(path)
    monkeypatch.setattr(documents, "open_text", lambda _: stream)
    found = read_documents(path)
    assert next(found) == "One."
    assert len(stream.read()) > 900_000


def test_jsonl_holds_one_text_per_line_and_may_be_compressed(tmp_path):
    lines = "".join(json.dumps({"text": text, "id": 1}) + "\n" for text in ("One.\n\nA.", " ", "Two é."))
    (tmp_path / "a.jsonl").write_text(lines + "\n", "utf-8")
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    for name in ("a.jsonl", "a.jsonl.gz"):
        assert list(read_documents(tmp_path / name)) == ["One.\n\nA.", "Two é."]


@pytest.mark.parametrize("line", ['{"txt": "x"}', '{"text": 3}', "[1]", "{", '"text"'])
def test_a_line_without_a_text_is_an_error_that_names_it(tmp_path, line):
    (tmp_path / "a.jsonl").write_text(f'{{"text": "fine"}}\n{line}\n', "utf-8")
    with pytest.raises(DataError, match=r"a\.jsonl, line 2, is .*, not an object like"):
        list(read_documents(tmp_path / "a.jsonl"))


def test_a_file_that_is_missing_or_damaged_is_an_error(tmp_path):
    (tmp_path / "cut.txt.gz").write_bytes(gzip.compress(b"text" * 100)[:-10])
    for name in ("none.txt", "cut.txt.gz", "."):
        with pytest.raises(DataError, match="cannot be read"):
            list(read_documents(tmp_path / name))


def test_bytes_that_are_not_utf_8_do_not_stop_the_stream(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"caf\xe9<|endoftext|>two")
    assert list(read_documents(tmp_path / "a.txt")) == ["caf�", "two"]


def test_a_boundary_must_be_something(tmp_path):
    with pytest.raises(DataError, match="boundary='' separates nothing"):
        list(read_documents(tmp_path / "a.txt", boundary=""))
