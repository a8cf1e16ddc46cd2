import pytest
import torch

from gemini_workshop.errors import WorkshopError
from gemini_workshop.evaluation.traffic import MemoryTraffic
from gemini_workshop.models.attention import causal_attention, scaled_dot_product_attention
from gemini_workshop.models.flash_attention import flash_attention, largest_tile, online_softmax
from gemini_workshop.models.masks import causal_mask
from tests.models.conftest import B, C, H, S, T


def draw(generator, num_queries, num_keys, channels=C):
    return [
        torch.randn(B, H, tokens, width, generator=generator, dtype=torch.float64)
        for tokens, width in ((num_queries, channels), (num_keys, channels), (num_keys, channels + 1))
    ]


@pytest.mark.parametrize(("num_queries", "num_keys"), [(1, 1), (T, T), (T, S), (1, S), (37, 41)])
@pytest.mark.parametrize("tile", [1, 2, 5, 64])
def test_it_equals_the_written_out_attention(num_queries, num_keys, tile, generator):
    inputs = draw(generator, num_queries, num_keys)
    torch.testing.assert_close(flash_attention(*inputs, tile), causal_attention(*inputs))


def test_huge_scores_stay_finite(generator):
    query, key, value = draw(generator, 37, 41)
    output = flash_attention(1e3 * query, 1e3 * key, value, 7)
    torch.testing.assert_close(output, causal_attention(1e3 * query, 1e3 * key, value))


def test_a_softmax_kept_up_to_date_equals_the_whole_one_however_it_is_cut(generator):
    scores = 10 * torch.randn(B, T, 20, generator=generator, dtype=torch.float64)
    values = torch.randn(B, 20, C, generator=generator, dtype=torch.float64)
    for pieces in [[20], [1] * 20, [7, 13], [12, 1, 7]]:
        zeros = torch.zeros(B, T, C, dtype=torch.float64)
        largest, total, mixed = torch.full_like(zeros[..., :1], float("-inf")), zeros[..., :1], zeros
        for some, theirs in zip(scores.split(pieces, -1), values.split(pieces, -2), strict=True):
            largest, total, mixed = online_softmax(largest, total, mixed, some, theirs)
        torch.testing.assert_close(mixed / total, scores.softmax(-1) @ values)
        torch.testing.assert_close(total.log() + largest, scores.logsumexp(-1, keepdim=True))


def moved(fast_numbers, num_tokens, channels, attend):
    zeros = torch.zeros(num_tokens, channels)
    with MemoryTraffic(fast_numbers) as memory:
        attend(zeros, zeros, zeros)
    return memory


def by_tiles(fast_numbers, num_tokens, channels):
    tile = largest_tile(fast_numbers, channels)
    return moved(fast_numbers, num_tokens, channels, lambda q, k, v: flash_attention(q, k, v, tile))


def written_out(fast_numbers, num_tokens, channels):
    mask = causal_mask(num_tokens, num_tokens)
    return moved(fast_numbers, num_tokens, channels, lambda q, k, v: scaled_dot_product_attention(q, k, v, mask))


@pytest.mark.parametrize(("tokens", "channels", "tile"), [(24, 4, 4), (60, 8, 6), (96, 12, 12), (64, 8, 8)])
def test_tiles_move_keys_and_values_once_for_each_tile_of_queries_that_sees_them(tokens, channels, tile):
    memory = by_tiles(tile * (5 * channels + 2), tokens, channels)
    num_tiles = tokens // tile
    assert memory.numbers_written == tokens * channels
    # tile i sees i + 1 of the tiles of keys, so 1 + 2 + ... + num_tiles pass by
    assert memory.numbers_read == tokens * channels + 2 * channels * tile * num_tiles * (num_tiles + 1) // 2


def test_the_traffic_grows_as_the_theorem_says():
    """Theorem 2: in the order of T^2 C^2 / M, while C <= M <= T C."""
    T, C, M = 512, 32, 8 * (5 * 32 + 2)
    flash = by_tiles(M, T, C).traffic
    assert by_tiles(M, 2 * T, C).traffic / flash == pytest.approx(4, rel=0.1)
    assert by_tiles(2 * M, T, C).traffic / flash == pytest.approx(1 / 2, rel=0.1)
    assert by_tiles(M, T, C // 2).traffic / flash == pytest.approx(1 / 4, rel=0.2)
    assert flash == pytest.approx(5 * T**2 * C**2 / M, rel=0.2)


def test_tiles_move_less_than_the_squares_as_soon_as_the_fast_memory_is_real():
    """100 kB of float32 beside each core of a GPU, 64 channels, 1,024 tokens."""
    assert written_out(25_000, 1024, 64).traffic > 8 * by_tiles(25_000, 1024, 64).traffic


@pytest.mark.parametrize("channels", [1, 4, 64])
@pytest.mark.parametrize("fast_numbers", [400, 10_000, 123_457])
def test_what_is_needed_at_once_fits_the_fast_memory(channels, fast_numbers):
    tile = largest_tile(fast_numbers, channels)
    assert 4 * tile * channels + tile * tile + 2 * tile <= fast_numbers


def test_a_fast_memory_too_small_for_one_key_is_an_error_that_says_how_much_it_takes():
    with pytest.raises(WorkshopError, match=r"fast_numbers=21 cannot hold.*4 channels. It takes 22"):
        largest_tile(21, 4)
