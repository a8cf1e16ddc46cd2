"""The plain transformer is the decoder of the course with fewer choices: same names, same numbers."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from gemini_workshop.config import ModelConfig
from gemini_workshop.models.accounting import forward_flops, num_parameters
from gemini_workshop.models.plain_transformer import (
    PlainTransformer,
    initialize,
    parameters_and_flops,
    residual_step,
)
from gemini_workshop.models.transformer import Transformer

SIZES = {"vocab_size": 29, "context_tokens": 11, "embed_dim": 12, "num_layers": 3, "num_heads": 2, "ffn_dim": 20}
OTHER_SIZES = {"vocab_size": 7, "context_tokens": 16, "embed_dim": 8, "num_layers": 1, "num_heads": 4, "ffn_dim": 5}


def fitting_config(placement="pre", **sizes):
    return ModelConfig(
        **sizes,
        num_kv_heads=sizes["num_heads"],
        head_dim=sizes["embed_dim"] // sizes["num_heads"],
        positions="learned",
        norm_eps=1e-6,
        norm_placement=placement,
        activation="silu",
        tied_head=True,
    )


def drawn(model):
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator))
    return model.double()


@pytest.mark.parametrize("placement", ["pre", "post", "sandwich"])
@pytest.mark.parametrize("sizes", [SIZES, OTHER_SIZES], ids=["deep", "many heads"])
def test_it_is_the_decoder_of_the_course_with_the_weights_copied(placement, sizes):
    plain = drawn(PlainTransformer(**sizes, placement=placement))
    decoder = Transformer(fitting_config(placement, **sizes)).double()
    decoder.load_state_dict(plain.state_dict())
    token_ids = torch.randint(sizes["vocab_size"], (2, 9), generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(plain(token_ids), decoder(token_ids))


def test_one_change_later_moves_no_score_before_it():
    plain = drawn(PlainTransformer(**SIZES))
    token_ids = torch.arange(9)[None]
    changed = token_ids.clone()
    changed[0, 5] = 20
    moved = (plain(token_ids) != plain(changed)).any(-1)[0]
    assert moved.tolist() == [False] * 5 + [True] * 4


def test_each_norm_has_its_place():
    x = torch.tensor([1.0])

    def step(**norms):
        return residual_step(x, lambda v: 10 * v, **norms).item()

    assert step() == 11.0
    assert step(norm=lambda v: v + 1) == 21.0
    assert step(output_norm=lambda v: v + 1) == 12.0
    assert step(stream_norm=lambda v: v / 2) == 5.5


def test_a_silent_start_makes_every_block_the_identity():
    plain = PlainTransformer(**SIZES)
    initialize(plain, torch.Generator().manual_seed(0))
    x = torch.randn(2, 5, 12, generator=torch.Generator().manual_seed(1))
    assert all(torch.equal(block(x), x) for block in plain.blocks)
    initialize(plain, torch.Generator().manual_seed(0), silent=False)
    assert not any(torch.equal(block(x), x) for block in plain.blocks)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_at_the_start_matrices_keep_sizes_and_all_tokens_are_about_equally_likely(seed):
    plain = PlainTransformer(512, 16, 128, 2, 2, 256)
    initialize(plain, torch.Generator().manual_seed(seed), silent=False)
    x = torch.randn(100, 128, generator=torch.Generator().manual_seed(seed))
    assert plain.blocks[0].attention.value(x).std().item() == pytest.approx(1.0, rel=0.06)
    shares = plain(torch.arange(16)[None]).softmax(-1)
    assert 1 / 4 < 512 * shares.median() < 4


@pytest.mark.parametrize("sizes", [SIZES, OTHER_SIZES], ids=["deep", "many heads"])
def test_costs_counted_by_hand_are_those_of_the_package_and_of_pytorchs_counter(sizes):
    by_hand = parameters_and_flops(**{k: v for k, v in sizes.items() if k != "num_heads"}, num_tokens=10)
    config = fitting_config(**sizes)
    assert by_hand == (num_parameters(config), forward_flops(config, 10))
    plain = PlainTransformer(**sizes)
    with FlopCounterMode(display=False) as counter:
        plain(torch.zeros(1, 10, dtype=torch.int64))
    assert by_hand == (sum(weight.numel() for weight in plain.parameters()), counter.get_total_flops())
