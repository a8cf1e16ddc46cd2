import numpy as np
import pytest
import torch

from gemini_workshop.data.batches.batch import Batch, Row, pad_rows
from gemini_workshop.data.batches.packing import join_pieces
from gemini_workshop.errors import DataError

PAD = 12


def test_rows_are_padded_to_the_longest():
    rows = [join_pieces([np.arange(n)]) for n in (3, 6, 2)]
    batch = pad_rows(rows, PAD)
    assert batch.inputs.tolist() == [[0, 1, 12, 12, 12], [0, 1, 2, 3, 4], [0, 12, 12, 12, 12]]
    assert batch.targets.tolist() == [[1, 2, -100, -100, -100], [1, 2, 3, 4, 5], [1, -100, -100, -100, -100]]
    assert batch.segment_ids.tolist() == [[1, 1, 0, 0, 0], [1] * 5, [1, 0, 0, 0, 0]]
    assert {tensor.dtype for tensor in batch[:3]} == {torch.int64}


def test_a_batch_of_full_rows_is_the_rows():
    tokens = np.arange(8).reshape(2, 4)
    batch = pad_rows([Row(row, row + 1, row + 2) for row in tokens], PAD)
    assert [tensor.tolist() for tensor in batch[:3]] == [tokens.tolist(), (tokens + 1).tolist(), (tokens + 2).tolist()]


def test_rows_of_one_segment_need_no_segment_ids():
    batch = pad_rows([Row(np.arange(2), np.arange(2)), Row(np.arange(1), np.arange(1))], PAD)
    assert batch.segment_ids is None
    assert (batch.inputs.tolist(), batch.targets.tolist()) == ([[0, 1], [0, PAD]], [[0, 1], [0, -100]])


@pytest.mark.parametrize("wrong", [-1, -101])
def test_a_target_that_is_neither_an_id_nor_to_be_ignored_is_refused(wrong):
    rows = [Row(np.arange(2), np.array([1, target])) for target in (-100, wrong)]
    with pytest.raises(DataError, match=f"A target is {wrong}, .* IGNORE_INDEX, which is -100"):
        pad_rows(rows, PAD)


def test_what_is_done_to_a_batch_is_done_to_each_of_its_tensors():
    whole = Batch(*(torch.arange(8).reshape(4, 2) + k for k in range(3)))
    assert [x.tolist() for x in whole.map(lambda x: x[::2])[:3]] == [x[::2].tolist() for x in whole[:3]]
    assert Batch(whole.inputs, whole.targets).map(lambda x: x + 1).segment_ids is None


def test_the_parts_of_a_batch_are_its_rows_and_none_is_empty():
    whole = Batch(torch.arange(8).reshape(4, 2), torch.arange(8).reshape(4, 2) + 1)
    assert [len(part.inputs) for part in whole.split(3)] == [2, 1, 1]
    assert torch.equal(torch.cat([part.targets for part in whole.split(3)]), whole.targets)
    assert len(whole.split(9)) == 4
