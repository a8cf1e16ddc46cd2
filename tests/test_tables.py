import pytest

from gemini_workshop.tables import table


def test_columns_are_as_wide_as_their_widest_cell_and_only_the_first_is_flush_left():
    assert table([["", "long heading"], ["a name", "1"]]) == "        long heading\na name             1"


def test_a_title_stands_above_and_no_line_ends_in_a_space():
    assert table([["a", ""], ["b", "2"]], "Title").splitlines() == ["Title", "a", "b  2"]


def test_a_row_that_is_too_short_is_our_own_mistake():
    with pytest.raises(ValueError, match="shorter"):
        table([["a", "b"], ["c"]])
