import pytest
import torch

from gemini_workshop.errors import WorkshopError
from gemini_workshop.generation.cache import KVCache, new_cache


@pytest.fixture
def token_ids():
    return torch.randint(0, 13, (3, 7), generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("chunks", [[7], [1] * 7, [4, 3], [1, 5, 1], [3, 1, 1, 2]], ids=str)
def test_with_a_cache_every_position_scores_as_without(model, token_ids, chunks):
    expected = model(token_ids)
    cache = KVCache(model.config, batch_size=3, max_tokens=7, dtype=torch.float64)
    with torch.inference_mode():
        parts = [model(part, cache) for part in token_ids.split(chunks, dim=1)]
    torch.testing.assert_close(torch.cat(parts, dim=1), expected)


def test_appending_copies_nothing_that_was_stored_before(model):
    layer = KVCache(model.config, batch_size=3, max_tokens=7)[1]
    place = layer.keys.numbers.data_ptr()
    for _ in range(7):
        keys, values = layer.append(torch.ones(3, 2, 1, 4), torch.ones(3, 2, 1, 4))
        assert keys.data_ptr() == place
        assert values.data_ptr() == layer.values.numbers.data_ptr()


def test_what_comes_back_is_all_that_was_stored_oldest_first(model):
    layer = KVCache(model.config, batch_size=3, max_tokens=7)[0]
    first, second = torch.randn(3, 2, 2, 4), torch.randn(3, 2, 3, 4)
    layer.append(first, -first)
    keys, values = layer.append(second, -second)
    torch.testing.assert_close(keys, torch.cat([first, second], dim=2))
    torch.testing.assert_close(values, -keys)
    assert len(layer) == 5


def test_a_full_cache_says_how_large_it_should_be(model):
    layer = KVCache(model.config, batch_size=3, max_tokens=7)[0]
    layer.append(torch.ones(3, 2, 5, 4), torch.ones(3, 2, 5, 4))
    with pytest.raises(WorkshopError, match=r"holds 7 tokens and 5 are used, so 3 more do not fit.*max_tokens >= 8"):
        layer.append(torch.ones(3, 2, 3, 4), torch.ones(3, 2, 3, 4))
    assert len(layer) == 5


def test_there_is_one_store_for_each_layer(model):
    assert len(KVCache(model.config, batch_size=1, max_tokens=2)) == model.config.num_layers


def test_the_memory_is_counted_in_bytes(model):
    cache = KVCache(model.config, batch_size=3, max_tokens=7, dtype=torch.bfloat16)
    assert cache.num_bytes() == 2 * 2 * 3 * 2 * 7 * 4 * 2  # layers, keys and values, B, K, tokens, C, bytes


def test_layers_do_not_share_memory(model):
    cache = KVCache(model.config, batch_size=3, max_tokens=7)
    cache[0].append(torch.ones(3, 2, 1, 4), torch.ones(3, 2, 1, 4))
    assert len(cache[1]) == 0


def test_what_is_truncated_can_be_read_again_in_another_way(model, token_ids):
    cache = new_cache(model, batch_size=3)
    with torch.inference_mode():
        model(token_ids[:, :3], cache)
        model(12 - token_ids[:, 3:], cache)
        cache.truncate(3)
        assert cache.num_tokens == 3
        logits = model(token_ids[:, 3:], cache)
    torch.testing.assert_close(logits, model(token_ids)[:, 3:])


@pytest.mark.parametrize("rows", [[2, 0, 1], [1, 1, 1], [2], [0, 0, 1, 2, 2]], ids=str)
def test_reordered_rows_go_on_as_the_rows_that_they_were(model, token_ids, rows):
    cache = new_cache(model, batch_size=3)
    rows = torch.tensor(rows)
    with torch.inference_mode():
        model(token_ids[:, :4], cache)
        cache.reorder(rows)
        logits = model(token_ids[rows, 4:], cache)
    torch.testing.assert_close(logits, model(token_ids[rows])[:, 4:])
