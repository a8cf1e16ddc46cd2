"""A running mean of the weights: smoother than the weights themselves, and often a little better.

    mean = decay * mean + (1 - decay) * weight

Source: Polyak and Juditsky 1992, doi:10.1137/0330046; with decay: Tarvainen and Valpola 2017, arXiv:1703.01780.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """The running mean of a model's parameters.

    The first means would be dominated by the random initial weights, so the decay starts low: (1 + n) / (10 + n) at
    step n, as long as that is smaller.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay, self.steps = decay, 0
        self.means = {name: weight.detach().clone() for name, weight in model.named_parameters()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take the weights of one more step into the mean."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for name, weight in model.named_parameters():
            self.means[name].lerp_(weight, 1 - decay)

    @contextmanager
    def in_place_of_weights(self, model: nn.Module) -> Iterator[None]:
        """Inside, the model computes with the means; afterwards its own weights are back, to the bit."""
        own = {name: weight.detach().clone() for name, weight in model.named_parameters()}
        try:
            _copy(self.means, model)
            yield
        finally:
            _copy(own, model)


@torch.no_grad()
def _copy(weights: dict[str, Tensor], model: nn.Module) -> None:
    for name, weight in model.named_parameters():
        weight.copy_(weights[name])
