import subprocess
import sys
from pathlib import Path

import pytest
import torch

from gemini_workshop.kernels import backends
from gemini_workshop.kernels.backends import fast_causal_attention
from gemini_workshop.kernels.chunked_attention import LONGEST_TOKENS, chunked_causal_attention, suits_chunks
from gemini_workshop.models.attention import PLAIN, AttentionRule, causal_attention
from gemini_workshop.models.transformer import Transformer
from tests.models.variants import VARIANTS

WHOLE = (2, 6, 3, 150, 8, 8)  # B, H, K, T, C, Cv


def inputs(B, H, K, T, C, Cv, dtype=torch.float64):
    """Query, key, value and a gradient of the output, laid out in memory as a model has them."""
    generator = torch.Generator().manual_seed(0)
    shapes = ((H, C), (K, C), (K, Cv), (H, Cv))
    return [
        torch.randn(B, T, heads, width, generator=generator, dtype=dtype).transpose(1, 2).requires_grad_(i < 3)
        for i, (heads, width) in enumerate(shapes)
    ]


def with_gradients(attend, query, key, value, grad, rule=PLAIN):
    output = attend(query, key, value, rule)
    return output, *torch.autograd.grad(output, (query, key, value), grad)


@pytest.mark.parametrize(
    "sizes",
    [
        WHOLE,
        (1, 4, 4, 2, 8, 8),
        (3, 4, 1, 63, 8, 8),
        (1, 4, 2, 64, 8, 8),
        (2, 2, 2, 65, 8, 8),
        (1, 3, 3, 192, 8, 5),
    ],
    ids=["grouped", "two tokens", "one short of a chunk", "one chunk", "one more", "narrower values"],
)
@pytest.mark.parametrize(
    ("scale", "window"), [(None, None), (0.7, None), *((None, w) for w in (1, 2, 63, 64, 65, 100))]
)
def test_outputs_and_gradients_equal_the_definition(sizes, scale, window):
    rule = AttentionRule(scale=scale, window_tokens=window)
    ours = with_gradients(chunked_causal_attention, *inputs(*sizes), rule)
    expected = with_gradients(causal_attention, *inputs(*sizes), rule)
    torch.testing.assert_close(ours, expected, rtol=1e-11, atol=1e-12)


def test_a_text_longer_than_it_suits_is_still_seen_whole():
    given = inputs(1, 1, 1, LONGEST_TOKENS + 70, 4, 4)
    torch.testing.assert_close(chunked_causal_attention(*given[:3]), causal_attention(*given[:3]))


@pytest.mark.parametrize("name", ["llama", "gemma3", "deepseek"])
def test_under_an_autocast_of_ones_own_a_model_still_learns(name):
    model = Transformer(VARIANTS[name])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(torch.randint(13, (2, 100)))
    logits.float().square().mean().backward()
    assert all(weight.grad.isfinite().all() for weight in model.parameters() if weight.grad is not None)
    assert model.blocks[0].attention.output.weight.grad.norm() > 0


def test_bfloat16_is_a_rounding_away():
    exact = with_gradients(causal_attention, *inputs(*WHOLE))
    rounded = [x.detach().bfloat16().requires_grad_(x.requires_grad) for x in inputs(*WHOLE)]
    for ours, expected in zip(with_gradients(chunked_causal_attention, *rounded), exact, strict=True):
        assert ours.dtype == torch.bfloat16
        assert (ours.double() - expected).norm() < 0.01 * expected.norm()


def test_a_training_step_with_it_compiles_without_a_graph_break():
    """In a process of its own, because run-time shape checks break graphs."""
    script = """
import torch
from gemini_workshop.config import TrainingConfig
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.data.batches.batch import Batch
from gemini_workshop.training.objective import NextTokenPrediction
from tests.models.variants import VARIANTS
token_ids = torch.randint(13, (2, 131))
for precision, tolerance in (("fp32", 1e-5), ("bf16", 3e-2)):
    config = TrainingConfig(steps=1, warmup_steps=0, batch_size=2, learning_rate=1e-3, precision=precision)
    objective = NextTokenPrediction(Transformer(VARIANTS["llama"]), config)
    weights = list(objective.parameters())
    for weight in weights:
        torch.nn.init.normal_(weight, std=0.2)
    def gradients(network):
        return torch.autograd.grad(network(Batch(token_ids[:, :-1], token_ids[:, 1:])).total, weights)
    compiled = gradients(torch.compile(objective, backend="aot_eager", fullgraph=True))
    for ours, eager in zip(compiled, gradients(objective), strict=True):
        assert (ours - eager).norm() < tolerance * eager.norm(), (ours - eager).norm() / eager.norm()
    print(precision)
"""
    finished = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False
    )
    assert finished.returncode == 0, finished.stderr[-2000:]
    assert finished.stdout.split() == ["fp32", "bf16"]


@pytest.mark.parametrize(
    ("T", "S", "rule", "dtype", "suits"),
    [
        (100, 100, PLAIN, torch.float32, True),
        (100, 100, AttentionRule(window_tokens=100, scale=0.5), torch.float32, True),
        (LONGEST_TOKENS, LONGEST_TOKENS, PLAIN, torch.float32, True),
        (LONGEST_TOKENS + 1, LONGEST_TOKENS + 1, PLAIN, torch.float32, False),
        (100, 101, PLAIN, torch.float32, False),
        (64, 64, PLAIN, torch.float32, False),
        (64, 64, PLAIN, torch.bfloat16, True),
        (1, 1, PLAIN, torch.bfloat16, False),
        (100, 100, AttentionRule(window_tokens=99), torch.float32, True),
        (100, 100, AttentionRule(softcap=9.0), torch.float32, False),
        (100, 100, AttentionRule(sinks=torch.zeros(2)), torch.float32, False),
        (100, 100, AttentionRule(slopes=torch.zeros(2)), torch.float32, False),
        (100, 100, AttentionRule(segment_ids=torch.zeros(1, 100, dtype=torch.long)), torch.float32, False),
    ],
)
def test_it_suits_plain_attention_of_a_whole_text(T, S, rule, dtype, suits):
    query, key = torch.zeros(1, 2, T, 4), torch.zeros(1, 2, S, 4)
    assert suits_chunks(query, key, rule, dtype) == suits


@pytest.mark.parametrize("needs_gradient", [True, False])
def test_only_what_needs_gradients_goes_by_chunks(monkeypatch, needs_gradient):
    called = []
    monkeypatch.setattr(backends, "chunked_causal_attention", lambda query, *_: called.append(query) or query)
    query, key, value, _ = inputs(*WHOLE, dtype=torch.float32)
    fast_causal_attention(query, key, value)
    assert called
    called.clear()
    with torch.set_grad_enabled(needs_gradient):
        fast_causal_attention(query, key, value)
    assert bool(called) == needs_gradient
