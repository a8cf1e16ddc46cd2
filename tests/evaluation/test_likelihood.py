"""Log-probabilities of texts: fast ways equal the naive one."""

from dataclasses import replace

import pytest
import torch

from gemini_workshop.errors import DataError
from gemini_workshop.evaluation.likelihood import continuation_log_probs, strided_log_probs
from gemini_workshop.models.transformer import Transformer
from tests import tiny

CONTEXT = tiny.MODEL.context_tokens


@pytest.fixture(scope="module")
def model():
    model = Transformer(replace(tiny.MODEL, tied_head=False)).double().eval()
    generator = torch.Generator().manual_seed(0)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.5, generator=generator)
    return model


@torch.inference_mode()
def naive_log_probs(model, token_ids):
    """One pass of the model for each token, over as many tokens before it as the window holds: exact and slow."""
    found = []
    for place in range(1, len(token_ids)):
        logits = model(token_ids[max(0, place - CONTEXT) : place][None])[0, -1].float()
        found.append(logits.log_softmax(-1)[token_ids[place]])
    return torch.stack(found)


def ids(length, seed=0):
    return torch.randint(13, (length,), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("length", [2, 5, CONTEXT + 1, 20])
def test_a_stride_of_one_is_the_naive_way(model, length):
    token_ids = ids(length)
    naive = naive_log_probs(model, token_ids)
    assert naive.shape == (length - 1,)
    torch.testing.assert_close(strided_log_probs(model, token_ids, stride=1, batch_size=3), naive.float())


@pytest.mark.parametrize("stride", [2, 3, CONTEXT])
def test_each_token_is_scored_in_the_first_window_that_holds_it_as_a_target(model, stride):
    token_ids = ids(20)
    expected, scored = [], 0
    while scored < 19:
        start = scored - CONTEXT + stride if scored else 0
        window = token_ids[start : start + CONTEXT + 1]
        with torch.no_grad():
            each = model(window[None, :-1])[0].float().log_softmax(-1).gather(-1, window[1:, None]).squeeze(-1)
        expected += each[scored - start :].tolist()
        scored = min(start + CONTEXT, 19)
    torch.testing.assert_close(strided_log_probs(model, token_ids, stride), torch.tensor(expected))


def test_more_of_the_text_before_it_changes_what_a_token_costs(model):
    assert not torch.allclose(strided_log_probs(model, ids(20), 1), strided_log_probs(model, ids(20), CONTEXT))


@pytest.mark.parametrize(("length", "stride", "words"), [(1, 1, "1 token: nothing"), (20, 9, "stride=9 is outside")])
def test_what_cannot_be_scored_is_refused(model, length, stride, words):
    with pytest.raises(DataError, match=words):
        strided_log_probs(model, ids(length), stride)


def test_continuations_share_a_context_and_cost_what_each_costs_alone(model):
    context, continuations = ids(3).tolist(), [ids(n, seed=n).tolist() for n in (1, 4, 2)]
    found = continuation_log_probs(model, context, continuations)
    for continuation, log_probs in zip(continuations, found, strict=True):
        alone = naive_log_probs(model, torch.tensor(context + continuation))[-len(continuation) :]
        torch.testing.assert_close(log_probs, alone.float())


def test_continuations_of_one_token_need_no_second_pass(model):
    found = continuation_log_probs(model, ids(4).tolist(), [[token] for token in range(13)])
    assert torch.cat(found).exp().sum().item() == pytest.approx(1.0)


def test_of_a_long_context_the_end_is_read(model):
    context = ids(30).tolist()
    (found,) = continuation_log_probs(model, context, [[1, 2, 3]])
    (end,) = continuation_log_probs(model, context[-(CONTEXT - 2) :], [[1, 2, 3]])
    assert torch.equal(found, end)
    (more,) = continuation_log_probs(model, context[-(CONTEXT - 3) :], [[1, 2, 3]])
    assert not torch.allclose(found, more)


@pytest.mark.parametrize(("context", "continuations"), [([], [[1]]), ([1], [[1], []]), ([1], [[1] * (CONTEXT + 1)])])
def test_a_continuation_that_cannot_be_scored_is_refused(model, context, continuations):
    with pytest.raises(DataError, match=rf"context of {len(context)} tokens.*context_tokens={CONTEXT}"):
        continuation_log_probs(model, context, continuations)
