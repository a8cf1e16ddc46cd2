"""Right answers in many styles pass the checks of lesson 04."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gemini_workshop.exercises.core.catalogue import find
from gemini_workshop.exercises.core.judge import judge
from gemini_workshop.exercises.core.verdict import Outcome
from gemini_workshop.exercises.lesson_04.apply_rotary import ROTARY
from gemini_workshop.exercises.lesson_04.learned_positional_embedding import LEARNED
from gemini_workshop.exercises.lesson_04.sinusoidal_positions import SINUSOIDAL
from gemini_workshop.models.embeddings import LearnedPositionalEmbedding, apply_rotary

SOURCE = Path(__file__).parents[2] / "notebooks" / "sources" / "04_positional_encoding.py"

# --- sinusoidal_positions --------------------------------------------------------------------------------------------


def waves_by_loops(positions, embed_dim):
    rows = []
    for p in positions.flatten().tolist():
        row = []
        for i in range(0, embed_dim, 2):
            row += [math.sin(p / 10000 ** (i / embed_dim)), math.cos(p / 10000 ** (i / embed_dim))]
        rows.append(row)
    return torch.tensor(rows).view(*positions.shape, embed_dim)


def waves_by_exponential(positions, embed_dim):
    """As in the Annotated Transformer."""
    table = torch.zeros(*positions.shape, embed_dim)
    speeds = torch.exp(torch.arange(0, embed_dim, 2) * -(math.log(10000.0) / embed_dim))
    table[..., 0::2] = torch.sin(positions.unsqueeze(-1) * speeds)
    table[..., 1::2] = torch.cos(positions.unsqueeze(-1) * speeds)
    return table


def waves_with_a_shifted_sine(positions, embed_dim):
    channels = torch.arange(embed_dim)
    angles = positions[..., None] / 10000 ** ((channels - channels % 2) / embed_dim)
    return torch.sin(angles + (channels % 2) * math.pi / 2)


def waves_of_numpy(positions, embed_dim):
    angles = positions.numpy()[..., None] / np.power(10000.0, 2 * np.arange(embed_dim // 2) / embed_dim)
    return torch.from_numpy(np.stack([np.sin(angles), np.cos(angles)], -1).reshape(*positions.shape, embed_dim))


# --- LearnedPositionalEmbedding --------------------------------------------------------------------------------------


class TableOfTorch(nn.Module):
    def __init__(self, num_positions, embed_dim, generator=None):
        super().__init__()
        self.table = nn.Embedding(num_positions, embed_dim)
        nn.init.normal_(self.table.weight, std=0.02, generator=generator)

    def forward(self, positions):
        return self.table(positions)


class TableByOneHot(nn.Module):
    def __init__(self, num_positions, embed_dim, generator=None):
        super().__init__()
        self.rows = nn.Parameter(torch.empty(num_positions, embed_dim).normal_(0, 0.02, generator=generator))

    def forward(self, positions):
        return F.one_hot(positions, len(self.rows)).to(self.rows.dtype) @ self.rows


class TableThatWraps(LearnedPositionalEmbedding):
    def forward(self, positions):
        return self.weight[positions % len(self.weight)]


class TableThatStartsLarge(LearnedPositionalEmbedding):
    def __init__(self, num_positions, embed_dim, generator=None):
        super().__init__(num_positions, embed_dim, generator)
        nn.init.normal_(self.weight)


# --- rotary_frequencies ----------------------------------------------------------------------------------------------


def frequencies_by_loop(head_dim, base):
    return torch.tensor([1 / base ** (2 * i / head_dim) for i in range(head_dim // 2)])


def frequencies_by_exponential(head_dim, base):
    return torch.exp(-math.log(base) * torch.arange(0, head_dim, 2) / head_dim)


def frequencies_by_steps(head_dim, base):
    return torch.cumprod(torch.tensor([1.0] + [base ** (-2 / head_dim)] * (head_dim // 2 - 1)), 0)


def frequencies_by_logspace(head_dim, base):
    return torch.logspace(0, -(head_dim - 2) / head_dim, head_dim // 2, base=base)


# --- apply_rotary ----------------------------------------------------------------------------------------------------


def rotary_by_complex_numbers(x, cos, sin):
    half = x.shape[-1] // 2
    turned = torch.complex(x[..., :half], x[..., half:]) * torch.complex(cos, sin)
    return torch.cat([turned.real, turned.imag], -1)


def rotary_with_rotate_half(x, cos, sin):
    """As in transformers."""
    cos, sin = torch.cat([cos, cos], -1), torch.cat([sin, sin], -1)
    first, second = x[..., : x.shape[-1] // 2], x[..., x.shape[-1] // 2 :]
    return x * cos + torch.cat([-second, first], -1) * sin


def rotary_by_matrices(x, cos, sin):
    matrices = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)
    pairs = x.unflatten(-1, (2, -1)).transpose(-2, -1)  # (..., pairs, 2)
    return (matrices @ pairs[..., None])[..., 0].transpose(-2, -1).flatten(-2)


def rotary_by_loop(x, cos, sin):
    result, half = torch.empty_like(x), x.shape[-1] // 2
    for i in range(half):
        a, b = x[..., i], x[..., i + half]
        result[..., i] = a * cos[..., i] - b * sin[..., i]
        result[..., i + half] = a * sin[..., i] + b * cos[..., i]
    return result


def rotary_by_angles(x, cos, sin):
    first, second = x.tensor_split(2, dim=-1)
    length, angle = torch.hypot(first, second), torch.atan2(second, first) + torch.atan2(sin, cos)
    return torch.cat([length * angle.cos(), length * angle.sin()], dim=-1)


RIGHT = {
    "04.1": [waves_by_loops, waves_by_exponential, waves_with_a_shifted_sine, waves_of_numpy],
    "04.2": [TableOfTorch, TableByOneHot],
    "04.3": [frequencies_by_loop, frequencies_by_exponential, frequencies_by_steps, frequencies_by_logspace],
    "04.4": [
        rotary_by_complex_numbers,
        rotary_with_rotate_half,
        rotary_by_matrices,
        rotary_by_loop,
        rotary_by_angles,
    ],
}


@pytest.mark.parametrize(("exercise_id", "answer"), [(key, answer) for key, every in RIGHT.items() for answer in every])
def test_right_answers_pass_however_they_are_written(exercise_id, answer):
    verdict = judge(find(exercise_id), answer)
    assert verdict.outcome == Outcome.PASSED, str(verdict)


def test_a_wrong_wave_is_shown_with_its_formula():
    wrong = SINUSOIDAL.misconceptions["cosine first"].wrong
    assert judge(SINUSOIDAL, wrong).lines[1] == ("At position 0, channel 0 is 1; sin(0 / 10000^(0/4)) = 0 is needed.")


def test_a_wrong_turn_is_shown_for_one_pair_and_its_angle():
    backwards = ROTARY.misconceptions["rotates backwards"].wrong
    assert judge(ROTARY, backwards).lines[1] == (
        "Channels 0 and 2, (1, 0), rotated by 2 radians became (-0.4161, -0.9093); (-0.4161, 0.9093) is needed."
    )


def test_a_table_that_wraps_round_is_caught_at_its_end():
    verdict = judge(LEARNED, TableThatWraps)
    assert verdict.outcome == Outcome.WRONG
    assert "asked for position 4, which it does not have" in verdict.lines[0]


def test_a_table_that_starts_large_is_told_its_spread():
    verdict = judge(LEARNED, TableThatStartsLarge)
    assert verdict.outcome == Outcome.WRONG
    assert "0.02 is needed" in verdict.lines[0]


@pytest.mark.parametrize("change", [torch.Tensor.detach, torch.Tensor.clone])
def test_a_table_has_to_be_reached_by_gradients(change):
    class Answer(LearnedPositionalEmbedding):
        def forward(self, positions):
            return change(super().forward(positions))

    verdict = judge(LEARNED, Answer)
    assert ("No gradient reaches the table" in str(verdict)) == (change is torch.Tensor.detach)


def test_a_table_drawn_from_another_generator_is_told_so():
    class Answer(LearnedPositionalEmbedding):
        def __init__(self, num_positions, embed_dim, generator=None):
            super().__init__(num_positions, embed_dim)

    assert "have to come from `generator`" in judge(LEARNED, Answer).lines[0]


def test_ever_faster_waves_are_recognised_in_the_usual_float32():
    def answer(positions, embed_dim):
        angles = positions.unsqueeze(-1) * torch.pow(10000, torch.arange(0, embed_dim, 2) / embed_dim)
        return torch.stack([torch.sin(angles), torch.cos(angles)], dim=-1).flatten(-2)

    assert judge(SINUSOIDAL, answer).mistake == "ever faster waves"


def test_a_function_that_changes_lengths_is_no_rotation():
    broken = ROTARY.invariants[0].broken
    assert broken(apply_rotary) is None
    assert "came back with length" in broken(lambda x, cos, sin: apply_rotary(x, 2 * cos, sin))
