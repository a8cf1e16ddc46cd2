import pytest

from gemini_workshop.data.preprocessing.splitting import SPLITS, SplitFractions, choose_split, split_by_hash
from gemini_workshop.errors import DataError

FRACTIONS = SplitFractions(validation=0.2, test=0.1)
TEXTS = [f"document {i}" for i in range(3000)]


def test_the_shares_are_near_those_asked_for():
    found = [split_by_hash(text, FRACTIONS) for text in TEXTS]
    for split, share in zip(SPLITS, (0.7, 0.2, 0.1), strict=True):
        assert found.count(split) / len(found) == pytest.approx(share, abs=0.025)


def test_more_for_validation_moves_no_document_from_it_to_training():
    more = SplitFractions(validation=0.4, test=0.1)
    for text in TEXTS:
        if split_by_hash(text, FRACTIONS) == "validation":
            assert split_by_hash(text, more) == "validation"


@pytest.mark.parametrize(
    ("relatives", "split"), [(["test"], "test"), (["train", "train"], "train"), (["train", "test"], None)]
)
def test_relatives_decide_before_the_hash_does(relatives, split):
    assert {choose_split(text, relatives, FRACTIONS) for text in TEXTS[:50]} == {split}


def test_without_relatives_the_hash_decides():
    assert all(choose_split(text, [], FRACTIONS) == split_by_hash(text, FRACTIONS) for text in TEXTS)


@pytest.mark.parametrize(("validation", "test"), [(-0.1, 0.1), (0.5, 0.5), (0.1, -0.1), (1.5, 0.0)])
def test_shares_that_leave_nothing_for_training_are_an_error(validation, test):
    with pytest.raises(DataError, match=f"validation={validation} and test={test}"):
        SplitFractions(validation=validation, test=test)
