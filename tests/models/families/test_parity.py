"""Every family, in several sizes drawn at random: our decoder and transformers' agree on the last digits."""

from dataclasses import replace
from functools import partial

import pytest
import torch
import transformers
from torch import Tensor

from gemini_workshop.config import ModelConfig
from gemini_workshop.generation.cache import KVCache
from gemini_workshop.models.families import load_huggingface, save_huggingface
from gemini_workshop.models.families.registry import find_family
from gemini_workshop.models.families.weights import weight_names
from gemini_workshop.models.transformer import Transformer
from tests.models.families import published
from tests.models.families.conftest import Pair

PADDING = [6, 0]  # tokens of padding on the left of each sequence
CHUNKS = [5, 1, 1, 1, 1, 9, 1, 4]  # tokens that go through a cache at once
EXACT = {"rtol": 0, "atol": 1e-9}


def padded_batch() -> tuple[Tensor, dict[str, Tensor]]:
    """Which tokens are no padding, and what transformers wants to know about them."""
    mask = torch.stack([(torch.arange(published.T) >= padding).long() for padding in PADDING])
    return mask, {"attention_mask": mask, "position_ids": (mask.cumsum(dim=1) - 1).clamp(min=0)}


def run_cached(model: Transformer, token_ids: Tensor, segment_ids: Tensor | None = None) -> Tensor:
    """Read the tokens through a cache: several at once, then one by one past the edge of a window, and both again."""
    B, T = token_ids.shape
    cache = KVCache(model.config, B, T, dtype=torch.float64)
    logits, end = [], 0
    for chunk in CHUNKS:
        start, end = end, end + chunk
        segments = None if segment_ids is None else segment_ids[:, :end]
        logits.append(model(token_ids[:, start:end], cache, segments))
    assert end == T
    return torch.cat(logits, dim=1)


def as_ours(pair: Pair, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Their tensors, or gradients, by our names."""
    config, found = pair.ours.config, {}
    for ours, ways in weight_names(find_family(pair.model_type), config, set(pair.ours.state_dict())).items():
        for way in ways:
            if all(name in tensors for name in way.theirs):
                found |= dict(zip(ours, way.layout.to_ours([tensors[name] for name in way.theirs]), strict=True))
                break
    return found


@torch.no_grad()
def test_logits_are_equal_in_float64(pair):
    assert pair.logits.dtype == torch.float64
    assert pair.logits.std() > 0.3  # every layer has its say
    torch.testing.assert_close(pair.ours(pair.token_ids), pair.logits, **EXACT)


@torch.no_grad()
def test_logits_are_equal_in_float32(pair):
    """Each side in its own float32, which rounds in other places."""
    ours = load_huggingface(pair.folder, dtype=torch.float32)
    assert {weight.dtype for weight in ours.parameters()} == {torch.float32}
    theirs = transformers.AutoModelForCausalLM.from_pretrained(
        pair.folder, dtype=torch.float32, attn_implementation="eager", experts_implementation="eager"
    ).eval()
    torch.testing.assert_close(ours(pair.token_ids), theirs(pair.token_ids).logits, rtol=0, atol=1e-5)


@torch.no_grad()
def test_padding_on_the_left_changes_nothing(pair):
    mask, arguments = padded_batch()
    expected = pair.run_theirs(pair.token_ids, **arguments)[mask.bool()]
    logits = pair.ours(pair.token_ids, segment_ids=mask)
    torch.testing.assert_close(logits[mask.bool()], expected, **EXACT)


@torch.no_grad()
def test_a_cache_changes_nothing(pair):
    torch.testing.assert_close(run_cached(pair.ours, pair.token_ids), pair.logits, **EXACT)


@torch.no_grad()
def test_padding_and_a_cache_together_change_nothing(pair):
    mask, arguments = padded_batch()
    expected = pair.run_theirs(pair.token_ids, **arguments)[mask.bool()]
    logits = run_cached(pair.ours, pair.token_ids, segment_ids=mask)
    torch.testing.assert_close(logits[mask.bool()], expected, **EXACT)


def test_gradients_are_equal(pair):
    factors = torch.randn(pair.logits.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with published.in_float64():
        (pair.theirs(pair.token_ids, use_cache=False).logits * factors).sum().backward()
    (pair.ours(pair.token_ids) * factors).sum().backward()
    weights = dict(pair.theirs.named_parameters())
    unused = {name: torch.zeros_like(weight) for name, weight in weights.items() if weight.grad is None}
    theirs = as_ours(pair, {name: weight.grad for name, weight in weights.items() if weight.grad is not None} | unused)
    ours = {name: weight.grad for name, weight in pair.ours.named_parameters()}
    constants = {name for name in ours if name.endswith(".scale") and name not in theirs}  # a buffer on their side
    assert ours.keys() - constants == theirs.keys()
    for name, expected in theirs.items():
        torch.testing.assert_close(ours[name], expected, rtol=1e-9, atol=1e-9, msg=partial("{}: {}".format, name))
    pair.theirs.zero_grad()
    pair.ours.zero_grad()


def test_the_way_back_gives_the_same_model(pair, tmp_path):
    is_second_choice = pair.family == "gemma4_unified"  # Gemma 4 can express its decoder, too
    with published.in_float64():
        family = pair.model_type if is_second_choice else None
        save_huggingface(pair.ours, tmp_path / "ours", family, max_shard_bytes=60_000)
        theirs = transformers.AutoModelForCausalLM.from_pretrained(
            tmp_path / "ours", dtype=torch.float64, attn_implementation="eager", experts_implementation="eager"
        ).eval()
        assert type(theirs) is type(pair.theirs)
        with torch.no_grad():
            logits = theirs(pair.token_ids, use_cache=False).logits
    torch.testing.assert_close(logits, pair.logits, **EXACT)


# --- The comparison notices ---


def other_rope(config: ModelConfig, **changes) -> ModelConfig:
    return replace(config, rope=replace(config.rope, **changes))


def other_experts(config: ModelConfig, **changes) -> ModelConfig:
    return replace(config, moe=replace(config.moe, **changes))


WRONG = {
    "gpt2-0": {"the same scale in all layers": partial(replace, query_scale=None)},
    "gpt2-2": {"tanh GELU for the exact one": partial(replace, activation="gelu_tanh")},
    "llama-0": {
        "interleaved pairs": partial(other_rope, layout="interleaved"),
        "positions not slowed down": partial(other_rope, scaling="none"),
    },
    "llama-1": {"yarn without its magnitude": partial(other_rope, magnitude=1.0)},
    "llama-2": {"llama3 blended over other turns": partial(other_rope, high_freq_factor=3.9)},
    "gemma-2": {
        "eps 1e-5 for 1e-6": partial(replace, norm_eps=1e-5),
        "norm weights without offset": partial(replace, norm="rms"),
        "embeddings scaled by a rounded factor": partial(replace, embedding_scale=6.3125),
    },
    "gemma2-2": {
        "a window one longer": partial(replace, window_tokens=8),
        "a window one shorter": partial(replace, window_tokens=6),
        "scores scaled by the head's size": partial(replace, query_scale=None),
    },
    "gemma3-0": {
        "one base for all layers": lambda config: replace(config, local_rope=config.rope),
        "no norm of queries and keys": partial(replace, qk_norm="none"),
        "global positions not slowed down": partial(other_rope, factor=1.0),
    },
    "gemma4-0": {
        "a part of the channels turned, not of the pairs": partial(other_rope, fraction_of="channels"),
        "values not normalised": partial(replace, value_norm=False),
        "layers not scaled": partial(replace, layer_scale=False),
    },
    "gemma4_moe-0": {"experts not scaled": partial(other_experts, per_expert_scale=False)},
    "olmoe-1": {"weights divided by their sum": partial(other_experts, renormalize=True)},
    "gpt_oss-0": {
        "no sinks": partial(replace, attention_sinks=False),
        "borders rounded to whole pairs": partial(other_rope, round_range=True),
    },
    "deepseek_v2-1": {"scores not sharpened": partial(replace, query_scale=None)},
    "deepseek_v3-1": {
        "no limit on groups": partial(other_experts, kept_groups=4),
        "groups by their best expert": partial(other_experts, group_score="max"),
        "chosen without the selection bias": partial(other_experts, selection_bias=False),
        "routed experts not scaled": partial(other_experts, routed_scale=1.0),
    },
}


@torch.no_grad()
@pytest.mark.parametrize(
    ("pair", "mistake"), [(pair, mistake) for pair in WRONG for mistake in WRONG[pair]], indirect=["pair"]
)
def test_a_wrong_detail_shows(pair, mistake, request):
    change = WRONG[request.node.callspec.params["pair"]][mistake]
    with published.in_float64():
        wrong = Transformer(change(pair.ours.config)).double()
    weights = pair.ours.state_dict()
    wrong.load_state_dict({name: weights[name] for name in wrong.state_dict() if name in weights}, strict=False)
    assert (wrong(pair.token_ids) - pair.logits).abs().max() > 1e-5
