import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemini_workshop.data.preprocessing.cleaning import (
    regular_whitespace,
    remove_invisible,
    repair_mojibake,
)


@pytest.mark.parametrize("character", ["\x00", "\x1b", "\x7f", "\x9f", "\ufeff", "\u200b", "\xad", "\u202e", "\ud800"])
def test_what_shows_nothing_is_removed(character):
    assert remove_invisible(f"a{character}b") == "ab"


@pytest.mark.parametrize("text", ["a\tb\nc", "👨\u200d👩\u200d👧", "می\u200cخواهم", "é ß 東京 𝒳", "e\u0301"])
def test_what_can_be_seen_or_spells_a_word_stays(text):
    assert remove_invisible(text) == text


@pytest.mark.parametrize("text", ["naïve café", "“quoted” — and…", "Ça va? Ãéß", "東京", "100 € £", "Â", "🙂", "½²"])
@pytest.mark.parametrize("around", ["{}", "« il a passé\u00a0»", "«PASSÉ» „Ä…“ 20°, à\u00a0« voir\u00a0»"])
def test_text_decoded_rightly_is_left_alone(text, around):
    assert repair_mojibake(around.format(text)) == around.format(text)


@pytest.mark.parametrize("text", ["café", "“quoted”", "It’s — well…", "東京", "🙂", "Größe", "Привет мир"])
def test_a_wrong_decoding_is_undone(text):
    """As programs do it: the five bytes that Windows-1252 leaves open are read as Latin-1."""
    is_open = b"\x81\x8d\x8f\x90\x9d"
    damaged = "".join(bytes([b]).decode("latin-1" if b in is_open else "cp1252") for b in text.encode())
    assert damaged != text
    assert repair_mojibake(damaged) == text


def test_control_characters_that_were_quotes_and_dashes_are_so_again():
    text = "It’s “well” — done…"
    assert repair_mojibake(text.encode("cp1252").decode("latin-1")) == text


def test_every_kind_of_line_end_becomes_one():
    assert regular_whitespace("a\r\nb\rc\u2028d\x85e\x0cf") == "a\nb\nc\nd\ne\nf"


def test_indentation_and_columns_stay_while_ends_of_lines_are_trimmed():
    code = "def f():\n    if x:\n\t\treturn  1   # two"
    assert regular_whitespace(code.replace("\n", "  \t\n") + " \n\n") == code


def test_every_space_is_the_plain_one():
    assert regular_whitespace("a\u00a0b\u2003c\u3000d") == "a b c d"


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_regular_white_space_is_left_as_it_is(text):
    once = regular_whitespace(text)
    assert regular_whitespace(once) == once
    assert "\n\n\n" not in once
