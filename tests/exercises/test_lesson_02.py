"""Right answers in many styles pass the checks of lesson 02."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from gemini_workshop.exercises.core.catalogue import find
from gemini_workshop.exercises.core.judge import judge
from gemini_workshop.exercises.core.verdict import Outcome
from gemini_workshop.exercises.lesson_02.scaled_dot_product_attention import ATTENTION

# --- softmax ---------------------------------------------------------------------------------------------------------


def softmax_of_torch(scores, dim=-1):
    return torch.softmax(scores, dim)


def softmax_by_logsumexp(scores, dim=-1):
    return (scores - torch.logsumexp(scores, dim, keepdim=True)).exp()


def softmax_with_max_and_values(scores, dim=-1):
    largest, _ = scores.max(dim, keepdim=True)
    e = torch.exp(scores - largest)
    return e / torch.sum(e, dim, keepdim=True)


def softmax_by_moving_the_axis(scores, dim=-1):
    moved = scores.movedim(dim, 0)
    e = (moved - moved.max(0).values).exp()
    return (e / e.sum(0)).movedim(0, dim)


def softmax_of_numpy(scores, dim=-1):
    values = scores.numpy()
    e = np.exp(values - values.max(dim, keepdims=True))
    return torch.from_numpy(e / e.sum(dim, keepdims=True))


# --- scaled_dot_product_attention ------------------------------------------------------------------------------------


def attention_of_torch(query, key, value, mask=None):
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)


def attention_by_loops(query, key, value, mask=None):
    *batch, T, C = query.shape
    S = key.shape[-2]
    q, k, v = query.reshape(-1, T, C), key.reshape(-1, S, C), value.reshape(-1, S, value.shape[-1])
    output = torch.zeros(len(q), T, value.shape[-1])
    for b in range(len(q)):
        for t in range(T):
            scores = []
            for s in range(S):
                score = (q[b, t] * k[b, s]).sum() / math.sqrt(C)
                if mask is not None and not mask[t, s]:
                    score = torch.tensor(float("-inf"))
                scores.append(score)
            for share, row in zip(torch.softmax(torch.stack(scores), 0), v[b], strict=True):
                output[b, t] += share * row
    return output.reshape(*batch, T, -1)


def attention_by_einsum(query, key, value, mask=None):
    scores = torch.einsum("...tc,...sc->...ts", query, key) * query.size(-1) ** -0.5
    if mask is not None:
        scores = torch.where(mask, scores, -torch.inf)
    return torch.einsum("...ts,...sc->...tc", scores.softmax(-1), value)


def attention_with_an_additive_mask(query, key, value, mask=None):
    scores = query @ key.mT / key.shape[-1] ** 0.5
    if mask is not None:
        scores = scores + torch.zeros(mask.shape).masked_fill(mask.logical_not(), -math.inf)
    return F.softmax(scores, dim=-1).matmul(value)


def attention_with_a_large_negative_number(query, key, value, mask=None):
    scores = torch.matmul(query / math.sqrt(query.shape[-1]), key.transpose(-1, -2))
    return torch.softmax(scores if mask is None else scores.masked_fill(mask == 0, -1e9), -1) @ value


def attention_masked_in_place(query, key, value, mask=None):
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    if mask is not None:
        scores[..., ~mask] = float("-inf")
    return scores.softmax(-1) @ value


def attention_renormalised_after_masking(query, key, value, mask=None):
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    if mask is None:
        return scores.softmax(-1) @ value
    e = (scores - scores.masked_fill(~mask, -torch.inf).amax(-1, keepdim=True)).exp() * mask
    return e / e.sum(-1, keepdim=True) @ value


def attention_in_float64(query, key, value, mask=None):
    return attention_by_einsum(query.double(), key.double(), value.double(), mask)


def attention_of_numpy(query, key, value, mask=None):
    q, k, v = query.numpy(), key.numpy(), value.numpy()
    scores = q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])
    if mask is not None:
        scores = np.where(mask.numpy(), scores, -np.inf)
    e = np.exp(scores - scores.max(-1, keepdims=True))
    return torch.from_numpy(e / e.sum(-1, keepdims=True) @ v)


def attention_query_by_query(query, key, value, mask=None):
    rows = []
    for t in range(query.shape[-2]):
        scores = (query[..., t : t + 1, :] * key).sum(-1) / math.sqrt(query.shape[-1])
        if mask is not None:
            scores = scores.masked_fill(~mask[t], -math.inf)
        rows.append((scores.softmax(-1)[..., None] * value).sum(-2))
    return torch.stack(rows, dim=-2)


# --- masks -----------------------------------------------------------------------------------------------------------


def causal_by_comparison(num_queries, num_keys, *, device=None):
    positions = torch.arange(num_keys, device=device)
    return positions <= positions[num_keys - num_queries :, None]


def causal_by_loops(num_queries, num_keys, *, device=None):
    mask = torch.zeros(num_queries, num_keys, dtype=torch.bool, device=device)
    for t in range(num_queries):
        for s in range(num_keys - num_queries + t + 1):
            mask[t, s] = True
    return mask


def causal_by_slicing_the_square(num_queries, num_keys, *, device=None):
    return torch.ones(num_keys, num_keys, device=device).tril().bool()[-num_queries:]


def additive_by_logarithm(mask, dtype=torch.float32):
    return mask.to(dtype).log()


def additive_by_where(mask, dtype=torch.float32):
    return torch.where(mask, 0.0, -torch.inf).to(dtype)


def additive_by_loops(mask, dtype=torch.float32):
    return torch.tensor([0.0 if may else -math.inf for may in mask.flatten()], dtype=dtype, device=mask.device).view(
        mask.shape
    )


RIGHT = {
    "02.1": [
        softmax_of_torch,
        softmax_by_logsumexp,
        softmax_with_max_and_values,
        softmax_by_moving_the_axis,
        softmax_of_numpy,
    ],
    "02.2": [
        F.scaled_dot_product_attention,
        attention_of_torch,
        attention_by_loops,
        attention_by_einsum,
        attention_with_an_additive_mask,
        attention_with_a_large_negative_number,
        attention_masked_in_place,
        attention_renormalised_after_masking,
        attention_in_float64,
        attention_of_numpy,
        attention_query_by_query,
    ],
    "02.3": [causal_by_comparison, causal_by_loops, causal_by_slicing_the_square],
    "02.4": [additive_by_logarithm, additive_by_where, additive_by_loops],
}


@pytest.mark.parametrize(("exercise_id", "answer"), [(key, f) for key, functions in RIGHT.items() for f in functions])
def test_right_answers_pass_however_they_are_written(exercise_id, answer):
    verdict = judge(find(exercise_id), answer)
    assert verdict.outcome == Outcome.PASSED, str(verdict)


def test_leaving_out_the_root_is_said_in_words_with_the_share_that_it_spoils():
    def unscaled(query, key, value, mask=None):
        scores = query @ key.transpose(-2, -1)
        if mask is not None:
            scores = scores.masked_fill(~mask, float("-inf"))
        return scores.softmax(-1) @ value

    verdict = judge(ATTENTION, unscaled)
    assert verdict.lines[0].startswith("It looks as if the scores are not divided by √head_dim.")
    assert "gives key" in verdict.lines[1]
    assert "(head_dim = 4" in verdict.lines[1]


def test_two_mistakes_at_once_match_no_name_and_still_get_a_counterexample():
    def unscaled_and_over_queries(query, key, value, mask=None):
        return (query @ key.transpose(-2, -1)).softmax(-2) @ value

    verdict = judge(ATTENTION, unscaled_and_over_queries)
    assert verdict.outcome == Outcome.WRONG
    assert verdict.mistake is None
    assert verdict.lines


def test_a_hidden_key_that_is_used_is_caught_by_changing_its_value():
    broken = ATTENTION.invariants[0].broken
    assert broken(attention_by_einsum) is None
    message = broken(lambda query, key, value, mask=None: attention_by_einsum(query, key, value))
    assert "The mask hides key" in message


def test_shares_that_do_not_sum_to_one_are_reported_with_their_axis():
    broken = find("02.1").invariants[0].broken
    assert broken(torch.softmax) is None
    assert "dim=1 the results along that axis add up to" in broken(lambda scores, dim=-1: torch.softmax(scores, -1))


def test_the_verdict_that_readme_shows_is_a_real_one():
    readme = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    mistake = ATTENTION.misconceptions["not scaled"]
    assert str(judge(ATTENTION, mistake.wrong)) in readme
