import pytest
import torch

from gemini_workshop.data.stories import generate_stories
from gemini_workshop.generation.cache import new_cache
from gemini_workshop.generation.lean import lean_copy
from gemini_workshop.generation.narrow_weights import BFloat16Linear, DecodingLinear, Int8Linear, quantize_rows
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.training.checkpointing import load_pretrained
from tests.models.conftest import randomize
from tests.models.variants import VARIANTS


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


@pytest.mark.parametrize("name", VARIANTS)
def test_the_lean_copy_scores_as_the_model(name, token_ids):
    model = drawn(VARIANTS[name])
    lean = lean_copy(model)
    torch.testing.assert_close(decoded(lean, token_ids), decoded(model, token_ids))
    torch.testing.assert_close(lean(token_ids), model(token_ids))


def test_the_workshops_own_shape_is_merged_wholly():
    lean = lean_copy(drawn(VARIANTS["llama"]))
    kinds = {type(module).__name__ for module in lean.modules()}
    assert {"LeanBlock", "MergedAttention", "MergedFeedForward", "RollingRotary", "UnitNorm"} <= kinds
    assert not kinds & {"TransformerBlock", "GroupedQueryAttention", "GatedFeedForward", "Linear"}


def test_the_model_itself_is_left_as_it_was(token_ids):
    model = drawn(VARIANTS["llama"])
    before = model(token_ids)
    lean_copy(model, "int8")
    torch.testing.assert_close(model(token_ids), before, rtol=0, atol=0)


def test_rows_are_rounded_to_the_nearest_of_255_steps():
    weight = torch.randn(5, 64, generator=torch.Generator().manual_seed(0))
    numbers, scales = quantize_rows(weight)
    assert numbers.abs().amax(dim=1).tolist() == [127] * 5
    assert ((numbers * scales[:, None] - weight).abs() <= scales[:, None] * 0.5001).all()


def test_a_row_of_zeros_stays_zero():
    numbers, scales = quantize_rows(torch.zeros(2, 3))
    assert (numbers * scales[:, None]).tolist() == [[0.0] * 3] * 2


@pytest.mark.parametrize("linear", [DecodingLinear, BFloat16Linear, Int8Linear])
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
    bound = {DecodingLinear: 1e-6, BFloat16Linear: 0.01, Int8Linear: 0.015}[linear]
    assert (layer(x) - expected).norm() < bound * expected.norm()


@pytest.mark.parametrize("linear", [DecodingLinear, Int8Linear])
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
