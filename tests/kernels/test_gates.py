import pytest
import torch

from gemini_workshop.kernels.gates import DERIVATIVES, gate_backward
from gemini_workshop.models.feedforward import gate_halves

F = 11


@pytest.mark.parametrize("activation", DERIVATIVES)
def test_the_written_derivative_of_the_gate_is_autograds(activation):
    generator = torch.Generator().manual_seed(0)
    projected = 6 * torch.randn(31, 2 * F, generator=generator, dtype=torch.float64)  # beyond the clamp at 7, too
    grad = torch.randn(31, F, generator=generator, dtype=torch.float64)
    expected = gate_halves(projected.requires_grad_(), activation)
    value, grad_projected = gate_backward(grad, projected.detach(), activation)
    torch.testing.assert_close(value, expected.detach())
    torch.testing.assert_close(grad_projected, torch.autograd.grad(expected, projected, grad)[0])
