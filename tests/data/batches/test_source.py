import itertools
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from gemini_workshop.data.batches.batch import IGNORE_INDEX, Batch
from gemini_workshop.data.batches.rows import LAYOUTS, DocumentRows, WindowRows
from gemini_workshop.data.batches.source import TokenSource, epoch_order, rows_of_step
from gemini_workshop.data.batches.stream import TokenArray
from gemini_workshop.errors import DataError
from tests.data.batches import sharded

B, T, N = 3, 8, 60  # 8 windows: seven end to end, and one more for the last tokens


def of_counting(num_tokens: int = N, **options) -> TokenSource:
    """A text that counts upwards, in windows."""
    text = TokenArray(torch.arange(num_tokens), num_tokens)
    values = {"layout": partial(WindowRows, context_tokens=T), "batch_size": B, **options}
    return TokenSource(train=text, validation_text=text, **values)


def of_shards(shards, kind: str, **options) -> TokenSource:
    values = {"batch_size": 4, "seed": 3, **options}
    return TokenSource(train=shards, validation_text=shards, layout=partial(LAYOUTS[kind], context_tokens=T), **values)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return sharded.write(tmp_path_factory.mktemp("shards"))


def same(some: Batch, others: Batch) -> bool:
    return all(a is b is None or torch.equal(a, b) for a, b in zip(some, others, strict=True))


def expected_batch(ids: torch.Tensor, step: int, batch_size: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Written from the definition: windows end to end and one that ends with the text, shuffled for each epoch."""
    last = len(ids) - 1 - T
    starts = sorted({*range(0, last, T), last})
    inputs, targets = [], []
    for place in range(step * batch_size, (step + 1) * batch_size):
        epoch, index = divmod(place, len(starts))
        order = np.random.default_rng([seed % 2**64, epoch]).permutation(len(starts))
        start = starts[order[index]]
        inputs.append(ids[start : start + T])
        targets.append(ids[start + 1 : start + T + 1])
    return torch.stack(inputs), torch.stack(targets)


@pytest.mark.parametrize("num_tokens", [9, 16, 17, 60, 95])
@pytest.mark.parametrize("seed", [0, 5, -1])
def test_windows_come_in_the_order_of_their_definition(num_tokens, seed):
    ids = torch.randint(7, (num_tokens,), generator=torch.Generator().manual_seed(0))
    text = TokenArray(ids, 7)
    source = replace(of_counting(seed=seed), train=text)
    for step in range(12):
        batch = source.batch(step)
        inputs, targets = expected_batch(ids, step, B, seed)
        assert torch.equal(batch.inputs, inputs)
        assert torch.equal(batch.targets, targets)
        assert batch.segment_ids is None


@pytest.mark.parametrize("num_tokens", [9, 16, 17, 41, 60])
@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_validation_sees_every_target_exactly_once_and_in_order(num_tokens, batch_size):
    batches = list(of_counting(num_tokens, batch_size=batch_size).validation())
    assert torch.equal(torch.cat([batch.targets.flatten() for batch in batches]), torch.arange(1, num_tokens))
    assert torch.equal(torch.cat([batch.inputs.flatten() for batch in batches]), torch.arange(num_tokens - 1))
    full = [batch for batch in batches if batch.inputs.shape == (batch_size, T)]
    assert len(full) == (num_tokens - 1) // T // batch_size
    assert len(batches) - len(full) <= 2


@pytest.mark.parametrize(("num_tokens", "max_batches"), [(10_001, 3), (10_007, 7), (2_000, 20), (999_999, 20)])
def test_some_batches_are_spread_evenly_over_the_whole_text(num_tokens, max_batches):
    source = of_counting(num_tokens)
    starts = torch.cat([batch.inputs[:, 0] for batch in source.validation(max_batches)])
    whole = torch.arange(0, num_tokens - T, T)
    spread = torch.linspace(0, len(whole) - 1, max_batches * B, dtype=torch.float64).long()
    assert torch.equal(starts, whole[spread])


def test_a_limit_that_is_not_reached_changes_nothing():
    source = of_counting(95)
    for limited, whole in zip(source.validation(4), source.validation(), strict=True):
        assert same(limited, whole)


@pytest.mark.parametrize("kind", LAYOUTS)
def test_each_epoch_reads_every_row_once_and_batches_span_epochs(shards, kind):
    source = of_shards(shards, kind, batch_size=7)
    num_rows = len(source.train_rows)
    assert num_rows % 7
    flat = [
        number
        for step in range(num_rows)
        for number in rows_of_step(step, num_rows, source.batch_size, source.seed).tolist()
    ]
    epochs = [flat[i : i + num_rows] for i in range(0, len(flat), num_rows)]
    assert len({tuple(epoch) for epoch in epochs}) == 7
    assert all(sorted(epoch) == list(range(num_rows)) for epoch in epochs)


def test_a_batch_larger_than_several_epochs_reads_all_rows_equally():
    starts = of_counting(batch_size=24).batch(1).inputs[:, 0]
    assert sorted(starts.tolist()) == sorted([0, 8, 16, 24, 32, 40, 48, 51] * 3)


@pytest.mark.parametrize("kind", LAYOUTS)
def test_a_batch_depends_on_step_seed_and_batch_size_alone(shards, kind):
    straight = [of_shards(shards, kind).batch(step) for step in range(40)]
    torch.manual_seed(1)
    epoch_order.cache_clear()
    again = of_shards(shards, kind)
    for step in (13, 2, 39, 2):
        assert same(again.batch(step), straight[step])
    assert not any(same(of_shards(shards, kind, seed=4).batch(step), straight[step]) for step in range(3))


@pytest.mark.parametrize("kind", ["packed", "documents"])
def test_validation_counts_every_pair_of_its_documents_once(shards, kind):
    targets = [batch.targets.flatten() for batch in of_shards(shards, kind).validation()]
    assert (torch.cat(targets) != IGNORE_INDEX).sum() == shards.num_tokens - shards.num_documents


def test_packed_rows_have_one_length_and_documents_that_of_their_longest(shards):
    assert {batch.inputs.shape[1] for batch in of_shards(shards, "packed").validation()} == {T}
    wide = replace(of_shards(shards, "documents"), layout=partial(DocumentRows, context_tokens=64))
    lengths = {batch.inputs.shape[1] for batch in itertools.islice(wide.validation(), 10)}
    assert len(lengths) > 1
    assert max(lengths) <= 30


class AnswerRows(DocumentRows):
    """A layout for fine-tuning: of each document, only what follows the separator is to be learned."""

    separator = sharded.TOKENIZER.encode("k")[0]

    def __getitem__(self, index):
        row = super().__getitem__(index)
        is_prompt = ~np.logical_or.accumulate(row.inputs == self.separator)
        return row._replace(targets=np.where(is_prompt, IGNORE_INDEX, row.targets))


class PairRows(AnswerRows):
    """A layout for preferences: two documents at a time, which stay together however rows are shuffled."""

    def __len__(self):
        return super().__len__() // 2

    def batch(self, numbers):
        documents = [2 * number + k for number in numbers for k in (0, 1)]
        return super().batch(documents)


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    texts = [f"ab{'c' * n}k{'d' * n}" for n in range(6)]
    return sharded.write(tmp_path_factory.mktemp("answers"), texts)


def test_a_new_layout_is_all_that_fine_tuning_needs(answers):
    source = TokenSource(
        train=answers, validation_text=answers, layout=partial(AnswerRows, context_tokens=64), batch_size=6
    )
    (whole,) = source.validation()
    texts = [
        sharded.TOKENIZER.decode([i for i in row.tolist() if i not in (IGNORE_INDEX, answers.end_of_text_id)])
        for row in whole.targets
    ]
    assert texts == ["d" * n for n in range(6)]
    learned = source.batch(0)
    assert sorted((learned.targets != IGNORE_INDEX).sum(dim=1).tolist()) == [1, 2, 3, 4, 5, 6]


def test_rows_that_belong_together_stay_together(answers):
    source = TokenSource(
        train=answers, validation_text=answers, layout=partial(PairRows, context_tokens=64), batch_size=2
    )
    for step in range(9):
        lengths = (source.batch(step).targets != IGNORE_INDEX).sum(dim=1).tolist()
        assert len(lengths) == 4
        assert all(chosen % 2 == 1 and rejected == chosen + 1 for chosen, rejected in (lengths[:2], lengths[2:]))


def test_equal_sums_mean_equal_text(shards, answers):
    assert of_shards(shards, "windows").sha256 == of_shards(shards, "windows").sha256
    assert of_shards(shards, "windows").sha256 != of_shards(answers, "windows").sha256
    assert of_counting().sha256 == of_counting(seed=4).sha256 != of_counting(61).sha256


def test_the_tokens_in_memory_and_on_disk_give_the_same_rows(shards):
    ids = TokenArray(shards.tokens(0, shards.num_tokens), shards.vocab_size)
    for kind in LAYOUTS:
        for some, others in zip(of_shards(shards, kind).validation(), of_shards(ids, kind).validation(), strict=True):
            assert same(some, others)


@pytest.mark.parametrize("bad", [13, -1])
def test_an_id_outside_the_vocabulary_is_an_error(bad):
    with pytest.raises(DataError, match=rf"token id {bad} at position 5 is outside the vocabulary of 13"):
        TokenArray(torch.tensor([0, 1, 2, 3, 12, bad, 0, 0, 0]), 13)


def test_a_batch_without_rows_is_an_error():
    with pytest.raises(DataError, match="batch_size=0 is not positive"):
        of_counting(batch_size=0)
