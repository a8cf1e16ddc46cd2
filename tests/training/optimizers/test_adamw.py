import torch

from gemini_workshop.training.optimizers.adamw import AdamW

OPTIONS = {"lr": 0.03, "betas": (0.8, 0.93), "eps": 1e-3, "weight_decay": 0.2}


def trajectory(kind) -> torch.Tensor:
    """Twenty steps of two parameters towards gradients that were drawn before; one of them now and then has none."""
    generator = torch.Generator().manual_seed(0)
    weights = [
        torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_() for shape in ((3, 5), (7,))
    ]
    optimizer = kind(weights, **OPTIONS)
    places = []
    for step in range(20):
        for i, weight in enumerate(weights):
            gradient = torch.randn(weight.shape, generator=generator, dtype=torch.float64)
            weight.grad = None if i == 1 and step % 3 == 0 else gradient
        optimizer.step()
        places.append(torch.cat([weight.detach().flatten().clone() for weight in weights]))
    return torch.stack(places)


def test_every_step_equals_pytorchs():
    torch.testing.assert_close(trajectory(AdamW), trajectory(torch.optim.AdamW), rtol=1e-12, atol=1e-12)


def test_a_sure_direction_is_followed_at_the_full_rate_and_an_unsure_one_hardly():
    sure, unsure = torch.zeros(1).requires_grad_(), torch.zeros(1).requires_grad_()
    optimizer = AdamW([sure, unsure], lr=0.1, betas=(0.9, 0.9))
    for step in range(100):
        sure.grad, unsure.grad = torch.tensor([1e-4]), torch.tensor([1.0 if step % 2 else -1.0])
        optimizer.step()
    assert -sure.item() > 9.9  # a hundred steps of 0.1, however small the gradient
    assert abs(unsure.item()) < 0.2
