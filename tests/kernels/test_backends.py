import pytest
import torch

from gemini_workshop.kernels import backends
from gemini_workshop.kernels.backends import BACKENDS, fast_causal_attention
from gemini_workshop.models.attention import AttentionRule, causal_attention
from tests.models.conftest import C, H, K

WINDOW = AttentionRule(window_tokens=100)


def inputs(T, S):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(1, heads, tokens, C, generator=generator) for heads, tokens in ((H, T), (K, S), (K, S))]


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize(("T", "S"), [(60, 60), (1, 700), (530, 700)])
def test_every_backend_computes_the_same(name, T, S):
    torch.testing.assert_close(
        BACKENDS[name](*inputs(T, S), WINDOW), causal_attention(*inputs(T, S), WINDOW), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(("S", "goes_by_chunks"), [(511, False), (512, True), (700, True)])
def test_long_texts_go_through_a_window_by_chunks(monkeypatch, S, goes_by_chunks):
    called = []

    def by_chunks(query, *_):
        called.append(query)
        return query

    monkeypatch.setattr(backends, "windowed_causal_attention", by_chunks)
    fast_causal_attention(*inputs(S, S), WINDOW)
    assert bool(called) == goes_by_chunks


def test_a_window_nearly_as_long_as_the_text_does_not(monkeypatch):
    monkeypatch.setattr(backends, "windowed_causal_attention", None)
    fast_causal_attention(*inputs(700, 700), AttentionRule(window_tokens=400))
    fast_causal_attention(*inputs(700, 700))
