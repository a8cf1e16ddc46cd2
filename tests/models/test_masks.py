import pytest
import torch

from gemini_workshop.errors import WorkshopError
from gemini_workshop.models.masks import additive_mask, causal_mask


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


def test_the_mask_is_boolean():
    assert causal_mask(2, 3).dtype == torch.bool


def test_more_queries_than_keys_is_an_error_that_names_both():
    with pytest.raises(WorkshopError, match=r"num_queries=5 is more than num_keys=3.*cached ones included"):
        causal_mask(5, 3)


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
