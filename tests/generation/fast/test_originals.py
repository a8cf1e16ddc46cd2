"""A copy computes what the model computes, whatever a learner or LoRA has put into it: never what it was before."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from gemini_workshop.errors import WorkshopError
from gemini_workshop.generation.cache import new_cache
from gemini_workshop.generation.fast.compiled import compiled_copy
from gemini_workshop.generation.fast.lean import lean_copy
from gemini_workshop.models.attention_layers import GroupedQueryAttention
from gemini_workshop.models.embeddings import TokenEmbedding
from gemini_workshop.models.feedforward import FeedForward, GatedFeedForward
from gemini_workshop.models.moe import MixtureOfExperts
from gemini_workshop.models.normalization import RMSNorm
from gemini_workshop.models.transformer import Rotary, Transformer
from gemini_workshop.models.transformer_block import TransformerBlock
from tests.models.conftest import randomize
from tests.models.variants import EXPERTS, VARIANTS

CONFIGS = {
    "gated": replace(VARIANTS["llama"], qk_norm="head"),
    "not gated": replace(VARIANTS["llama"], gated=False, activation="relu", tied_head=True),
    "experts": replace(VARIANTS["llama"], moe=replace(EXPERTS, shared_experts=1)),
    "sandwich": VARIANTS["gemma2"],
}
PARTS = {  # the path of a module, and the configuration in which it is found
    "blocks.0.attention.query": "gated",
    "blocks.1.attention.value": "gated",
    "blocks.0.attention.output": "gated",
    "blocks.0.attention.query_norm": "gated",
    "blocks.2.attention.key_norm": "gated",
    "blocks.0.attention.value_norm": "gated",
    "blocks.1.attention": "gated",
    "blocks.0.attention_norm": "gated",
    "blocks.1.attention_output_norm": "gated",
    "blocks.0.feed_forward.gate": "gated",
    "blocks.0.feed_forward.down": "gated",
    "blocks.0.feed_forward_norm": "gated",
    "blocks.2.feed_forward": "gated",
    "blocks.1": "gated",
    "norm": "gated",
    "head": "gated",
    "embedding": "not gated",
    "blocks.0.feed_forward.up": "not gated",
    "blocks.1.feed_forward": "not gated",
    "blocks.0.feed_forward": "experts",
    "blocks.1.feed_forward.shared": "experts",
    "blocks.2.feed_forward.shared.up": "experts",
    "blocks.1.feed_forward.experts": "experts",
    "blocks.0.attention_norm ": "sandwich",
    "blocks.0.feed_forward_output_norm": "sandwich",
}
IDS = torch.randint(0, 13, (2, 7), generator=torch.Generator().manual_seed(3))


def drawn(name):
    generator = torch.Generator().manual_seed(0)
    model = Transformer(CONFIGS[name], generator).double().eval()
    randomize(model, generator)
    return model


def decoded(model):
    cache = new_cache(model, batch_size=2)
    with torch.inference_mode():
        return torch.cat([model(part, cache) for part in IDS.split([4, 1, 1, 1], dim=1)], dim=1)


def doubled(output):
    return output * 2


def hook(model, path):
    """Watch a part and change what comes out."""
    model.get_submodule(path).register_forward_hook(lambda module, inputs, output: doubled(output))


def pre_hook(model, path):
    """Change what goes in."""

    def add_tilt(module, inputs):
        first = inputs[0]
        return (first if first.dtype == torch.long else first + torch.linspace(0, 1, first.shape[-1]), *inputs[1:])

    model.get_submodule(path).register_forward_pre_hook(add_tilt)


def new_forward(model, path):
    """Replace a part's forward, as a notebook may."""
    part = model.get_submodule(path)
    original = part.forward
    part.forward = lambda *inputs, **options: doubled(original(*inputs, **options))


def subclass(model, path):
    """Let a part be of a class of its own, with the same weights: LoRA, or a learner's own version."""
    part = model.get_submodule(path)
    kind = type(part)
    part.__class__ = type(f"My{kind.__name__}", (kind,), {"forward": lambda *inputs: doubled(kind.forward(*inputs))})


class Doubled(nn.Module):
    """Another module in the place of a part, which it calls."""

    def __init__(self, part):
        super().__init__()
        self.part = part

    def forward(self, *inputs, **options):
        return doubled(self.part(*inputs, **options))


def wrap(model, path):
    """Replace a part by a module of another kind."""
    if path == "embedding":
        pytest.skip("the model itself reads embedding.weight")
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, Doubled(model.get_submodule(path)))


class DoubledWeight(nn.Module):
    def forward(self, weight):
        return weight * 2


def parametrization(model, path):
    """Compute a weight from another one."""
    part = model.get_submodule(path)
    if "weight" not in part._parameters:
        pytest.skip("has no weight of its own")
    parametrize.register_parametrization(part, "weight", DoubledWeight())


EVERY_KIND_OF_PART = [  # the copy asks the same of every part, so that one of each kind will do for most changes
    "blocks.0.attention.query",
    "blocks.0.attention.query_norm",
    "blocks.1.attention",
    "blocks.0.attention_norm",
    "blocks.1.attention_output_norm",
    "blocks.2.feed_forward",
    "blocks.1",
    "head",
    "embedding",
    "blocks.0.feed_forward.up",
]
CHANGES = [(subclass, path) for path in PARTS] + [
    (change, path) for change in (hook, pre_hook, new_forward, wrap, parametrization) for path in EVERY_KIND_OF_PART
]


@pytest.mark.parametrize(("change", "path"), CHANGES)
def test_what_was_put_into_a_model_is_computed_by_its_copy(change, path):
    model = drawn(PARTS[path])
    before = decoded(model)
    change(model, path.strip())
    expected = decoded(model)
    if not torch.allclose(expected, before, rtol=1e-3, atol=1e-3):  # a norm undoes what some changes do
        torch.testing.assert_close(decoded(lean_copy(model)), expected)


def test_most_changes_do_change_the_logits():
    """Otherwise the test above would compare nothing."""
    changed = 0
    for path, name in PARTS.items():
        model = drawn(name)
        before = decoded(model)
        subclass(model, path.strip())
        changed += not torch.allclose(decoded(model), before, rtol=1e-3, atol=1e-3)
    assert changed > 20


class LoRALinear(nn.Linear):
    """A small correction beside the weight, as LoRA has it."""

    def __init__(self, base):
        super().__init__(base.in_features, base.out_features, bias=False)
        self.weight = base.weight
        generator = torch.Generator().manual_seed(1)
        self.down = nn.Parameter(torch.randn(2, base.in_features, generator=generator).to(base.weight.dtype))
        self.up = nn.Parameter(torch.randn(base.out_features, 2, generator=generator).to(base.weight.dtype))

    def forward(self, x):
        return super().forward(x) + x @ self.down.T @ self.up.T


@pytest.mark.parametrize("weights", ["fp32", "bf16", "int8"])
def test_the_copy_of_a_model_with_lora_keeps_the_correction_in_every_number_format(weights):
    model = drawn("gated").float()
    base = decoded(model)
    for block in model.blocks:
        block.attention.query = LoRALinear(block.attention.query)
        block.feed_forward.up = LoRALinear(block.feed_forward.up)
    expected = decoded(model)
    assert (base - expected).norm() > 0.5 * expected.norm()
    assert (decoded(lean_copy(model, weights)) - expected).norm() < 0.05 * expected.norm()


def test_a_layer_of_two_blocks_is_folded_with_the_norm_of_each():
    model = drawn("not gated")
    model.blocks[1].feed_forward = model.blocks[0].feed_forward
    torch.testing.assert_close(decoded(lean_copy(model)), decoded(model))


def test_an_embedding_that_is_also_the_heads_weight_is_not_scaled_with_it():
    model = drawn("gated")
    model.head.weight = model.embedding.weight
    torch.testing.assert_close(decoded(lean_copy(model)), decoded(model))


def test_norms_of_queries_and_keys_that_differ_are_kept_apart():
    model = drawn("gated")
    model.blocks[0].attention.key_norm.eps = 3.0
    model.blocks[1].attention.key_norm = nn.Identity()
    torch.testing.assert_close(decoded(lean_copy(model)), decoded(model))


def test_projections_of_which_one_has_a_bias_are_joined_with_it():
    model = drawn("gated")
    with torch.no_grad():
        model.blocks[0].attention.key.bias = nn.Parameter(torch.linspace(-1, 1, 8).double())
    torch.testing.assert_close(decoded(lean_copy(model)), decoded(model))


def test_a_rotary_of_its_own_class_is_kept():
    class Backwards(Rotary):
        def forward(self, positions):
            return super().forward(-positions)

    model = drawn("gated")
    model.rotary[0].__class__ = Backwards
    torch.testing.assert_close(decoded(lean_copy(model)), decoded(model))


def test_another_attention_function_works_in_the_copy_as_in_the_model():
    def first_value(query, key, value, rule):
        return value[:, :, :1].repeat_interleave(query.shape[1] // value.shape[1], 1).expand(-1, -1, query.shape[2], -1)

    model = drawn("gated")
    lean = lean_copy(model)
    with model.attention_by(first_value), lean.attention_by(first_value):
        torch.testing.assert_close(decoded(lean), decoded(model))


@pytest.mark.parametrize("copied", [lean_copy, compiled_copy])
@pytest.mark.parametrize("change", [hook, pre_hook, new_forward, subclass])
def test_a_model_that_is_changed_as_a_whole_is_refused(copied, change):
    model = drawn("gated")
    change(model, "")
    with pytest.raises(WorkshopError, match=r"Transformer.* may compute something else"):
        copied(model)


def test_a_part_of_a_copy_refuses_hooks_that_it_would_not_call():
    part = lean_copy(drawn("gated")).blocks[0].attention
    for register in (part.register_forward_hook, part.register_forward_pre_hook):
        with pytest.raises(WorkshopError, match="LeanAttention is part of a copy for decoding, which calls no hooks"):
            register(print)


def test_the_parts_of_every_configuration_are_those_that_a_copy_replaces():
    """So that a kind of layer that is added to a copy is added to the table above."""
    tested = {type(drawn(name).get_submodule(path.strip())) for path, name in PARTS.items()}
    assert {nn.Linear, RMSNorm, GroupedQueryAttention, FeedForward, GatedFeedForward} <= tested
    assert {TransformerBlock, MixtureOfExperts, TokenEmbedding} <= tested
