"""The plain loop of lesson 11 does what the trainer's own functions do."""

import torch

from gemini_workshop.training.plain_loop import clip_gradients, load_run, save_run, train_step
from gemini_workshop.training.rehearsal.clinic import BUGS, diagnose


def a_model(seed=0):
    generator = torch.Generator().manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Embedding(7, 5), torch.nn.Dropout(0.3), torch.nn.Linear(5, 7))
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(0, 0.5, generator=generator)
    return model, torch.optim.AdamW(model.parameters(), lr=1.0)


def steps(model, optimizer, number):
    for _ in range(number):
        train_step(model, optimizer, [(torch.tensor([[1, 2, 3]]), torch.tensor([[2, 3, 4]]))], 0.1, 0.5)
    return torch.cat([weight.detach().flatten() for weight in model.parameters()])


def test_clipping_is_pytorchs():
    ours, theirs = a_model()[0], a_model()[0]
    for model in (ours, theirs):
        (model[2].weight.square().sum() + model[0].weight.sum()).backward()
    assert abs(clip_gradients(ours.parameters(), 0.7) - torch.nn.utils.clip_grad_norm_(theirs.parameters(), 0.7)) < 1e-4
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert one.grad is None or torch.allclose(one.grad, other.grad, atol=1e-5)


def test_a_resumed_run_is_bit_for_bit_one_that_never_stopped(tmp_path):
    torch.manual_seed(3)
    model, optimizer = a_model()
    steps(model, optimizer, 3)
    save_run(tmp_path / "run.pt", model, optimizer, 3)
    never_stopped = steps(model, optimizer, 2)
    torch.manual_seed(4)
    resumed, its_optimizer = a_model(seed=1)
    assert load_run(tmp_path / "run.pt", resumed, its_optimizer) == 3
    assert torch.equal(steps(resumed, its_optimizer, 2), never_stopped)


def test_each_bug_of_the_clinic_is_behind_one_letter():
    assert sorted(map(diagnose, "ABCDEFGH")) == sorted(BUGS)
