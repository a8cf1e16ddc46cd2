from itertools import pairwise

import torch

from gemini_workshop.training.optimizers.adamw import AdamW
from gemini_workshop.training.optimizers.galore import GaLore, projection


def gradients(rank: int, generator: torch.Generator) -> list[torch.Tensor]:
    """Gradients that all lie in the same few directions."""
    left = torch.randn(6, rank, generator=generator, dtype=torch.float64)
    return [left @ torch.randn(rank, 9, generator=generator, dtype=torch.float64) for _ in range(5)]


def test_the_projection_is_orthonormal_and_loses_the_least():
    generator = torch.Generator().manual_seed(0)
    gradient = torch.randn(6, 9, generator=generator, dtype=torch.float64)
    columns = projection(gradient, 2)
    torch.testing.assert_close(columns.T @ columns, torch.eye(2).double())
    lost = (gradient - columns @ columns.T @ gradient).norm() ** 2
    torch.testing.assert_close(lost, torch.linalg.svdvals(gradient)[2:].square().sum())  # Eckart-Young


def test_each_matrix_of_a_stack_has_its_own_projection():
    stack = torch.randn(3, 6, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    each = torch.stack([projection(matrix, 2) for matrix in stack])
    torch.testing.assert_close(projection(stack, 2).abs(), each.abs())


def test_full_rank_is_adamw():
    generator = torch.Generator().manual_seed(0)
    weights = [torch.ones(6, 9, dtype=torch.float64).requires_grad_() for _ in range(2)]
    optimizers = [
        GaLore([weights[0]], lr=0.1, rank=6, weight_decay=0.3),
        AdamW([weights[1]], lr=0.1, weight_decay=0.3),
    ]
    for gradient in gradients(6, generator):
        for weight, optimizer in zip(weights, optimizers, strict=True):
            weight.grad = gradient.clone()
            optimizer.step()
    torch.testing.assert_close(*[weight.detach() for weight in weights])


def test_a_step_of_low_rank_is_adam_in_the_projected_space_by_hand():
    generator = torch.Generator().manual_seed(0)
    weight = torch.zeros(6, 9, dtype=torch.float64).requires_grad_()
    optimizer = GaLore([weight], lr=0.1, rank=2, scale=0.5, eps=0.0)
    weight.grad = gradients(2, generator)[0]
    columns = projection(weight.grad, 2)
    optimizer.step()
    # The first step of Adam is the sign of the gradient.
    torch.testing.assert_close(weight.detach(), -0.1 * 0.5 * columns @ (columns.T @ weight.grad).sign())


def test_the_projection_is_found_again_on_schedule():
    generator = torch.Generator().manual_seed(0)
    weight = torch.zeros(6, 9, dtype=torch.float64).requires_grad_()
    optimizer = GaLore([weight], lr=0.1, rank=2, every_steps=3)
    seen = []
    for _ in range(7):
        weight.grad = torch.randn(6, 9, generator=generator, dtype=torch.float64)
        optimizer.step()
        seen.append(optimizer.state[weight]["projection"].clone())
    changes = [not torch.equal(before, after) for before, after in pairwise(seen)]
    assert changes == [False, False, True, False, False, True]


def test_it_remembers_less_than_adamw():
    def remembered(kind, **options):
        weight = torch.ones(64, 256).requires_grad_()
        optimizer = kind([weight], lr=0.1, **options)
        weight.grad = torch.randn(64, 256, generator=torch.Generator().manual_seed(0))
        optimizer.step()
        return sum(memory.numel() for memory in optimizer.state[weight].values())

    assert remembered(GaLore, rank=8) == 1 + 2 * 8 * 256 + 64 * 8
    assert remembered(GaLore, rank=8) < remembered(AdamW) / 6


def test_the_first_step_in_few_directions_by_hand():
    """Decay, then a quarter of AdamW's step in the projected space, where the averages cancel: the gradient's signs."""
    generator = torch.Generator().manual_seed(0)
    gradient = gradients(1, generator)[0]
    weight = torch.ones(6, 9, dtype=torch.float64).requires_grad_()
    weight.grad = gradient.clone()
    GaLore([weight], lr=0.1, rank=1, weight_decay=0.3, eps=0.0).step()
    column = projection(gradient, 1)
    expected = (1 - 0.1 * 0.3) - 0.1 * 0.25 * column @ (column.T @ gradient).sign()
    torch.testing.assert_close(weight.detach(), expected)
