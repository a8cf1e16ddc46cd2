import pytest
import torch

from gemini_workshop.errors import WorkshopError
from gemini_workshop.models.attention import causal_attention
from gemini_workshop.models.flash_attention import Running, SlowMemory, flash_attention, plain_attention, tile_sizes
from tests.models.conftest import B, C, H, S, T


def draw(generator, num_queries, num_keys, channels=C):
    return [
        torch.randn(B, H, tokens, channels, generator=generator, dtype=torch.float64)
        for tokens in (num_queries, num_keys, num_keys)
    ]


@pytest.mark.parametrize(("num_queries", "num_keys"), [(1, 1), (T, T), (T, S), (1, S), (37, 41)])
@pytest.mark.parametrize("fast_numbers", [22, 50, 100, 1000, 10**9])
def test_it_equals_the_written_out_attention(num_queries, num_keys, fast_numbers, generator):
    inputs = draw(generator, num_queries, num_keys)
    expected = causal_attention(*inputs)
    torch.testing.assert_close(flash_attention(*inputs, SlowMemory(), fast_numbers=fast_numbers), expected)
    torch.testing.assert_close(plain_attention(*inputs, SlowMemory()), expected)


def test_huge_scores_stay_finite(generator):
    query, key, value = draw(generator, 37, 41)
    output = flash_attention(1e3 * query, 1e3 * key, value, SlowMemory(), fast_numbers=100)
    torch.testing.assert_close(output, causal_attention(1e3 * query, 1e3 * key, value))


def test_a_softmax_kept_up_to_date_equals_the_whole_one_however_it_is_cut(generator):
    scores = 10 * torch.randn(B, T, 20, generator=generator, dtype=torch.float64)
    values = torch.randn(B, 20, C, generator=generator, dtype=torch.float64)
    for pieces in [[20], [1] * 20, [7, 13], [12, 1, 7]]:
        running = Running.nothing(values[:, :T])
        for some, theirs in zip(scores.split(pieces, -1), values.split(pieces, -2), strict=True):
            running = running.plus(some, theirs)
        torch.testing.assert_close(running.mixed / running.total, scores.softmax(-1) @ values)
        torch.testing.assert_close(running.total.log() + running.largest, scores.logsumexp(-1, keepdim=True))


def moved(attend, num_tokens, channels, **kwargs) -> SlowMemory:
    memory, zeros = SlowMemory(), torch.zeros(num_tokens, channels)
    attend(zeros, zeros, zeros, memory, **kwargs)
    return memory


@pytest.mark.parametrize(("tokens", "channels"), [(12, 4), (60, 3)])
def test_plain_attention_moves_its_inputs_once_and_its_squares_four_times(tokens, channels):
    memory = moved(plain_attention, tokens, channels)
    assert memory.numbers_read == 3 * tokens * channels + 2 * tokens**2
    assert memory.numbers_written == tokens * channels + 2 * tokens**2


@pytest.mark.parametrize(("tokens", "channels", "tile"), [(24, 4, 4), (24, 4, 8), (60, 3, 12), (64, 8, 64)])
def test_tiles_move_keys_and_values_once_for_each_tile_of_queries_that_sees_them(tokens, channels, tile):
    memory = moved(flash_attention, tokens, channels, fast_numbers=tile * (5 * channels + 2))
    num_tiles = tokens // tile
    assert memory.numbers_written == tokens * channels
    # tile i sees i + 1 of the tiles of keys, so 1 + 2 + ... + num_tiles pass by
    assert memory.numbers_read == tokens * channels + 2 * channels * tile * num_tiles * (num_tiles + 1) // 2


def test_the_traffic_grows_as_the_theorem_says():
    """Theorem 2: in the order of T^2 C^2 / M, while C <= M <= T C."""
    T, C, M = 1024, 8, 32 * (5 * 8 + 2)

    def flash(T, C, M):
        return moved(flash_attention, T, C, fast_numbers=M).traffic

    assert flash(2 * T, C, M) / flash(T, C, M) == pytest.approx(4, rel=0.1)
    assert flash(T, 2 * C, M) / flash(T, C, M) == pytest.approx(4, rel=0.1)
    assert flash(T, C, 2 * M) / flash(T, C, M) == pytest.approx(1 / 2, rel=0.1)
    assert flash(T, C, M) == pytest.approx(5 * T**2 * C**2 / M, rel=0.2)


def test_tiles_move_less_than_the_squares_as_soon_as_the_fast_memory_is_real():
    """100 kB of float32 beside each core of a GPU, 64 channels, 2,048 tokens: the order of section 3.2."""
    flash, plain = moved(flash_attention, 2048, 64, fast_numbers=25_000), moved(plain_attention, 2048, 64)
    assert plain.traffic / flash.traffic > 4


@pytest.mark.parametrize("channels", [1, 4, 64])
@pytest.mark.parametrize("fast_numbers", [400, 10_000, 123_457])
def test_what_is_needed_at_once_fits_the_fast_memory(channels, fast_numbers):
    queries, keys = tile_sizes(fast_numbers, channels)
    assert 2 * queries * channels + 2 * keys * channels + queries * keys + 2 * queries <= fast_numbers


def test_a_fast_memory_too_small_for_one_key_is_an_error_that_says_how_much_it_takes():
    with pytest.raises(WorkshopError, match=r"fast_numbers=21 cannot hold.*4 channels. It takes 22"):
        tile_sizes(21, 4)
