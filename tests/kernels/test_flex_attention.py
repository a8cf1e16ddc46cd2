import random

import pytest
import torch
from torch.nn.attention import flex_attention as flex

from gemini_workshop.errors import WorkshopError
from gemini_workshop.kernels.flex_attention import flex_causal_attention
from tests.models.rules import assert_equals_the_written_out_attention, combinations, named, problem

FEATURES = ("window", "softcap", "sinks", "slopes", "segments", "images")


def given(draw, features):
    num_keys = draw.randint(2, 150)
    return problem(
        draw,
        num_queries=draw.choice([num_keys, draw.randint(1, num_keys)]),
        num_keys=num_keys,
        window_tokens=draw.randint(1, num_keys) if "window" in features else None,
        features=features,
    )


@pytest.mark.parametrize("features", combinations(*FEATURES), ids=named)
def test_it_equals_the_written_out_attention(features, monkeypatch):
    monkeypatch.setattr(flex, "_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG", True, raising=False)  # 2 s less for each
    draw = random.Random(named(features))
    for _ in range(4):
        with torch.no_grad():
            assert_equals_the_written_out_attention(flex_causal_attention, given(draw, features), gradients=False)


def test_it_does_so_when_traced_too():
    with torch.no_grad():
        assert_equals_the_written_out_attention(
            flex_causal_attention, given(random.Random(0), frozenset(FEATURES)), gradients=False
        )


def test_gradients_on_a_cpu_are_an_error_that_says_what_to_use():
    with pytest.raises(WorkshopError, match=r"no backward pass on device=cpu.*fused_causal_attention.*no_grad"):
        flex_causal_attention(*given(random.Random(0), frozenset()).tensors)
