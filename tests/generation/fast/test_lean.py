from dataclasses import replace

import pytest
import torch

from gemini_workshop.authoring.stories.generator import generate_stories
from gemini_workshop.checkpoint import load_pretrained
from gemini_workshop.config import RotaryConfig
from gemini_workshop.generation.cache import left_padded, new_cache
from gemini_workshop.generation.fast.lean import lean_copy
from gemini_workshop.generation.fast.narrow_weights import BFloat16Linear, Int8Linear, UnroundedLinear, quantize_rows
from gemini_workshop.models.transformer import Transformer
from tests.models.conftest import randomize
from tests.models.variants import EXPERTS, VARIANTS

LLAMA = VARIANTS["llama"]
ONE_MORE_OPTION = {  # at a time: what a variant has beside others hides whether it is asked for itself
    "scaled layers": replace(LLAMA, layer_scale=True),
    "inputs of each layer": replace(LLAMA, per_layer_embed_dim=8),
    "experts beside": replace(LLAMA, moe=replace(EXPERTS, beside_dense=True)),
    "neighbours turned": replace(LLAMA, rope=RotaryConfig(base=50.0, layout="interleaved")),
}


@pytest.fixture
def token_ids():
    return torch.randint(0, 13, (2, 7), generator=torch.Generator().manual_seed(3))


def drawn(config):
    generator = torch.Generator().manual_seed(0)
    model = Transformer(config, generator).double().eval()
    randomize(model, generator)
    return model


def decoded(model, token_ids):
    cache = new_cache(model, batch_size=2)
    with torch.inference_mode():
        return torch.cat([model(part, cache) for part in token_ids.split([4, 1, 1, 1], dim=1)], dim=1)


@pytest.mark.parametrize("config", [*VARIANTS.values(), *ONE_MORE_OPTION.values()], ids=[*VARIANTS, *ONE_MORE_OPTION])
def test_the_lean_copy_scores_as_the_model(config, token_ids):
    model = drawn(config)
    lean = lean_copy(model)
    torch.testing.assert_close(decoded(lean, token_ids), decoded(model, token_ids))
    torch.testing.assert_close(lean(token_ids), model(token_ids))


def test_the_lean_copy_keeps_padding_apart_also_after_the_first_tokens_are_forgotten(monkeypatch):
    monkeypatch.setattr("gemini_workshop.generation.layer_cache.SPARE_TOKENS", 1)
    model = drawn(replace(LLAMA, layer_pattern=("local",), window_tokens=3))
    lean, short = lean_copy(model), [3, 1, 4, 1, 5, 9, 2]
    ids, segment_ids = left_padded([list(range(9)), short])
    cache = new_cache(lean, 2, kind="ring")
    with torch.inference_mode():
        parts = [lean(ids[:, end - 1 : end], cache, segment_ids[:, :end]) for end in range(1, 10)]
        torch.testing.assert_close(torch.cat(parts, dim=1)[1, 2:], model(torch.tensor([short]))[0])


def test_the_workshops_own_shape_is_merged_wholly():
    lean = lean_copy(drawn(LLAMA))
    kinds = {type(module).__name__ for module in lean.modules()}
    assert {"LeanBlock", "LeanAttention", "LeanFeedForward", "WholeHeadRotary", "UnitNorm"} <= kinds
    assert not kinds & {"TransformerBlock", "GatedFeedForward", "Linear"}


def test_norms_after_the_sublayers_change_nothing_of_that():
    lean = lean_copy(drawn(replace(LLAMA, norm_placement="sandwich", qk_norm="head")))
    kinds = {type(module).__name__ for module in lean.modules()}
    assert {"LeanBlock", "LeanAttention", "LeanFeedForward", "WholeHeadRotary"} <= kinds
    assert "TransformerBlock" not in kinds


def test_the_model_itself_is_left_as_it_was(token_ids):
    model = drawn(LLAMA)
    before = model(token_ids)
    lean_copy(model, "int8")
    torch.testing.assert_close(model(token_ids), before, rtol=0, atol=0)


def test_the_copy_is_for_decoding_only():
    lean = lean_copy(drawn(LLAMA).train())
    assert not lean.training
    assert not any(weight.requires_grad for weight in lean.parameters())


def test_rows_are_rounded_to_the_nearest_of_255_steps():
    weight = torch.randn(5, 64, generator=torch.Generator().manual_seed(0))
    numbers, scales = quantize_rows(weight)
    assert numbers.abs().amax(dim=1).tolist() == [127] * 5
    assert ((numbers * scales[:, None] - weight).abs() <= scales[:, None] * 0.5001).all()


def test_a_row_of_zeros_stays_zero():
    numbers, scales = quantize_rows(torch.zeros(2, 3))
    assert (numbers * scales[:, None]).tolist() == [[0.0] * 3] * 2


@pytest.mark.parametrize("linear", [UnroundedLinear, BFloat16Linear, Int8Linear])
@pytest.mark.parametrize("num_tokens", [1, 3, 40])
@pytest.mark.parametrize("has_kernel", [True, False], ids=["kernel", "fallback"])
def test_a_narrow_product_is_near_the_whole_one(linear, num_tokens, has_kernel):
    generator = torch.Generator().manual_seed(0)
    weight, bias = torch.randn(48, 64, generator=generator), torch.randn(48, generator=generator)
    x = torch.randn(1, num_tokens, 64, generator=generator)
    layer = linear(weight, bias)
    if not has_kernel:
        layer.packed = None
    expected = x @ weight.T + bias
    bound = {UnroundedLinear: 1e-6, BFloat16Linear: 0.01, Int8Linear: 0.015}[linear]
    assert (layer(x) - expected).norm() < bound * expected.norm()


def test_matrices_of_broken_blocks_are_not_given_to_the_kernel_which_reads_past_their_end():
    assert [Int8Linear(torch.ones(size)).packed is None for size in [(48, 64), (47, 64), (48, 63)]][1:] == [True, True]


@pytest.mark.parametrize("linear", [UnroundedLinear, Int8Linear])
def test_what_compiled_code_writes_out_is_the_same_product(linear):
    generator = torch.Generator().manual_seed(0)
    layer, x = linear(torch.randn(48, 64, generator=generator)), torch.randn(1, 1, 64, generator=generator)
    assert (layer.written_out(x) - layer(x)).norm() < 0.01 * layer(x).norm()


def test_narrow_weights_hardly_change_the_perplexity_of_unseen_stories():
    model, tokenizer = load_pretrained()
    unseen = generate_stories(2, seed=7)
    ids = torch.tensor([tokenizer.encode(story)[:120] for story in unseen])

    @torch.inference_mode()
    def nats(model, parts):
        cache = new_cache(model, 2)
        logits = torch.cat([model(part, cache) for part in ids.split(parts, dim=1)], dim=1)
        return torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())

    whole = nats(model, 120)
    for weights, bound in (("fp32", 1e-5), ("bf16", 0.01), ("int8", 0.02)):
        for parts in (120, 4):  # by the product for many tokens, and by the kernel for few
            assert abs(nats(lean_copy(model, weights), parts) - whole) < bound, (weights, parts)
