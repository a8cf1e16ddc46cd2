import pytest
import torch
import torch.nn.functional as F

from gemini_workshop.models.normalization import RMSNorm, rms_norm


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
