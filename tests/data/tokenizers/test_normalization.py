import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemini_workshop.data.tokenizers.normalization import check_normalization, normalize
from gemini_workshop.data.tokenizers.splitting import split_words
from gemini_workshop.errors import DataError

COMPOSED, DECOMPOSED, ANGSTROM, RING = "é", "e\u0301", "\u212b", "\u00c5"


def test_no_form_leaves_the_text_as_it_is():
    assert normalize(DECOMPOSED, None) == DECOMPOSED


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
def test_every_form_loses_how_an_accent_was_typed(form):
    assert normalize(COMPOSED, form) == normalize(DECOMPOSED, form)
    assert normalize(ANGSTROM, form) == normalize(RING, form)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_only_nfkc_loses_the_form_of_a_character(form):
    text = "ﬁne… 2⁵ ① Ａ\u00a0b"
    assert normalize(text, form) == text
    assert normalize(text, "NFKC") == "fine... 25 1 A b"


def test_compatibility_ideographs_give_way_to_the_common_ones():
    assert normalize("\uf900", "NFC") == "\u8c48"


def test_nfd_splits_a_word_at_its_accents_unless_the_pattern_knows_marks():
    text = normalize("café", "NFD")
    assert [len(split_words(text, pattern)) for pattern in ("gpt2", "cl100k", "o200k")] == [2, 2, 1]


@given(st.text(), st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
def test_normalizing_twice_changes_nothing_more(text, form):
    once = normalize(text, form)
    assert normalize(once, form) == once == unicodedata.normalize(form, text)


def test_an_unknown_form_is_an_error():
    with pytest.raises(DataError, match=r"no normalization 'NFX'. Did you mean 'NF.*Known: NFC, NFD, NFKC, NFKD"):
        check_normalization("NFX")
