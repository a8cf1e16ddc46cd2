from dataclasses import replace

import pytest
import torch

from gemini_workshop.errors import WorkshopError
from gemini_workshop.generation.cache import KVCache, left_padded, new_cache, reuse_prefix
from gemini_workshop.generation.layer_cache import room_and_kind
from gemini_workshop.generation.storage import Storage
from gemini_workshop.models.transformer import Transformer
from tests.models.conftest import randomize
from tests.models.variants import VARIANTS


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
    with pytest.raises(WorkshopError, match=r"holds 5, so 3 more do not fit.*max_tokens >= 8"):
        layer.append(torch.ones(3, 2, 3, 4), torch.ones(3, 2, 3, 4))
    assert len(layer) == 5


def test_there_is_one_store_for_each_layer(model):
    assert len(KVCache(model.config, batch_size=1, max_tokens=2)) == model.config.num_layers


def test_the_memory_is_counted_in_bytes(model):
    cache = KVCache(model.config, batch_size=3, max_tokens=7, dtype=torch.bfloat16)
    assert cache.num_bytes() == 2 * 2 * 3 * 2 * 7 * 4 * 2  # layers, keys and values, B, K, tokens, C, bytes


def test_the_numbers_may_be_narrower_than_the_models(model):
    assert new_cache(model, dtype=torch.bfloat16).num_bytes() * 4 == new_cache(model).num_bytes()


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


def test_rows_of_layers_that_share_keys_are_reordered_once(token_ids):
    model, rows = drawn(VARIANTS["gemma4 with shared keys"]), torch.tensor([1, 2, 0])
    cache = new_cache(model, batch_size=3)
    read_in(model, cache, token_ids[:, :4], 4)
    cache.reorder(rows)
    torch.testing.assert_close(read_in(model, cache, token_ids[rows, 4:], 3), model(token_ids[rows])[:, 4:])


# --- Windows, growth and 8 bits ---

LOCAL = replace(VARIANTS["llama"], layer_pattern=("local",), window_tokens=5, context_tokens=16)


def drawn(config):
    generator = torch.Generator().manual_seed(0)
    model = Transformer(config, generator).double().eval()
    randomize(model, generator)
    return model


@torch.inference_mode()
def read_in(model, cache, ids, chunks, segment_ids=None):
    logits, end = [], 0
    for part in ids.split(chunks, dim=1):
        end += part.shape[1]
        logits.append(model(part, cache, None if segment_ids is None else segment_ids[:, :end]))
    return torch.cat(logits, dim=1)


@pytest.fixture
def narrow(monkeypatch):
    """Rings with two spare tokens and growing caches that begin with two, so that short texts try everything."""
    monkeypatch.setattr("gemini_workshop.generation.layer_cache.SPARE_TOKENS", 2)
    monkeypatch.setattr("gemini_workshop.generation.layer_cache.FIRST_ROOM", 2)


@pytest.mark.parametrize("name", [name for name in VARIANTS if VARIANTS[name].positions != "learned"])
@pytest.mark.parametrize("kind", ["growing", "ring"])
@pytest.mark.usefixtures("narrow")
def test_every_kind_of_cache_scores_as_none(name, kind):
    model = drawn(VARIANTS[name])
    ids = torch.randint(0, 13, (2, 23), generator=torch.Generator().manual_seed(1))
    chunks = [9, 1, 1, 1, 2, 1, 7, 1]  # longer than a ring, and one by one past its end
    torch.testing.assert_close(read_in(model, new_cache(model, 2, kind=kind), ids, chunks), model(ids))


@pytest.mark.parametrize("kind", ["static", "growing", "ring"])
def test_to_keep_more_than_there_is_changes_nothing(kind):
    model, ids = drawn(LOCAL), torch.arange(8)[None]
    cache = new_cache(model, kind=kind)
    read_in(model, cache, ids[:, :5], 5)
    cache.truncate(99)
    assert cache.num_tokens == 5
    torch.testing.assert_close(read_in(model, cache, ids[:, 5:], 3), model(ids)[:, 5:])


@pytest.mark.usefixtures("narrow")
def test_a_growing_cache_doubles_its_room_so_that_a_token_is_moved_about_once(model):
    layer, rooms = new_cache(model, kind="growing")[0], []
    for _ in range(20):
        layer.append(torch.ones(1, 2, 1, 4), torch.ones(1, 2, 1, 4))
        rooms.append(layer.keys.room)
    assert sorted(set(rooms)) == [2, 4, 8, 16, 32]


@pytest.mark.usefixtures("narrow")
def test_a_ring_shows_a_window_and_moves_once_in_as_many_tokens_as_it_can_spare():
    layer, moves = KVCache(LOCAL, 1, None, kind="ring")[0], []
    for end in range(1, 31):
        before = layer.first
        keys, values = layer.append(torch.full((1, 2, 1, 4), float(end)), torch.full((1, 2, 1, 4), -float(end)))
        assert keys[0, 0, :, 0].tolist() == list(range(max(end - 4, 1), end + 1))
        assert values.equal(-keys)
        if layer.first != before:
            moves.append(end)
    assert moves == [9, 12, 15, 18, 21, 24, 27, 30]  # room for eight, of which six stay


def test_a_ring_moves_as_its_picture_shows(monkeypatch):
    monkeypatch.setattr("gemini_workshop.generation.layer_cache.SPARE_TOKENS", 4)
    room, ring_of = room_and_kind(3, None, "ring")
    ring = ring_of(*(Storage(1, 1, room, 1, torch.float32, "cpu") for _ in range(2)))
    numbers = torch.arange(11.0).view(1, 1, 11, 1)
    for token in range(11):
        ring.append(*[numbers[:, :, token : token + 1]] * 2)
        if token == 9:
            assert (ring.first, ring.keys.read(0, room).flatten().tolist()) == (0, list(range(10)))
    assert (ring.first, ring.keys.read(0, 6).flatten().tolist()) == (5, [5, 6, 7, 8, 9, 10])


def test_a_ring_takes_no_more_room_than_the_text():
    static, ring = (KVCache(LOCAL, 1, 7, kind=kind) for kind in ("static", "ring"))
    assert ring.num_bytes() == static.num_bytes()


@pytest.mark.usefixtures("narrow")
def test_a_ring_keeps_padding_apart_after_it_has_forgotten_the_first_tokens():
    model = drawn(VARIANTS["gemma3"])
    ids, segment_ids = left_padded([list(range(13)), [3, 1, 4, 1, 5, 9, 2]])
    scores = read_in(model, new_cache(model, 2, kind="ring"), ids, [3] + [1] * 10, segment_ids)
    torch.testing.assert_close(scores[1, 6:], model(ids[1:, 6:])[0])


@pytest.mark.parametrize("chunk", [1, 4])
def test_two_thousand_tokens_past_the_window_equal_the_uncached_text_in_constant_memory(chunk):
    model = drawn(replace(LOCAL, num_layers=2))
    ids = torch.randint(0, 13, (1, 2_016), generator=torch.Generator().manual_seed(1))
    cache = new_cache(model, kind="ring")
    before = cache.num_bytes()
    scores = read_in(model, cache, ids, chunk)
    assert cache.num_tokens == 2_016
    assert cache.num_bytes() == before
    with torch.inference_mode():
        torch.testing.assert_close(scores, model(ids))


@pytest.mark.usefixtures("narrow")
def test_a_ring_goes_back_as_far_as_what_the_next_token_sees_is_there():
    model, ids, allowed = drawn(replace(LOCAL, num_layers=1)), torch.arange(30)[None] % 13, []
    for num_tokens in range(15, 25):
        cache = new_cache(model, kind="ring")
        read_in(model, cache, ids[:, :24], 1)
        try:
            cache.truncate(num_tokens)
        except WorkshopError:
            continue
        allowed.append(num_tokens)
        torch.testing.assert_close(read_in(model, cache, ids[:, num_tokens:], 1), model(ids)[:, num_tokens:])
    assert allowed == [22, 23, 24]


@pytest.mark.usefixtures("narrow")
def test_a_ring_takes_the_newest_tokens_back_but_not_what_it_has_forgotten():
    model = drawn(LOCAL)
    ids = torch.randint(0, 13, (1, 30), generator=torch.Generator().manual_seed(1))
    for end in range(6, 28):
        cache = new_cache(model, kind="ring")
        read_in(model, cache, ids[:, : end + 2], 1)
        cache.truncate(end)
        torch.testing.assert_close(read_in(model, cache, ids[:, end:], 1), model(ids)[:, end:])
    with pytest.raises(WorkshopError, match=r"Of 30 tokens, a ring kept the last \d+: too few to go back to 9"):
        cache.truncate(9)


def test_a_chat_reads_only_what_is_new():
    model = drawn(VARIANTS["llama"])
    cache, turn, longer = new_cache(model), [1, 2, 3, 4], [1, 2, 3, 7, 8]
    read_in(model, cache, torch.tensor([turn]), 4)
    rest = reuse_prefix(cache, turn, longer)
    assert (list(rest), cache.num_tokens) == ([7, 8], 3)
    scores = read_in(model, cache, torch.tensor([rest]), 2)
    torch.testing.assert_close(scores, model(torch.tensor([longer]))[:, 3:])
    assert list(reuse_prefix(cache, longer, longer)) == [8]  # its scores are wanted again
    assert list(reuse_prefix(cache, longer[:4], [*longer, 9, 10])) == [8, 9, 10]


@pytest.mark.usefixtures("narrow")
def test_a_chat_that_goes_back_too_far_for_a_ring_is_read_from_the_beginning():
    model = drawn(LOCAL)
    cache, ids = new_cache(model, kind="ring"), list(range(12)) * 2
    read_in(model, cache, torch.tensor([ids]), 1)
    other = [*ids[:9], 12]
    assert list(reuse_prefix(cache, ids, other)) == other
    assert cache.num_tokens == 0
    torch.testing.assert_close(read_in(model, cache, torch.tensor([other]), 1), model(torch.tensor([other])))


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("kind", ["static", "growing", "ring"])
@pytest.mark.parametrize("is_int8", [False, True])
def test_the_memory_counted_is_the_memory_allocated(name, kind, is_int8):
    cache = KVCache(VARIANTS[name], 3, 7, kind=kind, is_int8=is_int8)
    tensors = [
        tensor
        for layer in {id(layer): layer for layer in cache}.values()
        for storage in (layer.keys, layer.values)
        for tensor in vars(storage).values()
        if isinstance(tensor, torch.Tensor)
    ]
    assert cache.num_bytes() == sum(tensor.untyped_storage().nbytes() for tensor in tensors) > 0


def test_8_bits_take_a_third_of_the_memory_and_change_little():
    model = drawn(replace(VARIANTS["llama"], head_dim=32)).float()
    ids = torch.randint(0, 13, (2, 7), generator=torch.Generator().manual_seed(1))
    whole, small = (new_cache(model, 2, is_int8=is_int8) for is_int8 in (False, True))
    assert small.num_bytes() * 32 * 4 == whole.num_bytes() * (32 + 4)
    exact, near = (read_in(model, cache, ids, [3, 1, 1, 2]) for cache in (whole, small))
    assert 0 < (near - exact).norm() < 0.02 * exact.norm()


@pytest.mark.usefixtures("narrow")
def test_8_bits_do_not_wear_off_when_a_ring_moves_along():
    model = drawn(LOCAL).float()
    ids = torch.randint(0, 13, (1, 300), generator=torch.Generator().manual_seed(1))
    near = read_in(model, new_cache(model, kind="ring", is_int8=True), ids, 1)
    off = (near - model(ids)).norm(dim=-1)[0]
    assert off[-50:].mean() < 1.5 * off[10:60].mean()


@pytest.mark.parametrize("name", ["llama", "deepseek"])
@pytest.mark.parametrize("kind", ["static", "growing", "ring"])
@pytest.mark.usefixtures("narrow")
def test_8_bits_change_little_in_every_kind_of_cache(name, kind):
    model = drawn(VARIANTS[name]).float()
    ids = torch.randint(0, 13, (2, 7), generator=torch.Generator().manual_seed(1))
    near = read_in(model, new_cache(model, 2, kind=kind, is_int8=True), ids, [3, 1, 1, 2])
    assert 0 < (near - model(ids)).norm() < 0.02 * model(ids).norm()


def test_padding_is_on_the_left_and_of_its_own_segment():
    token_ids, segment_ids = left_padded([[7, 8, 9], [5]], padding_id=4)
    assert token_ids.tolist() == [[7, 8, 9], [4, 4, 5]]
    assert segment_ids.tolist() == [[1, 1, 1], [0, 0, 1]]
