import pickle
from itertools import pairwise

import numpy as np
import pytest

from gemini_workshop.data.batches.rows import DocumentRows, PackedRows, WindowRows
from gemini_workshop.data.batches.stream import TokenArray
from gemini_workshop.errors import DataError
from tests.data.batches import sharded

T = 7
END = sharded.TOKENIZER.end_of_text_id


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return sharded.write(tmp_path_factory.mktemp("shards"))


@pytest.fixture(scope="module")
def stream(shards):
    return shards.tokens(0, shards.num_tokens)


def all_rows(rows):
    return [rows[i] for i in range(len(rows))]


@pytest.mark.parametrize("context_tokens", [1, 7, 8, 100])
def test_windows_are_those_of_the_stream_in_memory(shards, stream, context_tokens):
    rows = WindowRows(shards, context_tokens)
    last = len(stream) - 1 - context_tokens
    for row, start in zip(all_rows(rows), sorted({*range(0, last, context_tokens), last}), strict=True):
        assert np.array_equal(row.inputs, stream[start : start + context_tokens])
        assert np.array_equal(row.targets, stream[start + 1 : start + 1 + context_tokens])
        assert row.segment_ids is None


@pytest.mark.parametrize(("num_tokens", "starts"), [(4, [0]), (5, [0, 1]), (6, [0, 2]), (7, [0, 2, 3]), (8, [0, 2, 4])])
def test_windows_begin_every_stride_and_the_last_ends_with_the_stream(num_tokens, starts):
    rows = WindowRows(TokenArray(np.arange(num_tokens), num_tokens), 3, stride=2)
    assert [int(row.inputs[0]) for row in rows] == starts


@pytest.mark.parametrize("stride", range(1, T + 1))
@pytest.mark.parametrize("num_tokens", range(T + 1, 3 * T))
def test_in_order_every_token_but_the_first_is_a_target_once(stride, num_tokens):
    """The slow way: a window every ``stride`` tokens, of which the tokens that no window had before are targets."""
    stream, expected, scored = np.arange(num_tokens), [], 0
    for start in range(0, num_tokens - 1, stride):
        stop = min(start + T, num_tokens - 1)
        if scored < stop:
            expected.append((list(range(start, stop)), list(range(scored + 1, stop + 1))))
            scored = stop
    rows = WindowRows(TokenArray(stream, num_tokens), T, stride)
    seen = [
        (row.tolist(), [target for target in targets.tolist() if target != -100])
        for batch in rows.in_order(2)
        for row, targets in zip(batch.inputs, batch.targets, strict=True)
    ]
    assert seen == expected


def test_documents_kept_apart_are_segments_and_predict_nothing_of_each_other(shards):
    for row in all_rows(WindowRows(shards, T, keeps_apart=True)):
        for t in range(T):
            assert row.segment_ids[t] == 1 + (row.inputs[:t] == END).sum()
            assert (row.targets[t] == -100) == (row.inputs[t] == END)


def test_windows_that_keep_apart_still_predict_every_end_of_text(shards):
    batches = WindowRows(shards, T, keeps_apart=True).in_order(4)
    with_text = [text for text in sharded.documents() if text]
    assert sum((batch.targets == END).sum() for batch in batches) == len(with_text)


def pairs_of(rows):
    """Each input with its target, as one sorted list of (input, target); padding left out."""
    pairs = [pair for row in rows for pair in zip(row.inputs.tolist(), row.targets.tolist(), strict=True)]
    return sorted(pair for pair in pairs if pair[1] != -100)


def expected_pairs():
    ids = [[*sharded.TOKENIZER.encode(document), END] for document in sharded.documents()]
    return sorted(pair for some in ids for pair in pairwise(some))


@pytest.mark.parametrize("layout", [DocumentRows, PackedRows])
@pytest.mark.parametrize("context_tokens", [T, 64])
def test_every_pair_of_every_document_is_in_one_row_and_no_pair_crosses(shards, layout, context_tokens):
    assert pairs_of(all_rows(layout(shards, context_tokens))) == expected_pairs()


def test_each_segment_of_a_packed_row_is_a_document_or_a_piece_of_one(shards):
    texts = {text + "<|endoftext|>" for text in sharded.documents()}
    seen = []
    for row in all_rows(PackedRows(shards, 64)):
        for segment in range(1, row.segment_ids.max() + 1):
            own = row.segment_ids == segment
            tokens = [row.inputs[own][0], *row.targets[own]]
            seen.append(sharded.TOKENIZER.decode([int(i) for i in tokens]))
    assert sorted(seen) == sorted(text + "<|endoftext|>" for text in sharded.documents() if text)
    assert set(seen) <= texts


def test_packing_leaves_little_room(shards):
    rows = all_rows(PackedRows(shards, 64))
    assert all(len(row.inputs) <= 64 for row in rows)
    assert len(rows) == -(-sum(len(row.inputs) for row in rows) // 64)


def test_a_document_without_text_has_no_row(tmp_path):
    assert len(DocumentRows(sharded.write(tmp_path, ["", "ab", ""]), T)) == 1


@pytest.mark.parametrize("layout", [WindowRows, DocumentRows, PackedRows])
def test_rows_can_be_sent_to_a_worker(shards, layout):
    rows = layout(shards, T)
    again = pickle.loads(pickle.dumps(rows))
    assert all(np.array_equal(a, b) for a, b in zip(again[3], rows[3], strict=True))


@pytest.mark.parametrize("layout", [WindowRows, DocumentRows, PackedRows])
def test_a_row_that_does_not_exist_ends_the_iteration(shards, layout):
    rows = layout(shards, T)
    assert len(list(rows)) == len(rows)
    for index in (-1, len(rows)):
        with pytest.raises(IndexError, match=f"row {index} of {len(rows)}"):
            rows[index]


def test_a_stream_shorter_than_a_window_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"^7 tokens in .* context_tokens=7, which needs 8.*context_tokens <= 6"):
        WindowRows(sharded.write(tmp_path, ["a" * 6]), 7)


@pytest.mark.parametrize("stride", [0, 8])
def test_a_stride_that_leaves_tokens_out_is_an_error(shards, stride):
    with pytest.raises(DataError, match=rf"stride={stride} is outside 1 to context_tokens=7.*stride=7"):
        WindowRows(shards, T, stride)


@pytest.mark.parametrize("layout", [DocumentRows, PackedRows])
def test_documents_without_text_are_an_error(tmp_path, layout):
    with pytest.raises(DataError, match=r"The 2 documents in .* hold no text"):
        layout(sharded.write(tmp_path, ["", ""]), T)


def test_a_window_without_tokens_is_an_error(shards):
    with pytest.raises(DataError, match="context_tokens=0 is not positive"):
        WindowRows(shards, 0)
