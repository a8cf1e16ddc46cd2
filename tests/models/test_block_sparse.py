import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from gemini_workshop.errors import WorkshopError
from gemini_workshop.models.attention import grouped_query_attention
from gemini_workshop.models.block_sparse import block_sparse_attention
from gemini_workshop.models.masks import block_sparse_mask, causal_mask, token_mask
from tests.models.conftest import B, C, G, H, K

BLOCK_TOKENS = 4


def draw(num_tokens, generator):
    shapes = (B, H, num_tokens, C), (B, K, num_tokens, C), (B, K, num_tokens, C)
    return [torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_() for shape in shapes]


def random_mask(num_blocks, generator):
    return (torch.rand(num_blocks, num_blocks, generator=generator) < 0.5).tril() | torch.eye(num_blocks).bool()


@pytest.mark.parametrize("num_tokens", [1, 4, 21, 32])
def test_it_equals_attention_under_the_mask_of_tokens_and_so_does_its_gradient(num_tokens, generator):
    num_blocks = -(-num_tokens // BLOCK_TOKENS)
    for mask in [block_sparse_mask(num_blocks, local_blocks=2, stride_blocks=3), random_mask(num_blocks, generator)]:
        inputs = draw(num_tokens, generator)
        sparse = block_sparse_attention(*inputs, mask, BLOCK_TOKENS)
        dense = grouped_query_attention(*inputs, token_mask(mask, BLOCK_TOKENS)[:num_tokens, :num_tokens])
        direction = torch.randn(dense.shape, generator=generator, dtype=torch.float64)
        torch.testing.assert_close(sparse, dense)
        torch.testing.assert_close(
            torch.autograd.grad(sparse, inputs, direction), torch.autograd.grad(dense, inputs, direction)
        )


def test_a_token_changes_those_that_see_its_block_and_come_later(generator):
    num_tokens, mask = 22, block_sparse_mask(6, local_blocks=2, stride_blocks=3)
    sees = token_mask(mask, BLOCK_TOKENS)[:num_tokens, :num_tokens]
    query, key, value = (x.detach() for x in draw(num_tokens, generator))
    before = block_sparse_attention(query, key, value, mask, BLOCK_TOKENS)
    for position in range(num_tokens):
        changed = [x.clone() for x in (key, value)]
        for x in changed:
            x[:, :, position] += 1
        after = block_sparse_attention(query, *changed, mask, BLOCK_TOKENS)
        assert torch.equal((after - before).abs().amax(dim=(0, 1, 3)) > 0, sees[:, position])


@pytest.mark.parametrize("pattern", ["diagonal", "sparse", "all"])
def test_the_arithmetic_is_that_of_the_visible_blocks(pattern, generator):
    num_blocks = 9
    mask = {
        "diagonal": torch.eye(num_blocks).bool(),
        "sparse": block_sparse_mask(num_blocks, local_blocks=2, stride_blocks=4),
        "all": causal_mask(num_blocks, num_blocks),
    }[pattern]
    inputs = draw(num_blocks * BLOCK_TOKENS, generator)
    with FlopCounterMode(display=False) as counter:
        block_sparse_attention(*inputs, mask, BLOCK_TOKENS)
    scores = B * K * G * int(mask.sum()) * BLOCK_TOKENS**2
    assert counter.get_total_flops() == scores * 2 * (C + C)  # a product and a sum for each channel of key and value


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        ([[1, 0], [1, 1]], r"mask of 2 blocks does not fit 11 tokens in blocks of 4: there are 3"),
        ([[1, 0, 0], [1, 1, 1], [1, 1, 1]], r"block 1 sees block 2, which is later.*tril"),
        ([[1, 0, 0], [1, 0, 0], [1, 1, 1]], r"block 1 does not see itself.*diagonal"),
    ],
)
def test_a_mask_that_cannot_be_is_an_error_that_says_where(mask, message, generator):
    with pytest.raises(WorkshopError, match=message):
        block_sparse_attention(*draw(11, generator), torch.tensor(mask).bool(), BLOCK_TOKENS)
