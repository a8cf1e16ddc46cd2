import pytest
import torch

from gemini_workshop.data.dataset import TokenWindows, encode_documents, epoch_order, split_documents
from gemini_workshop.data.tokenizer import BPETokenizer, CharTokenizer
from gemini_workshop.errors import DataError

B, T, N = 3, 8, 60  # 8 windows: seven end to end, and one more for the last tokens


@pytest.fixture
def windows() -> TokenWindows:
    return TokenWindows(torch.arange(N, dtype=torch.int32), T)


def documents(count: int) -> list[str]:
    return [f"Story number {i}." for i in range(count)]


def epoch_starts(windows: TokenWindows, epoch: int, seed: int = 0) -> list[int]:
    steps = range(epoch * len(windows), (epoch + 1) * len(windows))
    return [windows.batch(step, 1, seed)[0][0, 0].item() for step in steps]


def test_targets_are_the_inputs_one_token_later(windows):
    inputs, targets = windows.batch(0, B, seed=0)
    assert inputs.shape == targets.shape == (B, T)
    assert torch.equal(targets, inputs + 1)
    assert torch.equal(inputs[:, 1:], targets[:, :-1])


def test_batches_are_int64(windows):
    assert {tensor.dtype for tensor in windows.batch(0, B, seed=0)} == {torch.int64}


def test_the_last_token_is_a_target_and_every_other_but_the_first():
    windows = TokenWindows(torch.arange(12), 8)
    targets = torch.cat([windows.batch(step, 1, seed=0)[1].flatten() for step in range(len(windows))])
    assert set(targets.tolist()) == set(range(1, 12))


@pytest.mark.parametrize(("num_tokens", "num_windows"), [(9, 1), (10, 2), (16, 2), (17, 2), (18, 3)])
def test_a_window_more_is_made_only_where_tokens_are_left(num_tokens, num_windows):
    assert len(TokenWindows(torch.arange(num_tokens), 8)) == num_windows


def test_a_large_id_survives():
    ids = torch.tensor([0, 65_535, 65_536, 199_999, 1], dtype=torch.int32)
    inputs, targets = TokenWindows(ids, 4).batch(0, 1, seed=0)
    assert inputs.tolist() == [[0, 65_535, 65_536, 199_999]]
    assert targets.tolist() == [[65_535, 65_536, 199_999, 1]]


@pytest.mark.parametrize("epoch", [0, 1, 7])
def test_each_epoch_uses_every_window_once(windows, epoch):
    assert sorted(epoch_starts(windows, epoch)) == sorted(windows.starts.tolist())


def test_each_epoch_and_each_seed_has_an_order_of_its_own(windows):
    orders = [tuple(epoch_starts(windows, epoch, seed)) for epoch in range(3) for seed in (0, 1, -1)]
    assert len(set(orders)) == len(orders)
    assert list(windows.starts) not in [list(order) for order in orders]


def test_a_batch_depends_on_its_arguments_alone(windows):
    straight = [windows.batch(step, B, seed=5) for step in range(20)]
    torch.manual_seed(1)
    for step in (13, 2, 19, 2):
        again = TokenWindows(torch.arange(N), T).batch(step, B, seed=5)
        assert torch.equal(again[0], straight[step][0])
        assert torch.equal(again[1], straight[step][1])


def test_two_steps_and_two_rows_differ(windows):
    first, second = windows.batch(0, B, seed=0)[0], windows.batch(1, B, seed=0)[0]
    rows = [tuple(row) for row in torch.cat([first, second]).tolist()]
    assert len(set(rows)) == 2 * B


def test_a_batch_may_span_two_epochs_and_loses_no_window(windows):
    num_windows = len(windows)
    assert num_windows % B != 0
    starts = [start.item() for step in range(num_windows) for start in windows.batch(step, B, seed=0)[0][:, 0]]
    for epoch in range(B):
        assert sorted(starts[epoch * num_windows : (epoch + 1) * num_windows]) == sorted(windows.starts.tolist())


def test_a_batch_larger_than_the_epoch_is_filled_from_the_next(windows):
    inputs, _ = windows.batch(0, 3 * len(windows), seed=0)
    assert sorted(inputs[:, 0].tolist()) == sorted(windows.starts.tolist() * 3)


def test_the_order_is_a_pure_function():
    order = epoch_order(10, 3, 4).clone()
    epoch_order.cache_clear()
    assert torch.equal(epoch_order(10, 3, 4), order)


@pytest.mark.parametrize("num_tokens", [9, 16, 17, 41, 60])
@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_evaluation_sees_every_target_exactly_once_and_in_order(num_tokens, batch_size):
    stream = torch.arange(num_tokens)
    batches = list(TokenWindows(stream, T).sequential_batches(batch_size))
    assert torch.equal(torch.cat([targets.flatten() for _, targets in batches]), stream[1:])
    assert torch.equal(torch.cat([inputs.flatten() for inputs, _ in batches]), stream[:-1])
    assert all(len(inputs) <= batch_size for inputs, _ in batches)


def test_text_shorter_than_one_window_is_an_error():
    with pytest.raises(DataError, match=r"8 tokens are too few .*context_tokens=8, which needs 9.*context_tokens <= 7"):
        TokenWindows(torch.arange(8), 8)


def test_a_window_without_tokens_is_an_error():
    with pytest.raises(DataError, match="context_tokens=0 is not positive"):
        TokenWindows(torch.arange(8), 0)


@pytest.mark.parametrize("bad", [13, -1])
def test_an_id_outside_the_vocabulary_is_an_error(bad):
    with pytest.raises(DataError, match=rf"token id {bad} at position 5 is outside the vocabulary of 13"):
        TokenWindows(torch.tensor([0, 1, 2, 3, 12, bad, 0, 0, 0]), 4, vocab_size=13)


def test_each_document_ends_with_the_end_of_text():
    tokenizer = CharTokenizer.train(["abc"])
    end = tokenizer.end_of_text_id
    assert encode_documents(["ab", "", "c"], tokenizer).tolist() == [0, 1, end, end, 2, end]


def test_a_stream_decodes_to_the_documents():
    texts = documents(5)
    tokenizer = BPETokenizer.train(texts, 270)
    stream = encode_documents(texts, tokenizer)
    assert stream.dtype == torch.int32
    assert tokenizer.decode(stream.tolist()) == "".join(text + "<|endoftext|>" for text in texts)


def test_no_documents_are_an_error():
    with pytest.raises(DataError, match="no documents to encode"):
        encode_documents([], CharTokenizer.train(["abc"]))


def test_one_text_instead_of_a_list_is_an_error():
    with pytest.raises(DataError, match="is one text"):
        encode_documents("abc", CharTokenizer.train(["abc"]))
    with pytest.raises(DataError, match="is one text"):
        split_documents("abc", 0.5)


def test_every_document_is_on_one_side_in_its_order():
    texts = documents(200)
    train, validation = split_documents(texts, 0.2)
    assert sorted(train + validation) == sorted(texts)
    assert train == [text for text in texts if text in set(train)]


def test_the_share_is_near_the_fraction():
    _, validation = split_documents(documents(4000), 0.05)
    assert 200 - 5 * 14 < len(validation) < 200 + 5 * 14  # five standard deviations of a binomial


def test_a_document_keeps_its_side_when_others_come_or_go():
    few, many = documents(300), documents(600)[::-1]
    validation = set(split_documents(few, 0.1)[1])
    assert validation == set(split_documents(many, 0.1)[1]) & set(few)


def test_copies_of_a_document_are_on_one_side():
    train, validation = split_documents(documents(100) * 2, 0.3)
    assert not set(train) & set(validation)


def test_a_larger_fraction_keeps_what_the_smaller_kept():
    texts = documents(500)
    assert set(split_documents(texts, 0.05)[1]) < set(split_documents(texts, 0.1)[1])


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1])
def test_a_fraction_out_of_range_is_an_error(fraction):
    with pytest.raises(DataError, match=rf"validation_fraction={fraction} is outside"):
        split_documents(documents(10), fraction)


def test_an_empty_side_is_an_error():
    with pytest.raises(DataError, match=r"1 documents for training and 0 for validation.*validation_fraction=0.01"):
        split_documents(["a story"], 0.01)


def test_some_batches_are_spread_evenly_over_the_whole_stream():
    windows = TokenWindows(torch.arange(10_001), 10)
    batches = list(windows.sequential_batches(4, max_batches=3))
    assert [len(inputs) for inputs, _ in batches] == [4, 4, 4]
    starts = torch.cat([inputs[:, 0] for inputs, _ in batches])
    assert starts[0] == 0
    assert starts[-1] == 9990
    assert set(starts.diff().tolist()) <= {900, 910}


def test_a_limit_that_is_not_reached_changes_nothing():
    windows = TokenWindows(torch.arange(95), 10)
    for limited, whole in zip(windows.sequential_batches(4, 3), windows.sequential_batches(4), strict=True):
        assert torch.equal(limited[0], whole[0])
