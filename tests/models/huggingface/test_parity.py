"""Every family, in several sizes drawn at random: our decoder and transformers' agree on the last digits."""

import pytest
import torch
import transformers
from torch import Tensor

from gemini_workshop.generation.cache import KVCache
from gemini_workshop.models.huggingface import load_huggingface, save_huggingface
from gemini_workshop.models.huggingface.names import spellings
from gemini_workshop.models.transformer import Transformer
from tests.models.huggingface import published
from tests.models.huggingface.conftest import Pair

PADDING = [6, 0]  # tokens of padding on the left of each sequence
EXACT = {"rtol": 0, "atol": 1e-9}


def padded_batch() -> tuple[Tensor, dict[str, Tensor]]:
    """Which tokens are no padding, and what transformers wants to know about them."""
    mask = torch.stack([(torch.arange(published.T) >= padding).long() for padding in PADDING])
    return mask, {"attention_mask": mask, "position_ids": (mask.cumsum(dim=1) - 1).clamp(min=0)}


def run_cached(model: Transformer, token_ids: Tensor, chunks: list[int], segment_ids: Tensor | None = None) -> Tensor:
    """Read the tokens chunk by chunk through a cache."""
    B, T = token_ids.shape
    cache = KVCache(model.config, B, T, dtype=torch.float64)
    logits, end = [], 0
    for chunk in chunks:
        start, end = end, end + chunk
        segments = None if segment_ids is None else segment_ids[:, :end]
        logits.append(model(token_ids[:, start:end], cache, segments))
    assert end == T
    return torch.cat(logits, dim=1)


def as_ours(pair: Pair, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Their tensors, or gradients, by our names."""
    config, found = pair.ours.config, {}
    for ours, ways in spellings(pair.model_type, config, set(pair.ours.state_dict())).items():
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
@pytest.mark.parametrize("chunks", [[1] * published.T, [9, 1, 1, 5, 1, 6]], ids=["one by one", "in chunks"])
def test_a_cache_changes_nothing(pair, chunks):
    torch.testing.assert_close(run_cached(pair.ours, pair.token_ids, chunks), pair.logits, **EXACT)


@torch.no_grad()
def test_padding_and_a_cache_together_change_nothing(pair):
    mask, arguments = padded_batch()
    expected = pair.run_theirs(pair.token_ids, **arguments)[mask.bool()]
    logits = run_cached(pair.ours, pair.token_ids, [11, *[1] * (published.T - 11)], segment_ids=mask)
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
        torch.testing.assert_close(
            ours[name], expected, rtol=1e-9, atol=1e-9, msg=lambda text, name=name: f"{name}: {text}"
        )
    pair.theirs.zero_grad(), pair.ours.zero_grad()


def test_the_way_back_gives_the_same_model(pair, tmp_path):
    with published.in_float64():
        save_huggingface(pair.ours, tmp_path / "ours", max_shard_bytes=60_000)
        theirs = transformers.AutoModelForCausalLM.from_pretrained(
            tmp_path / "ours", dtype=torch.float64, attn_implementation="eager", experts_implementation="eager"
        ).eval()
        assert type(theirs) is type(pair.theirs)
        with torch.no_grad():
            logits = theirs(pair.token_ids, use_cache=False).logits
    torch.testing.assert_close(logits, pair.logits, **EXACT)
