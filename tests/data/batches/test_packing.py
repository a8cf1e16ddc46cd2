import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemini_workshop.data.batches.batch import IGNORE_INDEX, pad_rows
from gemini_workshop.data.batches.packing import best_fit, cut_into_pieces, join_pieces, segments_of
from gemini_workshop.training import losses

PAD = 12


def test_the_target_to_ignore_is_the_one_the_loss_ignores():
    assert IGNORE_INDEX == losses.IGNORE_INDEX


def test_the_row_of_the_docstring():
    a, b, c, d, e, f, g, h, i = range(1, 10)
    row = join_pieces([np.array([a, b, c]), np.array([d, e]), np.array([f, g, h, i])])
    batch = pad_rows([row], PAD, length=7)
    assert batch.inputs.tolist() == [[a, b, d, f, g, h, PAD]]
    assert batch.targets.tolist() == [[b, c, e, g, h, i, -100]]
    assert batch.segment_ids.tolist() == [[1, 1, 2, 3, 3, 3, 0]]


def test_an_end_of_text_belongs_to_the_document_that_it_ends():
    assert segments_of(np.array([0, 0, 7, 8, 0, 9]), end_of_text_id=0).tolist() == [1, 2, 3, 3, 3, 4]


document_lengths = st.lists(st.integers(1, 30), min_size=1, max_size=20)


@given(document_lengths, st.integers(1, 12))
def test_the_pieces_hold_each_pair_of_each_document_once_and_no_other(lengths, context_tokens):
    ends = np.cumsum(lengths)
    starts, sizes = cut_into_pieces(ends, context_tokens)
    pairs = [(s + i, s + i + 1) for s, size in zip(starts.tolist(), sizes.tolist(), strict=True) for i in range(size)]
    assert pairs == [(i, i + 1) for i in range(ends[-1] - 1) if i + 1 not in ends]
    assert all(1 <= size <= context_tokens for size in sizes)


@given(document_lengths)
def test_a_document_that_fits_is_not_cut(lengths):
    _, sizes = cut_into_pieces(np.cumsum(lengths), context_tokens=30)
    assert sizes.tolist() == [n - 1 for n in lengths if n > 1]


def best_fit_slowly(lengths: list[int], capacity: int) -> list[int]:
    """Read off the definition; of rows equally full, the one that became so last."""
    rooms: list[tuple[int, int]] = []  # (room, when it became so) of each row
    rows = [0] * len(lengths)
    for time, piece in enumerate(sorted(range(len(lengths)), key=lambda i: -lengths[i])):
        fitting = [(room, -when, row) for row, (room, when) in enumerate(rooms) if room >= lengths[piece]]
        row = min(fitting)[2] if fitting else len(rooms)
        if not fitting:
            rooms.append((capacity, time))
        rooms[row] = (rooms[row][0] - lengths[piece], time)
        rows[piece] = row
    return rows


@given(st.lists(st.integers(1, 12), max_size=40))
def test_packing_equals_the_slow_form(lengths):
    assert best_fit(np.array(lengths, np.int64), capacity=12).tolist() == best_fit_slowly(lengths, 12)


@given(st.lists(st.integers(1, 12), min_size=1, max_size=60))
def test_no_row_is_too_full_and_there_are_few_rows(lengths):
    rows = best_fit(np.array(lengths), capacity=12)
    loads = np.bincount(rows, weights=lengths)
    assert loads.max() <= 12
    assert loads.min() > 0
    assert len(loads) == 1 or sum(sorted(loads)[:2]) > 12  # no two rows would fit into one


@pytest.mark.parametrize("length", [12, 7])
def test_pieces_too_long_for_two_have_a_row_each(length):
    assert sorted(best_fit(np.full(5, length), capacity=12).tolist()) == [0, 1, 2, 3, 4]
