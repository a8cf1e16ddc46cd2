import pytest
import torch
import torch.nn.functional as F

from gemini_workshop.models.normalization import LayerNorm, OffsetRMSNorm, RMSNorm, UnitRMS, layer_norm, rms_norm


def normal(*shape, generator):
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e3])
def test_rms_norm_equals_torch(generator, scale):
    x, weight = scale * normal(9, 5, 10, generator=generator), normal(10, generator=generator)
    torch.testing.assert_close(rms_norm(x, weight, 1e-5), F.rms_norm(x, (10,), weight, 1e-5))


def test_eps_is_added_under_the_root():
    # mean square 1e-6, eps 3e-6: the root of their sum is 2e-3, so each number is halved.
    x = torch.tensor([1e-3, -1e-3], dtype=torch.float64)
    torch.testing.assert_close(
        rms_norm(x, torch.ones(2).double(), 3e-6), torch.tensor([0.5, -0.5], dtype=torch.float64)
    )


def test_the_result_has_mean_square_one():
    x = torch.tensor([[3.0, 4.0], [300.0, -400.0]], dtype=torch.float64)
    squares = rms_norm(x, torch.ones(2).double(), 0.0).square().mean(dim=-1)
    torch.testing.assert_close(squares, torch.ones(2).double())


def test_a_zero_vector_stays_zero():
    assert rms_norm(torch.zeros(3), torch.ones(3), 1e-6).tolist() == [0.0, 0.0, 0.0]


def test_bfloat16_input_is_normalised_in_float32_and_comes_back_as_bfloat16(generator):
    x = torch.randn(9, 10, generator=generator).bfloat16()
    weight = torch.randn(10, generator=generator).bfloat16()
    once_rounded = (x.float() * torch.rsqrt(x.float().square().mean(dim=-1, keepdim=True) + 1e-6)).bfloat16()
    result = rms_norm(x, weight, 1e-6)
    assert result.dtype == torch.bfloat16
    assert torch.equal(result, once_rounded * weight)


def test_the_module_uses_its_own_weight_and_eps(generator):
    norm = RMSNorm(10, eps=0.5).double()
    with torch.no_grad():
        norm.weight.copy_(normal(10, generator=generator))
    x = normal(9, 10, generator=generator)
    torch.testing.assert_close(norm(x), F.rms_norm(x, (10,), norm.weight, 0.5))


def test_each_vector_is_normalised_by_itself(generator):
    x = normal(9, 10, generator=generator)
    changed = x.clone()
    changed[3] *= 7
    weight = torch.ones(10).double()
    rows = (rms_norm(x, weight, 0.0) - rms_norm(changed, weight, 0.0)).abs().amax(dim=-1)
    assert rows.max() < 1e-12


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e3])
def test_layer_norm_equals_torch(generator, scale):
    x = 5 + scale * normal(9, 5, 10, generator=generator)
    weight, bias = normal(10, generator=generator), normal(10, generator=generator)
    torch.testing.assert_close(layer_norm(x, weight, bias, 1e-5), F.layer_norm(x, (10,), weight, bias, 1e-5))


def test_layer_norm_does_not_see_a_shift(generator):
    x, one, zero = normal(9, 10, generator=generator), torch.ones(10).double(), torch.zeros(10).double()
    torch.testing.assert_close(layer_norm(x + 3, one, zero, 1e-5), layer_norm(x, one, zero, 1e-5))


def test_the_layer_norm_module_uses_weight_bias_and_eps(generator):
    norm = LayerNorm(10, eps=0.5).double()
    with torch.no_grad():
        norm.weight.copy_(normal(10, generator=generator))
        norm.bias.copy_(normal(10, generator=generator))
    x = normal(9, 10, generator=generator)
    torch.testing.assert_close(norm(x), F.layer_norm(x, (10,), norm.weight, norm.bias, 0.5))


def test_a_stored_offset_is_the_distance_from_one(generator):
    norm, x = OffsetRMSNorm(10, eps=0.5).double(), normal(9, 10, generator=generator)
    torch.testing.assert_close(norm(x), F.rms_norm(x, (10,), None, 0.5))
    with torch.no_grad():
        norm.weight.copy_(normal(10, generator=generator))
    torch.testing.assert_close(norm(x), F.rms_norm(x, (10,), 1 + norm.weight, 0.5))


def test_the_offset_norm_rounds_bfloat16_once(generator):
    norm, x = OffsetRMSNorm(10, eps=1e-6).bfloat16(), torch.randn(9, 10, generator=generator).bfloat16()
    with torch.no_grad():
        norm.weight.copy_(torch.randn(10, generator=generator))
    expected = F.rms_norm(x.float(), (10,), 1 + norm.weight.float(), 1e-6).bfloat16()
    assert torch.equal(norm(x), expected)


def test_a_norm_without_weights_has_none(generator):
    norm, x = UnitRMS(eps=0.5), normal(9, 10, generator=generator)
    assert not list(norm.parameters())
    torch.testing.assert_close(norm(x), F.rms_norm(x, (10,), None, 0.5))
