import gzip
import itertools
import json

import pytest

from gemini_workshop.data import corpora
from gemini_workshop.data.batches.reading import (
    check_split,
    in_split,
    is_for_validation,
    parts_of,
    split_documents,
    stream_split,
    stream_text,
)
from gemini_workshop.errors import DataError


def documents(count: int) -> list[str]:
    return [f"Story number {i}." for i in range(count)]


# --- Corpora and files ---


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "marked.txt").write_text("One.\n<|endoftext|>\nTwo,\n\nstill two.<|endoftext|>", "utf-8")
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in ("Three.", "Four.")))
    with gzip.open(tmp_path / "packed.txt.gz", "wt", encoding="utf-8") as file:
        file.write("Five.")
    return tmp_path


def test_a_text_is_one_corpus_or_file_or_several_joined_by_plus(files):
    assert parts_of("stories+marked.txt+stories") == ["stories", "marked.txt", "stories"]
    (files / "a+b.txt").write_text("x")
    assert parts_of("a+b.txt") == ["a+b.txt"]


def test_files_of_all_kinds_are_read_one_after_another(files):
    assert list(stream_text(["marked.txt", "rows.jsonl", "packed.txt.gz", "rows.jsonl"])) == [
        "One.", "Two,\n\nstill two.", "Three.", "Four.", "Five.", "Three.", "Four."
    ]  # fmt: skip


def test_corpora_are_read_by_name_even_where_a_file_is_called_so(files):
    (files / "stories").write_text("Not these.")
    assert list(itertools.islice(stream_text(["stories"]), 3)) == corpora.load_documents("stories")[:3]


def test_plain_text_without_marks_becomes_passages_of_twenty_paragraphs(files):
    paragraphs = [f"Paragraph {i},\nof two lines." for i in range(45)]
    (files / "book.txt").write_text("\n\n\n".join(paragraphs) + "\n", "utf-8")
    whole = ["\n\n".join(paragraphs[first : first + 20]) for first in (0, 20, 40)]
    assert list(stream_text(["book.txt"])) == whole


@pytest.mark.parametrize("name", ["nofile.jsonl", "texts/nofile", "nofile.txt"])
def test_a_missing_file_is_called_a_file(files, name):
    with pytest.raises(DataError, match=rf"There is no file {name}. Check the path, or name a corpus"):
        list(stream_text([name]))


def test_a_name_without_a_file_is_taken_for_a_corpus(files):
    with pytest.raises(DataError, match=r"'storis'\. Did you mean 'stories'\?"):
        list(stream_text(["storis"]))


def test_a_folder_is_not_a_text(files):
    with pytest.raises(DataError, match=r"is a folder, and its text cannot be read"):
        list(stream_text([str(files)]))


# --- Splits ---


def test_the_splits_are_those_in_memory_and_together_they_are_all(files):
    (files / "own.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in documents(80)))
    streamed = {split: list(stream_split(["own.jsonl"], "all", split, 0.2)) for split in ("train", "validation", "all")}
    assert (streamed["train"], streamed["validation"]) == split_documents(documents(80), 0.2)
    assert streamed["all"] == documents(80)
    assert list(in_split(documents(80), "train", 0.2)) == streamed["train"]
    assert all(is_for_validation(text, 0.2) for text in streamed["validation"])


def test_the_check_of_a_split_reads_no_more_than_it_must():
    def endless():
        yield from documents(100)
        raise AssertionError("read to the end")

    check_split(endless(), 0.3)


def test_every_document_is_on_one_split_in_its_order():
    texts = documents(200)
    train, validation = split_documents(texts, 0.2)
    assert sorted(train + validation) == sorted(texts)
    assert train == [text for text in texts if text in set(train)]


def test_the_size_is_near_the_fraction():
    _, validation = split_documents(documents(4000), 0.05)
    assert 200 - 5 * 14 < len(validation) < 200 + 5 * 14  # five standard deviations of a binomial


def test_a_document_keeps_its_split_when_others_come_or_go():
    few, many = documents(300), documents(600)[::-1]
    validation = set(split_documents(few, 0.1)[1])
    assert validation == set(split_documents(many, 0.1)[1]) & set(few)


def test_copies_of_a_document_are_on_one_split():
    train, validation = split_documents(documents(100) * 2, 0.3)
    assert not set(train) & set(validation)


def test_a_larger_fraction_keeps_what_the_smaller_kept():
    texts = documents(500)
    assert set(split_documents(texts, 0.05)[1]) < set(split_documents(texts, 0.1)[1])


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1])
def test_a_fraction_out_of_range_is_an_error(fraction):
    with pytest.raises(DataError, match=rf"validation_fraction={fraction} is outside"):
        split_documents(documents(10), fraction)


def test_an_empty_split_is_an_error():
    with pytest.raises(DataError, match=r"1 documents for training and 0 for validation.*validation_fraction=0.01"):
        split_documents(["a story"], 0.01)


def test_one_text_is_not_a_list_of_documents():
    with pytest.raises(DataError, match="is one text"):
        split_documents("abc", 0.5)
