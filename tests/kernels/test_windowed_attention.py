import inspect
import random
from dataclasses import replace

import pytest
import torch

from gemini_workshop.errors import WorkshopError
from gemini_workshop.kernels import window_chunks
from gemini_workshop.kernels.fused_attention import fused_causal_attention
from gemini_workshop.kernels.window_chunks import CHUNK_TOKENS
from gemini_workshop.kernels.windowed_attention import windowed_causal_attention
from gemini_workshop.models.attention import AttentionRule, causal_attention
from gemini_workshop.training.memory import peak_bytes
from tests.models.rules import Problem, assert_equals_the_written_out_attention, combinations, named, problem

MIB = 2**20
FEATURES = ("softcap", "sinks", "slopes", "segments")


@pytest.mark.parametrize(
    "features", [*combinations(*FEATURES), frozenset({"images"}), frozenset({"images", "segments"})], ids=named
)
def test_it_equals_the_written_out_attention(features):
    draw = random.Random(named(features))
    for _ in range(8):
        num_keys = draw.randint(2, 3 * CHUNK_TOKENS)
        given = problem(
            draw,
            num_queries=draw.choice([num_keys, draw.randint(1, num_keys)]),
            num_keys=num_keys,
            window_tokens=draw.randint(1, draw.choice([3, num_keys + 5])),
            features=features,
        )
        assert_equals_the_written_out_attention(windowed_causal_attention, given)


@pytest.mark.parametrize("chunk", [1, 2, 5, 100])
@pytest.mark.parametrize("scores", [1, 300])
def test_the_size_of_the_chunks_does_not_matter(monkeypatch, chunk, scores):
    monkeypatch.setattr(window_chunks, "CHUNK_TOKENS", chunk)
    monkeypatch.setattr(window_chunks, "CHUNK_SCORES", scores)
    draw = random.Random(0)
    for features in [frozenset(), frozenset({"slopes"}), frozenset(FEATURES)] * 3:
        given = problem(draw, num_queries=11, num_keys=13, window_tokens=4, features=features)
        assert_equals_the_written_out_attention(windowed_causal_attention, given)


@pytest.mark.parametrize("features", combinations(*FEATURES), ids=named)
def test_the_newest_query_alone_sees_the_newest_keys(features):
    given = problem(random.Random(0), num_queries=1, num_keys=13, window_tokens=4, features=features)
    assert_equals_the_written_out_attention(windowed_causal_attention, given)


def test_the_gradients_are_those_of_finite_differences():
    given = problem(random.Random(1), num_queries=5, num_keys=7, window_tokens=3, features=frozenset(FEATURES))

    def attend(query, key, value, sinks, slopes):
        return windowed_causal_attention(query, key, value, replace(given.rule, sinks=sinks, slopes=slopes))

    assert torch.autograd.gradcheck(attend, given.differentiable)


@pytest.mark.parametrize("num_queries", [1, 9, 90])
def test_the_last_key_in_the_window_counts_and_the_one_before_it_does_not(num_queries):
    num_keys, window = 90, 7
    given = problem(random.Random(2), num_queries=num_queries, num_keys=num_keys, window_tokens=window)
    before = windowed_causal_attention(*given.tensors, given.rule)
    for position in range(num_keys):
        key, value = given.key.detach().clone(), given.value.detach().clone()
        key[:, :, position] += 1
        value[:, :, position] += 1
        after = windowed_causal_attention(given.query, key, value, given.rule)
        changed = (after - before).abs().amax(dim=(0, 1, 3)) > 0
        asking = torch.arange(num_keys - num_queries, num_keys)
        assert torch.equal(changed, (position <= asking) & (asking < position + window))


def test_a_window_of_one_token_gives_each_token_its_own_value():
    given = problem(random.Random(3), num_queries=70, num_keys=70, window_tokens=1)
    own = given.value.repeat_interleave(given.query.shape[1] // given.key.shape[1], dim=1)
    torch.testing.assert_close(windowed_causal_attention(*given.tensors, given.rule), own)


def test_a_window_longer_than_the_text_is_no_window():
    given = problem(random.Random(4), num_queries=150, num_keys=150, window_tokens=10**12)
    expected = causal_attention(*given.tensors, replace(given.rule, window_tokens=None))
    torch.testing.assert_close(windowed_causal_attention(*given.tensors, given.rule), expected)


def test_any_layout_in_memory_will_do():
    given = problem(random.Random(5), num_queries=80, num_keys=80, window_tokens=9, features=frozenset({"sinks"}))
    turned = [x.detach().transpose(1, 2).contiguous().transpose(1, 2).requires_grad_() for x in given.tensors]
    shuffled = Problem(query=turned[0], key=turned[1], value=turned[2], rule=given.rule)
    assert_equals_the_written_out_attention(windowed_causal_attention, shuffled)


def test_bfloat16_is_rounded_at_the_end_only():
    given = problem(
        random.Random(6),
        num_queries=100,
        num_keys=120,
        window_tokens=30,
        features=frozenset(FEATURES),
        dtype=torch.bfloat16,
    )
    exact = [x.detach().double().requires_grad_() for x in given.differentiable]
    rule = replace(given.rule, sinks=exact[3], slopes=exact[4])
    expected = causal_attention(*exact[:3], rule)
    ours = windowed_causal_attention(*given.tensors, given.rule)
    assert ours.dtype == torch.bfloat16
    torch.testing.assert_close(ours.double(), expected, rtol=2**-8, atol=1e-5)  # half a step of bfloat16, and a little
    direction = torch.ones_like(ours)
    gradients = torch.autograd.grad(ours, given.differentiable, direction)
    exact_gradients = torch.autograd.grad(expected, exact, direction.double())
    for gradient, exact_gradient in zip(gradients, exact_gradients, strict=True):
        assert gradient.dtype == torch.bfloat16
        torch.testing.assert_close(gradient.double(), exact_gradient, rtol=2**-7, atol=1e-3)


def test_autocast_does_not_reach_inside():
    given = problem(random.Random(7), num_queries=70, num_keys=70, window_tokens=9, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = windowed_causal_attention(*given.tensors, given.rule)
        output.sum().backward()
    torch.testing.assert_close(output, causal_attention(*given.tensors, given.rule))
    assert given.query.grad.dtype == torch.float32


def test_it_compiles_as_one_graph_forward_and_backward():
    given = problem(random.Random(8), num_queries=70, num_keys=75, window_tokens=9, features=frozenset(FEATURES))

    unchecked = inspect.unwrap(windowed_causal_attention)  # the tests' shape checks cannot be compiled

    @torch.compile(backend="aot_eager", fullgraph=True)
    def attend(query, key, value, rule):
        return unchecked(query * 2, key, value, rule) * 3

    ours = attend(*given.tensors, given.rule)
    expected = 3 * causal_attention(2 * given.query, given.key, given.value, given.rule)
    direction = torch.randn_like(expected)
    torch.testing.assert_close(ours, expected)
    torch.testing.assert_close(
        torch.autograd.grad(ours, given.differentiable, direction),
        torch.autograd.grad(expected, given.differentiable, direction),
    )


def test_both_operations_keep_the_promises_that_torch_asks_of_operations():
    given = problem(random.Random(9), num_queries=6, num_keys=8, window_tokens=3, features=frozenset(FEATURES))
    rule = given.rule
    arguments = (*given.tensors, 0.5, rule.sinks, rule.slopes, rule.segment_ids, 3, rule.softcap)
    operations, checks = torch.ops.gemini_workshop, ("test_schema", "test_autograd_registration", "test_faketensor")
    torch.library.opcheck(operations.window_attention.default, arguments, test_utils=checks)
    gradient = torch.randn_like(operations.window_attention(*arguments))
    detached = [x.detach() if isinstance(x, torch.Tensor) else x for x in arguments]
    torch.library.opcheck(operations.window_attention_backward.default, (gradient, *detached), test_utils=checks)


def test_no_window_is_an_error_that_says_what_to_use():
    given = problem(random.Random(10), num_queries=4, num_keys=4)
    with pytest.raises(WorkshopError, match=r"window_tokens=None.*fused_causal_attention"):
        windowed_causal_attention(*given.tensors, given.rule)


# --- Memory ---


def memory(num_tokens: int, window_tokens: int, attend=windowed_causal_attention) -> int:
    """Bytes of a forward and a backward pass of 8 heads, beyond the inputs and their gradients."""
    query, key, value = (torch.zeros(1, 8, num_tokens, 64, requires_grad=True) for _ in range(3))
    rule = AttentionRule(window_tokens=window_tokens)
    peak = peak_bytes(lambda: attend(query, key, value, rule).sum().backward())
    return peak - sum(x.nbytes for x in (query, key, value))


def test_8192_tokens_need_at_most_40_mib_beyond_the_gradients():
    assert memory(8192, window_tokens=512) < 40 * MIB


def test_twice_the_text_needs_at_most_twice_the_memory():
    assert memory(4096, window_tokens=64) <= 2 * memory(2048, window_tokens=64)
    assert memory(2048, 64, fused_causal_attention) > 2.5 * memory(1024, 64, fused_causal_attention)
