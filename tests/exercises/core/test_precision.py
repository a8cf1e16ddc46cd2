"""An answer into which float32 is written is told so; one that follows its input, or the default dtype, is right."""

import numpy as np
import pytest
import torch
from torch import nn

from gemini_workshop.exercises.core.catalogue import find
from gemini_workshop.exercises.core.judge import judge
from gemini_workshop.exercises.core.verdict import Outcome


def softmax_in_float32(scores, dim=-1):
    return scores.float().softmax(dim).to(scores.dtype)


def softmax_asked_for_float32(scores, dim=-1):
    return torch.softmax(scores, dim, dtype=torch.float32)


def attention_of_float_values(query, key, value, mask=None):
    scores = query @ key.mT / query.shape[-1] ** 0.5
    scores = scores if mask is None else scores.masked_fill(~mask, -torch.inf)
    return scores.softmax(-1) @ value.float().to(value.dtype)


def heads_in_float32(x):
    return x.transpose(1, 2).flatten(2).type(torch.float32)


def rotated_by_a_short_cosine(x, cos, sin):
    first, second = x.chunk(2, -1)
    cos = cos.float().to(x.dtype)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)


def gated_in_float32(gate, up, activation):
    return activation(gate.float()) * up.float()


class FeedForwardInFloat32(find("05.2").reference):
    def forward(self, x):
        return super().forward(x.float().to(x.dtype))


def z_loss_in_float32(logits):
    return logits.float().logsumexp(-1).square().mean()


def loss_in_float32(logits, targets, ignore_index=-100):
    return nn.functional.cross_entropy(logits.float().flatten(0, -2), targets.flatten(), ignore_index=ignore_index)


def cut_in_float32(logits, k):
    return logits.float().masked_fill(logits < logits.topk(min(k, logits.shape[-1])).values[..., -1:], -torch.inf)


def smoothed_in_float32(run, inputs):
    return find("01.3").reference(run, inputs.float())


ONLY_FLOAT32 = [
    ("01.3", smoothed_in_float32),
    ("02.1", softmax_in_float32),
    ("02.1", softmax_asked_for_float32),
    ("02.2", attention_of_float_values),
    ("03.2", heads_in_float32),
    ("04.4", rotated_by_a_short_cosine),
    ("05.2", FeedForwardInFloat32),
    ("05.3", gated_in_float32),
    ("08.5", z_loss_in_float32),
    ("11.2", loss_in_float32),
    ("12.3", cut_in_float32),
]


@pytest.mark.parametrize(("exercise", "answer"), ONLY_FLOAT32, ids=lambda each: getattr(each, "__name__", each))
def test_float32_written_into_an_answer_is_told(exercise, answer):
    verdict = judge(find(exercise), answer)
    assert verdict.outcome == Outcome.WRONG, str(verdict)
    assert "With float64 inputs" in verdict.lines[0]
    assert "`.float()`" in verdict.lines[0]


def softmax_of_numpy(scores, dim=-1):
    powers = np.exp(scores.numpy() - scores.numpy().max(axis=dim, keepdims=True)).astype(np.float32)
    return torch.from_numpy(powers / powers.sum(axis=dim, keepdims=True))


def heads_into_a_new_tensor(x):
    out = torch.zeros(x.shape[0], x.shape[2], x.shape[1] * x.shape[3])
    for h in range(x.shape[1]):
        out[:, :, h * x.shape[3] : (h + 1) * x.shape[3]] = x[:, h]
    return out


def loss_in_float64(logits, targets, ignore_index=-100):
    flat = logits.double().flatten(0, -2), targets.flatten()
    return nn.functional.cross_entropy(*flat, ignore_index=ignore_index).to(logits.dtype)


@pytest.mark.parametrize(
    ("exercise", "answer"), [("02.1", softmax_of_numpy), ("03.2", heads_into_a_new_tensor), ("11.2", loss_in_float64)]
)
def test_numpy_where_it_is_right_the_default_dtype_and_more_digits_are_accepted(exercise, answer):
    verdict = judge(find(exercise), answer)
    assert verdict.outcome == Outcome.PASSED, str(verdict)
