from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from gemini_workshop.config import load_config
from gemini_workshop.generation.cache import KVCache
from gemini_workshop.models.accounting import (
    cache_bytes,
    forward_flops,
    num_active_parameters,
    num_parameters,
    training_flops,
)
from gemini_workshop.models.attention import causal_attention
from gemini_workshop.models.transformer import Transformer
from tests.models.conftest import randomize
from tests.models.variants import VARIANTS

EVERYWHERE = pytest.mark.parametrize("name", VARIANTS)


@EVERYWHERE
def test_parameters_are_counted_without_the_model(name):
    assert num_parameters(VARIANTS[name]) == Transformer(VARIANTS[name]).num_parameters()


@EVERYWHERE
def test_active_parameters_are_those_that_one_token_moves(name, generator):
    config = VARIANTS[name]
    model = Transformer(config)
    randomize(model, generator)
    model(torch.tensor([[3]])).square().sum().backward()
    moved = 0
    for part, weight in model.named_parameters():
        # Of stacked experts count those that moved; all other weights are met as a whole.
        is_stacked = "experts.gate_up" in part or "experts.down" in part
        moved += int(weight.grad.flatten(1).any(dim=1).sum()) * weight[0].numel() if is_stacked else weight.numel()
    assert num_active_parameters(config) == moved


@EVERYWHERE
def test_arithmetic_is_what_a_forward_pass_is_seen_to_do(name, generator):
    config = replace(VARIANTS[name], layer_pattern=("global",), window_tokens=None)
    if config.moe is not None:  # count dense products: the counter does not know grouped ones
        config = replace(config, moe=None)
    model = Transformer(config)
    with FlopCounterMode(display=False) as counter, torch.no_grad(), model.attention_by(causal_attention):
        model(torch.arange(5)[None])
    assert forward_flops(config, 5) == counter.get_total_flops()


def test_an_expert_costs_what_it_multiplies():
    config, dense = VARIANTS["mixtral"], replace(VARIANTS["mixtral"], moe=None)
    ffn = 3 * config.num_layers * config.embed_dim
    experts = ffn * config.moe.experts_per_token * config.moe.expert_dim
    router = config.num_layers * config.embed_dim * config.moe.num_experts
    without = forward_flops(dense, 5) - 2 * 5 * ffn * config.ffn_dim
    assert forward_flops(config, 5) == without + 2 * 5 * (experts + router)


def test_a_local_layer_costs_its_window_and_no_more():
    config = replace(VARIANTS["llama"], layer_pattern=("local",), window_tokens=3)
    scores = [forward_flops(config, T) - forward_flops(replace(config, layer_pattern=("global",)), T) for T in (3, 9)]
    per_key = 3 * 2 * config.num_heads * 2 * config.head_dim  # layers, FLOPs a term, heads, scores and mixtures
    assert scores == [0, -per_key * 9 * (9 - 3)]


def test_training_takes_three_forward_passes(generator):
    config = VARIANTS["llama"]
    model = Transformer(config)
    with FlopCounterMode(display=False) as counter, model.attention_by(causal_attention):
        model(torch.arange(5)[None]).sum().backward()
    assert training_flops(config, 5) == counter.get_total_flops()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ["llama", "mixtral", "gpt2"])
def test_cache_bytes_are_those_that_a_cache_sets_aside(name, dtype):
    config = VARIANTS[name]
    (heads,), (channels,) = ({getattr(layer, size) for layer in config.layers} for size in ("num_kv_heads", "head_dim"))
    predicted = cache_bytes(7, [None] * config.num_layers, heads, channels, dtype.itemsize)
    assert predicted == KVCache(config, 1, 7, dtype).num_bytes() > 0


def test_a_layer_keeps_no_more_than_its_window_and_no_more_than_there_is():
    assert [cache_bytes(tokens, [3], 5, 7, 1) for tokens in (1, 3, 9)] == [2 * 35, 6 * 35, 6 * 35]
    assert cache_bytes(9, [3, None], 5, 7, 1) == 2 * (3 + 9) * 35


def test_a_latent_cache_is_smaller_than_its_heads():
    config = VARIANTS["deepseek"]
    assert KVCache(config, 1, 1).num_bytes() == 4 * config.num_layers * (9 + 4)
    assert KVCache(replace(config, latent=None), 1, 1).num_bytes() == 4 * config.num_layers * 2 * 6 * 10


def test_large_models_are_counted_at_once():
    large = load_config("large").model
    assert num_parameters(large) == num_active_parameters(large) > 150e6
