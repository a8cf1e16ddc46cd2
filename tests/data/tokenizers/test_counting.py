from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tqdm import tqdm

from gemini_workshop.data.tokenizers import counting
from gemini_workshop.data.tokenizers.counting import count_words
from gemini_workshop.data.tokenizers.splitting import split_words, to_utf8
from tests.data.tokenizers.samples import ANY_TEXT, TEXT


def counted_one_by_one(documents: list[str], pattern: str) -> list[tuple[bytes, int]]:
    texts = [to_utf8(document).decode() for document in documents]
    return list(Counter(word.encode() for text in texts for word in split_words(text, pattern)).items())


@pytest.mark.parametrize("pattern", ["gpt2", "cl100k", "o200k", "whole"])
@settings(max_examples=50, deadline=None)
@given(documents=st.lists(ANY_TEXT, max_size=5))
def test_words_are_counted_in_the_order_of_first_occurrence(pattern, documents):
    assert list(count_words(documents, pattern).items()) == counted_one_by_one([d for d in documents if d], pattern)


def test_the_number_of_processes_does_not_matter(monkeypatch):
    monkeypatch.setattr(counting, "BATCH_CHARACTERS", 300)
    documents = [f"{TEXT} number {i}" for i in range(7)]
    assert list(count_words(documents, processes=2).items()) == counted_one_by_one(documents, "gpt2")


@pytest.mark.parametrize("processes", [1, 2])
def test_no_more_documents_are_read_than_are_being_counted(processes, monkeypatch):
    """What is read runs ahead of what is counted by a few batches, not by the corpus."""
    monkeypatch.setattr(counting, "BATCH_CHARACTERS", 10)
    read: list[int] = []

    def documents():
        for i in range(50):
            read.append(i)
            yield "ten letters"

    batches = counting._counted_batches(counting._batches(documents()), "gpt2", processes)
    next(batches)
    assert len(read) <= 2 * processes
    assert 1 + sum(1 for _ in batches) == 50


def test_progress_is_shown_on_request_only(capsys, monkeypatch):
    monkeypatch.setattr(counting, "tqdm", lambda **options: tqdm(**options | {"delay": 0}))
    count_words(["a"])
    assert capsys.readouterr().err == ""
    count_words(["abc"], progress=True)
    assert "characters: 3.00" in capsys.readouterr().err
