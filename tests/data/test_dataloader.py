import itertools
from dataclasses import replace

import pytest
import torch

from gemini_workshop.data.dataloader import LoaderSettings, OrderedSteps, ShuffledSteps, make_loader, rows_of_step
from gemini_workshop.data.rows import PackedRows, RowLayout
from gemini_workshop.errors import DataError
from tests.data import sharded

T, N = 7, 50
SETTINGS = LoaderSettings(batch_size=6, seed=3)
# From Python 3.12 on, forking a process with threads warns; PyTorch's workers are forked on Linux.
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return sharded.write(tmp_path_factory.mktemp("shards"))


def batches(shards, settings, count, first_step=0, kind="packed"):
    rows = RowLayout(kind=kind, context_tokens=T).rows(shards)
    steps = ShuffledSteps(len(rows), settings, first_step)
    return list(itertools.islice(make_loader(rows, steps, settings, pad_id=12), count))


def assert_equal_batches(some, others):
    assert len(some) == len(others)
    for one, other in zip(some, others, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_each_epoch_uses_every_row_once_and_batches_span_epochs():
    assert N % SETTINGS.batch_size != 0
    flat = [row for step in range(N) for row in rows_of_step(step, N, SETTINGS)]
    epochs = [flat[i : i + N] for i in range(0, len(flat), N)]
    assert len(epochs) == SETTINGS.batch_size
    assert all(sorted(epoch) == list(range(N)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == len(epochs)


def test_a_batch_larger_than_several_epochs_uses_all_rows_equally():
    assert sorted(rows_of_step(2, 5, replace(SETTINGS, batch_size=15))) == sorted([*range(5)] * 3)


def test_the_step_and_the_seed_decide_alone():
    assert rows_of_step(7, N, SETTINGS) == rows_of_step(7, N, SETTINGS)
    assert rows_of_step(7, N, SETTINGS) != rows_of_step(7, N, replace(SETTINGS, seed=4))


@pytest.mark.parametrize("first_step", [1, 4, 17])
def test_a_loader_that_starts_in_the_middle_gives_the_remaining_batches(shards, first_step):
    whole = batches(shards, SETTINGS, 20)
    assert_equal_batches(batches(shards, SETTINGS, 20 - first_step, first_step), whole[first_step:])


@pytest.mark.parametrize("kind", ["windows", "packed", "documents"])
def test_the_number_of_workers_does_not_show_in_the_batches(shards, kind):
    torch.manual_seed(1)
    alone = batches(shards, SETTINGS, 9, kind=kind)
    torch.manual_seed(2)
    assert_equal_batches(batches(shards, replace(SETTINGS, num_workers=2), 9, kind=kind), alone)


@pytest.mark.parametrize("world_size", [2, 3])
def test_the_ranks_share_the_batch_of_a_single_process(shards, world_size):
    alone = batches(shards, SETTINGS, 5)
    ranks = [batches(shards, replace(SETTINGS, rank=r, world_size=world_size), 5) for r in range(world_size)]
    together = [type(alone[0])(*map(torch.cat, zip(*shares, strict=True))) for shares in zip(*ranks, strict=True)]
    assert_equal_batches(together, alone)


@pytest.mark.parametrize("world_size", [2, 3])
def test_within_an_epoch_no_two_ranks_see_the_same_row(world_size):
    seen = [
        {row for step in range(8) for row in rows_of_step(step, N, replace(SETTINGS, rank=r, world_size=world_size))}
        for r in range(world_size)
    ]
    assert sum(map(len, seen)) == len(set.union(*seen)) == 48


@pytest.mark.parametrize("world_size", [1, 2, 3])
@pytest.mark.parametrize("num_rows", [1, 6, 50])
def test_in_order_the_ranks_see_every_row_once(world_size, num_rows):
    ranks = [list(OrderedSteps(num_rows, replace(SETTINGS, rank=r, world_size=world_size))) for r in range(world_size)]
    assert sorted(row for steps in ranks for rows in steps for row in rows) == list(range(num_rows))
    assert max(map(len, ranks)) - min(map(len, ranks)) <= 1


def test_in_order_batches_are_full_but_the_last():
    assert list(OrderedSteps(8, replace(SETTINGS, batch_size=3))) == [[0, 1, 2], [3, 4, 5], [6, 7]]


def test_packed_rows_have_one_length_whatever_is_in_them(shards):
    rows = PackedRows(shards, 64)
    loader = make_loader(rows, OrderedSteps(len(rows), SETTINGS), SETTINGS, pad_id=12, length=64)
    assert {batch.inputs.shape[1] for batch in loader} == {64}


def test_nothing_is_pinned_where_there_is_no_device_to_pin_for(shards, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert batches(shards, replace(SETTINGS, pin_memory=True), 1)[0].inputs.is_pinned() is False


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("num_workers", [0, 2])
def test_batches_are_pinned_for_a_cuda_device(shards, num_workers):
    settings = replace(SETTINGS, pin_memory=True, num_workers=num_workers)
    pinned = batches(shards, settings, 3)
    assert all(tensor.is_pinned() for batch in pinned for tensor in batch)
    assert_equal_batches(pinned, batches(shards, SETTINGS, 3))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"batch_size": 0}, r"batch_size=0 is too small. Choose batch_size >= 1"),
        ({"num_workers": -1}, r"num_workers=-1 is too small. Choose num_workers >= 0"),
        ({"prefetch_batches": 0}, r"prefetch_batches=0 is too small"),
        ({"world_size": 0}, r"world_size=0 is too small"),
        ({"rank": 2, "world_size": 2}, r"rank=2 is not among the 2 processes. Count from 0 to 1"),
        ({"batch_size": 7, "world_size": 2}, r"batch_size=7 cannot be shared .*world_size=2 .*a multiple of 2"),
    ],
)
def test_settings_that_cannot_work_are_an_error(wrong, message):
    with pytest.raises(DataError, match=message):
        LoaderSettings(**wrong)
