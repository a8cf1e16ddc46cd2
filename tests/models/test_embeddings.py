import math

import pytest
import torch
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from gemini_workshop.models.embeddings import (
    alibi_slopes,
    apply_rotary,
    apply_rotary_interleaved,
    rotary_cos_sin,
    rotary_frequencies,
    segment_positions,
    sinusoidal_positions,
)

C = 6


def turned(x, positions, base=100.0):
    cos, sin = rotary_cos_sin(torch.as_tensor(positions), rotary_frequencies(x.shape[-1], base).double())
    return apply_rotary(x, cos, sin)


def vectors(generator, *shape):
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def test_a_pair_is_turned_by_its_angle():
    # Channels 0 and 2 are the fast pair (1 radian a token), channels 1 and 3 the slow one (a tenth).
    x = torch.tensor([[1.0, 0.0, 0.0, 1.0]], dtype=torch.float64)
    angle = torch.tensor([2.0, 0.2], dtype=torch.float64)
    expected = torch.stack([angle[0].cos(), -angle[1].sin(), angle[0].sin(), angle[1].cos()])[None]
    torch.testing.assert_close(turned(x, [2]), expected, rtol=1e-7, atol=1e-7)  # frequencies are float32


def test_position_zero_changes_nothing(generator):
    x = vectors(generator, 1, C)
    assert torch.equal(turned(x, [0]), x)


def test_lengths_are_kept(generator):
    x = vectors(generator, 9, 5, C)
    torch.testing.assert_close(turned(x, [0, 1, 7, 100, 5000]).norm(dim=-1), x.norm(dim=-1))


def test_the_score_depends_on_the_distance_only(generator):
    query, key = vectors(generator, 1, C), vectors(generator, 1, C)

    def score(query_position, key_position):
        return float((turned(query, [query_position]) * turned(key, [key_position])).sum())

    assert score(10, 7) == pytest.approx(score(110, 107), abs=1e-9)
    assert score(10, 7) != pytest.approx(score(10, 6), abs=1e-3)
    assert score(10, 7) != pytest.approx(score(7, 10), abs=1e-3)


def test_two_bases_give_two_results(generator):
    x = vectors(generator, 1, C)
    assert not torch.allclose(turned(x, [3], base=100.0), turned(x, [3], base=1000.0))


def test_a_larger_base_turns_more_slowly_except_in_the_first_pair():
    slow, fast = rotary_frequencies(C, 1000.0), rotary_frequencies(C, 100.0)
    assert slow[0] == fast[0] == 1.0
    assert (slow[1:] < fast[1:]).all()


def test_apply_rotary_equals_transformers(generator):
    query, key = vectors(generator, 9, 4, 5, C), vectors(generator, 9, 2, 5, C)
    cos, sin = rotary_cos_sin(torch.arange(3, 8), rotary_frequencies(C, 100.0).double())
    their_cos, their_sin = torch.cat([cos, cos], dim=-1)[None], torch.cat([sin, sin], dim=-1)[None]
    their_query, their_key = apply_rotary_pos_emb(query, key, their_cos, their_sin)
    torch.testing.assert_close(apply_rotary(query, cos, sin), their_query)
    torch.testing.assert_close(apply_rotary(key, cos, sin), their_key)


def test_the_dtype_of_the_input_is_kept(generator):
    x = vectors(generator, 5, C).bfloat16()
    cos, sin = rotary_cos_sin(torch.arange(5), rotary_frequencies(C, 100.0))
    assert apply_rotary(x, cos, sin).dtype == torch.bfloat16


def test_angles_of_far_positions_are_not_rounded_in_16_bits():
    cos, _ = rotary_cos_sin(torch.arange(1000, 1003), rotary_frequencies(C, 100.0).bfloat16())
    assert cos.dtype == torch.float32
    assert len(set(cos[:, 0].tolist())) == 3


def test_the_interleaved_layout_is_the_other_one_with_its_channels_in_another_order(generator):
    x = vectors(generator, 9, 4, 5, C)
    cos, sin = rotary_cos_sin(torch.arange(3, 8), rotary_frequencies(C, 100.0).double())
    to_halves = [0, 2, 4, 1, 3, 5]
    interleaved = apply_rotary_interleaved(x, cos, sin)
    torch.testing.assert_close(interleaved[..., to_halves], apply_rotary(x[..., to_halves], cos, sin))


def test_an_interleaved_pair_is_a_complex_number_that_turns(generator):
    x = vectors(generator, 5, C)
    cos, sin = rotary_cos_sin(torch.arange(5), rotary_frequencies(C, 100.0).double())
    expected = torch.view_as_real(torch.view_as_complex(x.unflatten(-1, (-1, 2))) * torch.complex(cos, sin)).flatten(-2)
    torch.testing.assert_close(apply_rotary_interleaved(x, cos, sin), expected)


def test_sinusoids_are_those_of_the_paper():
    table = sinusoidal_positions(torch.arange(50), embed_dim=8)
    for position in (0, 1, 17, 49):
        for i in range(4):
            angle = position / 10_000 ** (2 * i / 8)
            assert table[position, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-5)
            assert table[position, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-5)


def test_the_slopes_of_eight_heads_are_those_of_the_paper():
    assert alibi_slopes(8).tolist() == [2**-i for i in range(1, 9)]


def test_slopes_between_two_powers_of_two_are_filled_up():
    # The series of 4 heads, then every other member of the series of 8, as in the authors' code.
    assert alibi_slopes(6).tolist() == [2**-2, 2**-4, 2**-6, 2**-8, 2**-1, 2**-3]


def test_positions_count_from_the_beginning_of_each_segment():
    segments = torch.tensor([[7, 7, 7, 7, 7], [0, 0, 1, 1, 1], [2, 3, 3, 2, 2]])
    assert segment_positions(segments).tolist() == [[0, 1, 2, 3, 4], [0, 1, 0, 1, 2], [0, 0, 1, 0, 1]]
