"""Whether stories hold together: measured on stories that do and that do not."""

import pytest

from gemini_workshop.errors import DataError
from gemini_workshop.evaluation.coherence import (
    coherence,
    first_sentence,
    names_in,
    names_kept,
    quotes_closed,
    sentences_of,
    sentences_repeated,
)

GOOD = 'One day, Tom met a dog. "Hello," said Tom.\n\n"Woof!" the dog said to Tom. They played. Then Tom went home.'


def test_a_name_is_what_has_a_capital_within_a_sentence():
    assert names_in("One day, Tom met Anna. She said hi to Mom. They went to Paris.") == {"Tom", "Anna", "Paris"}
    assert names_in("Once there was a cat. The cat ran. It was big.") == set()


def test_a_name_that_was_introduced_is_kept_and_one_out_of_nowhere_is_not():
    assert names_kept(GOOD) == 1
    assert names_kept(GOOD.replace("Then Tom went", "Then Sam and Lily saw Sam and went")) == pytest.approx(1 / 3)
    assert names_kept(GOOD.replace("to Tom", "to Sam").replace("Then Tom", "Then Sam")) == 0
    assert names_kept("There was a cat. It ran. It ate. It slept.") is None


def test_a_name_at_the_beginning_of_a_sentence_introduces_it():
    assert names_kept("Tom ran. He ran far. It was late. Then, at home, Tom slept.") == 1


def test_a_quotation_that_is_never_closed_is_counted_by_paragraph():
    assert quotes_closed(GOOD) == 1
    assert quotes_closed(GOOD.replace('Woof!"', "Woof!")) == 0.5
    assert quotes_closed("“Hello,” he said.\n“Woof!") == 0.5
    assert quotes_closed("Nobody spoke.") is None


def test_sentences_said_before_are_counted_within_a_story_alone():
    assert sentences_repeated("He ran. She ran. He ran. He ran.") == 0.5
    assert sentences_repeated(GOOD) == 0
    assert coherence(["He ran.", "He ran."]).sentences_repeated == 0


def test_sentences_end_also_inside_quotations():
    assert sentences_of('"Run!" he said. "Why?" she asked. Good.') == [
        '"Run!',
        "he said.",
        '"Why?',
        "she asked.",
        "Good.",
    ]
    assert first_sentence(GOOD) == "One day, Tom met a dog."


def test_what_cannot_be_measured_in_a_story_does_not_count():
    found = coherence([GOOD, "There was a cat. It ran."])
    assert (found.names_kept, found.quotes_closed) == (1, 1)
    assert found.words == (len(GOOD.split()) + 6) / 2
    assert coherence(["It ran."]).names_kept is None


def test_there_must_be_a_story():
    with pytest.raises(DataError, match="no stories"):
        coherence([])
