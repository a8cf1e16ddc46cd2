import torch

from gemini_workshop.training.optimizers.lion import Lion


def test_lion_by_hand():
    weight = torch.tensor([1.0, -2.0], dtype=torch.float64).requires_grad_()
    optimizer = Lion([weight], lr=0.1, betas=(0.5, 0.8), weight_decay=0.5)
    weight.grad = torch.tensor([3.0, -1.0], dtype=torch.float64)
    optimizer.step()
    # Decay by 5 percent, then 0.1 against the sign. The momentum becomes a fifth of the gradient.
    torch.testing.assert_close(weight.detach(), torch.tensor([0.95 - 0.1, -1.9 + 0.1]).double())
    torch.testing.assert_close(optimizer.state[weight]["momentum"], torch.tensor([0.6, -0.2]).double())
    # Half momentum, half gradient: 0.3 - 0.5 is negative, -0.1 + 0.05 too.
    weight.grad = torch.tensor([-1.0, 0.1], dtype=torch.float64)
    optimizer.step()
    torch.testing.assert_close(weight.detach(), torch.tensor([0.85 * 0.95 + 0.1, -1.8 * 0.95 + 0.1]).double())
    torch.testing.assert_close(optimizer.state[weight]["momentum"], torch.tensor([0.28, -0.14]).double())


def test_it_remembers_one_number_a_weight():
    weight = torch.ones(3, 5).requires_grad_()
    optimizer = Lion([weight], lr=0.1)
    weight.grad = torch.ones(3, 5)
    optimizer.step()
    assert {name: memory.shape for name, memory in optimizer.state[weight].items()} == {"momentum": (3, 5)}
