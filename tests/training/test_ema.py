import pytest
import torch
from torch import nn

from gemini_workshop.training.ema import WeightAverage


def model_at(value: float) -> nn.Linear:
    model = nn.Linear(1, 1, bias=False).double()
    return set_to(model, value)


def set_to(model: nn.Linear, value: float) -> nn.Linear:
    with torch.no_grad():
        model.weight.fill_(value)
    return model


def test_the_mean_by_hand():
    model = model_at(1.0)
    average = WeightAverage(model, decay=0.25)
    average.update(set_to(model, 3.0))  # the decay starts at 2/11
    expected = 2 / 11 * 1.0 + 9 / 11 * 3.0
    assert average.means["weight"].item() == pytest.approx(expected)
    average.update(set_to(model, 5.0))  # 3/12 is the decay asked for
    assert average.means["weight"].item() == pytest.approx(0.25 * expected + 0.75 * 5.0)
    average.update(set_to(model, 5.0))  # 4/13 would be more
    assert average.means["weight"].item() == pytest.approx(0.25 * (0.25 * expected + 0.75 * 5.0) + 0.75 * 5.0)


def test_the_mean_takes_the_place_of_the_weights_for_a_while():
    model = model_at(1.0)
    average = WeightAverage(model, decay=0.9)
    set_to(model, 3.0)
    with average.in_place_of_weights(model):
        assert model.weight.item() == 1.0
    assert model.weight.item() == 3.0
    with pytest.raises(RuntimeError, match="inside"), average.in_place_of_weights(model):
        raise RuntimeError("inside")
    assert model.weight.item() == 3.0
