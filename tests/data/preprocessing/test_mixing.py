from itertools import islice

import pytest

from gemini_workshop.data.preprocessing.mixing import Mixture
from gemini_workshop.errors import DataError

CORPORA = {
    "long": lambda: (f"long document {i} " * 20 for i in range(50)),
    "short": lambda: (f"s{i}" for i in range(70)),
    "middle": lambda: ["m" * n for n in (3, 90, 40, 1)],
}
WEIGHTS = {"long": 5.0, "short": 2.0, "middle": 3.0}


def test_the_shares_hold_at_every_moment_up_to_a_document():
    mixture = Mixture(CORPORA, WEIGHTS)
    longest = 400
    for _, (name, _document) in zip(range(2000), mixture, strict=False):
        total = sum(mixture.characters.values())
        for name in CORPORA:
            assert abs(mixture.characters[name] - total * WEIGHTS[name] / 10) <= longest


def test_every_document_comes_in_order_and_a_corpus_that_ends_begins_anew():
    drawn = [document for name, document in islice(Mixture(CORPORA, WEIGHTS), 3000) if name == "middle"]
    assert drawn[:9] == ["m" * n for n in (3, 90, 40, 1, 3, 90, 40, 1, 3)]


def test_the_epochs_are_counted():
    mixture = Mixture(CORPORA, WEIGHTS)
    drawn = [name for name, _ in islice(mixture, 500)]
    assert mixture.epochs["middle"] == (drawn.count("middle") - 1) // 4
    assert mixture.epochs["short"] == (drawn.count("short") - 1) // 70


@pytest.mark.parametrize("stop", [0, 1, 7, 123])
def test_a_mixture_that_resumes_goes_on_as_if_it_had_not_stopped(stop):
    whole = list(islice(Mixture(CORPORA, WEIGHTS), 300))
    first = Mixture(CORPORA, WEIGHTS)
    begun = list(islice(first, stop))
    second = Mixture(CORPORA, WEIGHTS)
    second.load_state_dict(first.state_dict())
    assert begun + list(islice(second, 300 - stop)) == whole
    assert second.state_dict() != first.state_dict()


def test_no_corpus_is_opened_before_it_is_needed():
    opened = []
    mixture = Mixture(
        {"a": lambda: opened.append("a") or ["x"], "b": lambda: opened.append("b") or ["y"]}, {"a": 1.0, "b": 1.0}
    )
    assert opened == []
    next(mixture)
    assert opened == ["a"]


def test_weights_must_fit_the_corpora():
    with pytest.raises(DataError, match=r"Corpora \['a'\], but weights \['b'\]"):
        Mixture({"a": list}, {"b": 1.0})
    with pytest.raises(DataError, match=r"weights\['a'\]=0\.0 is not positive"):
        Mixture({"a": list}, {"a": 0.0})


def test_an_empty_corpus_is_an_error():
    with pytest.raises(DataError, match="corpus a is empty"):
        next(Mixture({"a": list}, {"a": 1.0}))


def test_a_state_of_other_corpora_is_an_error():
    mixture = Mixture(CORPORA, WEIGHTS)
    with pytest.raises(DataError, match=r"state is of corpora \['a'\], not \['long'"):
        mixture.load_state_dict({"places": {"a": 1}, "characters": {}, "epochs": {}})
