import pytest
import torch

from gemini_workshop.errors import WorkshopError
from gemini_workshop.generation.cache import KVCache, new_cache
from gemini_workshop.generation.reader import Reader, decode_one, forget_older_half, prefill

ROWS = [[1, 2, 3, 4, 5], [6], [7, 8, 9]]


def scores(model, ids):
    return model(torch.tensor([ids]))[0, -1]


def test_prefill_and_decode_one_score_as_one_pass(model):
    ids = torch.tensor([[1, 2, 3, 4, 5]])
    cache = KVCache(model.config, 1, 7, torch.float64)
    torch.testing.assert_close(prefill(model, ids[:, :4], cache), model(ids)[:, 3])
    torch.testing.assert_close(decode_one(model, ids[:, 4], cache), model(ids)[:, 4])


@pytest.mark.parametrize("chunk_tokens", [1, 2, 3, 5, 99])
def test_a_prompt_in_chunks_scores_as_in_one_pass(model, chunk_tokens):
    expected = [scores(model, row) for row in ROWS]
    logits = Reader(model, chunk_tokens=chunk_tokens).read(ROWS)
    torch.testing.assert_close(logits, torch.stack(expected))


def test_a_chunk_is_all_that_the_model_sees_at_once(model, monkeypatch):
    lengths, whole = [], type(model).hidden_states

    def watched(self, token_ids, *rest):
        lengths.append(token_ids.shape[1])
        return whole(self, token_ids, *rest)

    monkeypatch.setattr(type(model), "hidden_states", watched)
    Reader(model, chunk_tokens=2).read(ROWS)
    assert lengths == [2, 2, 1]


@pytest.mark.parametrize("rows", [ROWS, ROWS[:1], [[1, 2], [3, 4]]])
def test_rows_of_any_lengths_score_as_each_alone_past_the_window(model, rows):
    """Each row forgets when its own window is full, whatever the others do."""
    reader, seen = Reader(model), [list(row) for row in rows]
    logits = reader.read(rows)
    for step in range(12):
        for row, row_logits in zip(seen, logits, strict=True):
            torch.testing.assert_close(row_logits, scores(model, row))
        tokens = torch.tensor([(3 * step + i) % 13 for i in range(len(rows))])
        logits = reader.read_next(tokens)
        seen = [list(forget_older_half([*row, int(token)], 7)) for row, token in zip(seen, tokens, strict=True)]
        assert reader.rows == seen


def test_reordered_rows_go_on_from_what_they_became(model):
    reader = Reader(model)
    reader.read(ROWS)
    reader.reorder(torch.tensor([2, 0, 2, 1]))
    logits = reader.read_next(torch.tensor([10, 11, 12, 0]))
    rows = [[*ROWS[2], 10], [*ROWS[0], 11], [*ROWS[2], 12], [*ROWS[1], 0]]
    assert reader.rows == rows
    torch.testing.assert_close(logits, torch.stack([scores(model, row) for row in rows]))


def test_what_a_text_has_in_common_with_the_last_one_is_not_read_again(model):
    reader = Reader(model)
    reader.read([[1, 2, 3, 4]])
    reader.read_next(torch.tensor([5]))
    assert reader.num_read == 5
    texts = [([1, 2, 3, 4, 5, 6], 1), ([1, 2, 3, 9], 1), ([1, 2, 3, 9], 1), ([2, 1], 2), ([2, 1, 3, 4], 2)]
    for ids, num_read in texts:
        before = reader.num_read
        torch.testing.assert_close(reader.read([ids])[0], scores(model, ids))
        assert reader.num_read - before == num_read


def test_one_row_after_several_begins_anew(model):
    reader = Reader(model)
    reader.read(ROWS)
    torch.testing.assert_close(reader.read(ROWS[:1])[0], scores(model, ROWS[0]))


@pytest.mark.parametrize(("max_tokens", "room"), [(None, 2), (5, 5), (20_000, 7)])
def test_no_more_room_is_set_aside_than_is_needed(model, max_tokens, room, monkeypatch):
    monkeypatch.setattr("gemini_workshop.generation.layer_cache.FIRST_ROOM", 2)
    reader = Reader(model, max_tokens=max_tokens)
    reader.read([[1]])
    assert reader.cache.num_bytes() == new_cache(model, max_tokens=room).num_bytes()


def test_of_a_long_text_the_end_is_read(model):
    torch.testing.assert_close(Reader(model).read([list(range(12))])[0], scores(model, list(range(5, 12))))


@pytest.mark.parametrize(
    ("rows", "message"),
    [([[1], []], "has 0 tokens"), ([[1, 13]], r"token id 13 at position \d is outside the vocabulary of 13")],
)
def test_a_text_that_no_model_can_read_is_refused(model, rows, message):
    with pytest.raises(WorkshopError, match=message):
        Reader(model).read(rows)


def test_two_thousand_tokens_score_as_without_a_cache_in_constant_memory(model):
    """The rule past the window, written out in ids alone, and every text that it leaves read afresh."""
    window = model.config.context_tokens
    tokens = torch.randint(0, 13, (2_000,), generator=torch.Generator().manual_seed(1))
    reader, seen, texts = Reader(model, max_tokens=20_000), [1], [[1]]
    scores = [reader.read([[1]])[0]]
    assert reader.cache is not None
    held = {reader.cache.num_bytes()}
    for token in tokens:
        scores.append(reader.read_next(token.unsqueeze(0))[0])
        held.add(reader.cache.num_bytes())
        assert len(reader.rows[0]) <= window
        seen = [*seen, int(token)] if len(seen) < window else [*seen, int(token)][-(window // 2) :]
        texts.append(seen)
    assert len(held) == 1
    for length in range(1, window + 1):
        of_length = [i for i, text in enumerate(texts) if len(text) == length]
        with torch.inference_mode():
            expected = model(torch.tensor([texts[i] for i in of_length]))[:, -1]
        torch.testing.assert_close(torch.stack([scores[i] for i in of_length]), expected)
