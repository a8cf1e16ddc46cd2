import math
from dataclasses import replace

import pytest
import torch
from transformers import PretrainedConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from gemini_workshop.config import RotaryConfig
from gemini_workshop.models.embeddings import rotary_frequencies
from gemini_workshop.models.rotary_scaling import rotary_magnitude, scaled_rotary_frequencies

LLAMA3 = RotaryConfig(base=500.0, scaling="llama3", factor=8.0, original_tokens=64)
YARN = RotaryConfig(base=500.0, scaling="yarn", factor=4.0, original_tokens=256, slow_turns=2.0, fast_turns=9.0)


def theirs(head_dim: int, rope_type: str, **parameters):
    """Frequencies and magnitude as transformers computes them."""
    config = PretrainedConfig(
        head_dim=head_dim,
        hidden_size=head_dim,
        num_attention_heads=1,
        max_position_embeddings=1024,
        rope_parameters={"rope_type": rope_type, "rope_theta": 500.0} | parameters,
    )
    return ROPE_INIT_FUNCTIONS[rope_type](config, torch.device("cpu"))


@pytest.mark.parametrize("head_dim", [6, 16, 64])
@pytest.mark.parametrize(
    ("rope", "their_type", "parameters"),
    [
        (RotaryConfig(base=500.0, scaling="linear", factor=8.0), "linear", {"factor": 8.0}),
        (
            LLAMA3,
            "llama3",
            {
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 64,
            },
        ),
        (
            YARN,
            "yarn",
            {"factor": 4.0, "original_max_position_embeddings": 256, "beta_slow": 2.0, "beta_fast": 9.0},
        ),
        (
            replace(YARN, round_range=False),
            "yarn",
            {
                "factor": 4.0,
                "original_max_position_embeddings": 256,
                "beta_slow": 2.0,
                "beta_fast": 9.0,
                "truncate": False,
            },
        ),
        *(
            (
                replace(YARN, original_tokens=tokens),
                "yarn",
                {"factor": 4.0, "original_max_position_embeddings": tokens, "beta_slow": 2.0, "beta_fast": 9.0},
            )
            for tokens in (10, 40, 10**8)
        ),
    ],
    ids=[
        *("linear", "llama3", "yarn", "yarn, range not rounded"),
        *("yarn, all pairs slow", "yarn, borders cut below", "yarn, borders cut above"),
    ],
)
def test_scalings_equal_those_of_transformers(head_dim, rope, their_type, parameters):
    frequencies, magnitude = theirs(head_dim, their_type, **parameters)
    torch.testing.assert_close(scaled_rotary_frequencies(head_dim, rope), frequencies, rtol=1e-6, atol=0)
    assert rotary_magnitude(rope) == pytest.approx(magnitude, abs=1e-12)


def test_the_ntk_base_keeps_the_fastest_pair_and_slows_the_slowest_by_the_factor():
    plain = rotary_frequencies(16, 500.0)
    scaled = scaled_rotary_frequencies(16, RotaryConfig(base=500.0, scaling="ntk", factor=8.0))
    assert scaled[0] == plain[0] == 1.0
    assert (plain[-1] / scaled[-1]).item() == pytest.approx(8.0, rel=1e-5)
    ratios = plain / scaled
    assert (ratios[1:] > ratios[:-1]).all()


@pytest.mark.parametrize("rope", [LLAMA3, YARN], ids=["llama3", "yarn"])
def test_fast_pairs_are_kept_and_slow_ones_slowed_by_the_factor(rope):
    plain = rotary_frequencies(64, 500.0)
    ratios = plain / scaled_rotary_frequencies(64, rope)
    turns = rope.original_tokens * plain / (2 * math.pi)
    low, high = (1, 4) if rope.scaling == "llama3" else (1.5, 12)  # yarn rounds to whole pairs
    torch.testing.assert_close(ratios[turns > high], torch.ones_like(ratios[turns > high]))
    torch.testing.assert_close(ratios[turns < low], torch.full_like(ratios[turns < low], rope.factor))
    assert ((ratios >= 0.999) & (ratios <= rope.factor + 0.001)).all()


def test_a_share_of_the_channels_runs_through_all_frequencies():
    rope = RotaryConfig(base=500.0, fraction=0.25)
    assert torch.equal(scaled_rotary_frequencies(32, rope), rotary_frequencies(8, 500.0))


def test_a_share_of_the_pairs_is_the_fastest_ones():
    rope = RotaryConfig(base=500.0, fraction=0.25, fraction_of="pairs")
    frequencies = scaled_rotary_frequencies(32, rope)
    assert torch.equal(frequencies[:4], rotary_frequencies(32, 500.0)[:4])
    assert frequencies[4:].tolist() == [0.0] * 12


def test_a_given_magnitude_is_taken():
    assert rotary_magnitude(replace(YARN, magnitude=1.25)) == 1.25
    assert rotary_magnitude(RotaryConfig(base=5.0, scaling="linear", factor=3.0)) == 1.0
