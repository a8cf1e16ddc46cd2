import copy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from gemini_workshop.generation.cache import KVCache
from gemini_workshop.kernels.accelerate import FASTER, accelerate
from gemini_workshop.kernels.backends import fast_causal_attention
from gemini_workshop.models.attention import causal_attention
from gemini_workshop.models.attention_layers import GroupedQueryAttention
from gemini_workshop.models.transformer import Transformer
from tests.models.conftest import V, randomize
from tests.models.variants import VARIANTS


class LowRank(nn.Linear):
    """As LoRA: a linear layer with something added."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__(layer.in_features, layer.out_features, bias=layer.bias is not None)
        self.load_state_dict(layer.state_dict())
        self.down = nn.Parameter(torch.ones(1, layer.in_features))
        self.up = nn.Parameter(torch.ones(layer.out_features, 1))

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) + input @ self.down.T @ self.up.T


def both(name: str) -> tuple[Transformer, Transformer]:
    """A decoder of this kind, plain and accelerated, with the same weights."""
    plain = Transformer(VARIANTS[name]).double()
    randomize(plain, torch.Generator().manual_seed(0))
    fast = copy.deepcopy(plain)
    assert accelerate(fast).left_alone == {}
    return plain, fast


def text(name: str) -> Tensor:
    """Long enough for chunks, if positions allow."""
    length = 7 if VARIANTS[name].positions == "learned" else 90
    return torch.randint(V, (2, length), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", VARIANTS)
def test_an_accelerated_decoder_equals_the_plain_one_gradients_included(name):
    models, token_ids = both(name), text(name)
    segment_ids = (torch.arange(token_ids.shape[1]) > 3).long().expand(2, -1)
    for given in ({}, {"segment_ids": segment_ids}):
        outputs = [model(token_ids, **given) for model in models]
        torch.testing.assert_close(outputs[1], outputs[0])
        gradients = [
            torch.autograd.grad(output.square().mean(), list(model.parameters()), allow_unused=True)
            for output, model in zip(outputs, models, strict=True)
        ]
        torch.testing.assert_close(gradients[1], gradients[0])


@pytest.mark.parametrize("name", VARIANTS)
@torch.no_grad()
def test_it_decodes_the_same_with_a_cache(name):
    models, token_ids = both(name), text(name)[:, :7]
    logits = []
    for model in models:
        cache = KVCache(model.eval().config, 2, 7, torch.float64)
        logits.append(torch.cat([model(piece, cache) for piece in token_ids.split([4, 1, 2], dim=1)], dim=1))
    torch.testing.assert_close(*logits)


def test_names_and_weights_stay_and_a_copy_is_as_fast():
    plain, fast = both("gemma4 with shared keys")
    assert list(fast.state_dict()) == list(plain.state_dict())
    assert [type(module) for module in copy.deepcopy(fast).modules()] == [type(module) for module in fast.modules()]


def test_it_reports_how_many_parts_were_swapped():
    model = Transformer(replace(VARIANTS["llama"], num_layers=2))
    linear = sum(isinstance(module, nn.Linear) for module in model.modules())
    expected = {"FastLinear": linear, "FastTokenEmbedding": 1, "JointQueryKeyValue": 2, "JointGatedFeedForward": 2}
    assert accelerate(model).swapped == expected
    again = accelerate(model)
    assert (again.swapped, again.left_alone) == ({}, {})


@pytest.mark.parametrize("is_first", [True, False], ids=["adapted, then accelerated", "accelerated, then adapted"])
def test_an_adapted_layer_keeps_its_own_forward_and_is_reported(is_first):
    plain, fast = both("llama")
    if not is_first:
        accelerate(fast)
    for model in (plain, fast):
        attention = model.blocks[1].attention
        for name in ("query", "value"):
            setattr(attention, name, LowRank(getattr(attention, name)).double())
    report = accelerate(fast)
    assert report.left_alone == {f"blocks.1.attention.{name}": "is a LowRank" for name in ("query", "value")}
    token_ids = text("llama")
    torch.testing.assert_close(fast(token_ids), plain(token_ids))
    assert not torch.allclose(fast(token_ids), both("llama")[1](token_ids))


def test_a_watched_layer_is_left_alone_and_reported():
    model, seen = Transformer(VARIANTS["llama"]), []
    model.blocks[0].attention.key.register_forward_hook(lambda *_: seen.append(True))
    assert accelerate(model).left_alone == {"blocks.0.attention.key": "is watched by a hook"}
    model(text("llama"))
    assert seen == [True]


def test_an_attention_of_ones_own_is_left_alone_and_reported():
    def own(query, key, value, rule):
        return 2 * causal_attention(query, key, value, rule)

    class Louder(GroupedQueryAttention):
        def forward(self, x, *inputs):
            return 3 * super().forward(x, *inputs)

    plain, fast = Transformer(VARIANTS["llama"]).double(), Transformer(VARIANTS["llama"]).double()
    for model in (plain, fast):
        randomize(model, torch.Generator().manual_seed(0))
        model.blocks[0].attention.attend = own
        model.blocks[1].attention.__class__ = Louder
    left_alone = accelerate(fast).left_alone
    assert set(left_alone) == {"blocks.0.attention.attend", "blocks.1.attention"}
    assert left_alone["blocks.0.attention.attend"].endswith("own")
    assert left_alone["blocks.1.attention"] == "is a Louder"
    torch.testing.assert_close(fast(text("llama")), plain(text("llama")))


def test_another_function_may_attend_for_a_while_and_the_fast_one_comes_back():
    _, fast = both("llama")
    expected = fast(text("llama"))
    with fast.attention_by(causal_attention):
        torch.testing.assert_close(fast(text("llama")), expected)
    assert all(block.attention.attend is fast_causal_attention for block in fast.blocks)


def test_a_faster_part_adds_nothing_but_its_computation():
    for plain, faster in FASTER.items():
        assert faster.__bases__ == (plain,)
        assert "__init__" not in vars(faster)


def test_every_accelerated_decoder_compiles_without_a_graph_break():
    """In a process of its own, because run-time shape checks break graphs."""
    script = """
import torch
from gemini_workshop.kernels.accelerate import accelerate
from gemini_workshop.models.transformer import Transformer
from tests.models.variants import VARIANTS
for name in ("gemma4 with shared keys", "deepseek"):
    model, token_ids = Transformer(VARIANTS[name]), torch.randint(13, (2, 7))
    accelerate(model)
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(token_ids), model(token_ids))
    print(name)
"""
    finished = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False
    )
    assert finished.returncode == 0, finished.stderr[-2000:]
    assert len(finished.stdout.splitlines()) == 2
