import pytest
import torch

from gemini_workshop.errors import WorkshopError
from gemini_workshop.models.masks import (
    additive_mask,
    block_sparse_mask,
    causal_mask,
    multimodal_mask,
    segment_mask,
    sliding_window_mask,
    token_mask,
)


def drawn(mask):
    return [" ".join("#" if may_attend else "." for may_attend in row) for row in mask.tolist()]


def test_a_square_mask_hides_what_comes_later():
    assert drawn(causal_mask(3, 3)) == [
        "# . .",
        "# # .",
        "# # #",
    ]


def test_with_more_keys_the_queries_are_the_last_ones():
    # the drawing in the docstring
    assert drawn(causal_mask(3, 5)) == [
        "# # # . .",
        "# # # # .",
        "# # # # #",
    ]


def test_one_query_sees_every_key():
    assert drawn(causal_mask(1, 4)) == ["# # # #"]


def test_every_patch_sees_its_whole_image_and_nothing_else_that_comes_later():
    # the drawing in the docstring
    [mask] = multimodal_mask(torch.tensor([[0, 1, 1, 0, 2, 2]]), 6)
    assert drawn(mask) == [
        "# . . . . .",
        "# # # . . .",
        "# # # . . .",
        "# # # # . .",
        "# # # # # #",
        "# # # # # #",
    ]


def test_without_images_the_multimodal_mask_is_causal():
    assert torch.equal(multimodal_mask(torch.zeros(2, 5, dtype=torch.long), 3), causal_mask(3, 5).expand(2, 3, 5))


def test_the_mask_is_boolean():
    assert causal_mask(2, 3).dtype == torch.bool


def test_more_queries_than_keys_is_an_error_that_names_both():
    with pytest.raises(WorkshopError, match=r"num_queries=5 is more than num_keys=3.*cached ones included"):
        causal_mask(5, 3)


def test_a_window_slides_along():
    # the drawing in the docstring
    assert drawn(sliding_window_mask(4, 5, 3)) == [
        "# # . . .",
        "# # # . .",
        ". # # # .",
        ". . # # #",
    ]


def test_a_window_of_one_token_shows_each_query_its_own_key():
    assert torch.equal(sliding_window_mask(5, 5, 1), torch.eye(5).bool())


def test_a_window_as_long_as_the_text_is_no_window():
    assert torch.equal(sliding_window_mask(3, 7, 7), causal_mask(3, 7))
    assert not torch.equal(sliding_window_mask(3, 7, 6), causal_mask(3, 7))


def test_an_empty_window_is_an_error_that_names_it():
    with pytest.raises(WorkshopError, match=r"window_tokens=0 leaves a query nothing.*use 1 or more"):
        sliding_window_mask(3, 3, 0)


def test_a_segment_sees_itself_only():
    # the drawing in the docstring
    (mask,) = segment_mask(torch.tensor([[7, 7, 8, 8, 8]]), 4)
    assert drawn(mask) == [
        "# # . . .",
        ". . # # #",
        ". . # # #",
        ". . # # #",
    ]


def test_each_row_has_segments_of_its_own():
    mask = segment_mask(torch.tensor([[1, 1, 2], [1, 2, 2]]), 3) & causal_mask(3, 3)
    assert [drawn(row) for row in mask] == [["# . .", "# # .", ". . #"], ["# . .", ". # .", ". # #"]]


def test_blocks_see_the_last_ones_and_every_so_many_th():
    # the drawing in the docstring
    assert drawn(block_sparse_mask(7, local_blocks=2, stride_blocks=3)) == [
        "# . . . . . .",
        "# # . . . . .",
        ". # # . . . .",
        ". . # # . . .",
        ". . # # # . .",
        ". . # . # # .",
        ". . # . . # #",
    ]


def test_every_block_reaches_every_earlier_one_in_two_steps():
    sees = block_sparse_mask(20, local_blocks=4, stride_blocks=4).int()
    assert torch.equal(sees @ sees > 0, causal_mask(20, 20))
    assert not torch.equal(sees > 0, causal_mask(20, 20))


@pytest.mark.parametrize(("local", "stride"), [(0, 2), (2, 0)])
def test_a_block_pattern_without_blocks_is_an_error_that_names_both(local, stride):
    with pytest.raises(WorkshopError, match=f"local_blocks={local}, stride_blocks={stride}: .*Use 1 or more"):
        block_sparse_mask(3, local_blocks=local, stride_blocks=stride)


def test_the_tokens_of_a_block_see_what_the_block_sees_but_nothing_later():
    # the drawing in the docstring
    assert drawn(token_mask(torch.tensor([[True, False], [True, True]]), 2)) == [
        "# . . .",
        "# # . .",
        "# # # .",
        "# # # #",
    ]


def test_an_additive_mask_is_zero_where_one_may_attend_and_minus_infinity_elsewhere():
    minus = float("-inf")
    assert additive_mask(torch.tensor([[True, False], [True, True]])).tolist() == [[0.0, minus], [0.0, 0.0]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_an_additive_mask_comes_in_the_dtype_asked_for(dtype):
    assert additive_mask(causal_mask(2, 3), dtype).dtype == dtype


def test_adding_the_additive_mask_hides_what_the_boolean_one_hides(generator):
    scores, mask = torch.randn(3, 5, generator=generator), causal_mask(3, 5)
    added = (scores + additive_mask(mask)).softmax(dim=-1)
    torch.testing.assert_close(added, scores.masked_fill(~mask, float("-inf")).softmax(dim=-1))
    assert torch.equal(added > 0, mask)
