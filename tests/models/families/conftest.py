"""Pairs of models with the same weights: theirs, by transformers, and ours, read from what they saved."""

import functools
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from gemini_workshop.models.families import load_huggingface
from gemini_workshop.models.transformer import Transformer
from tests.models.families import published

SEEDS = [0, 1, 2]


@dataclass
class Pair:
    """Both in float64."""

    family: str
    folder: Path
    theirs: nn.Module
    ours: Transformer
    token_ids: Tensor

    @property
    def model_type(self) -> str:
        """The family as config.json names it."""
        return self.theirs.config.model_type

    @functools.cached_property
    def logits(self) -> Tensor:
        """What transformers says of the token ids."""
        return self.run_theirs(self.token_ids)

    def run_theirs(self, token_ids: Tensor, **arguments: Tensor) -> Tensor:
        with published.in_float64(), torch.no_grad():
            return self.theirs(token_ids, use_cache=False, **arguments).logits


@pytest.fixture(scope="module", params=[f"{family}-{seed}" for family in published.FAMILIES for seed in SEEDS])
def pair(request, tmp_path_factory) -> Pair:
    family, seed = request.param.rsplit("-", 1)
    config = published.draw(family, int(seed))
    folder = tmp_path_factory.mktemp(request.param)
    with published.in_float64():
        theirs = published.make(config, int(seed))
        theirs.save_pretrained(folder)
        ours = load_huggingface(folder)
    generator = torch.Generator().manual_seed(int(seed))
    token_ids = torch.randint(published.V, (published.B, published.T), generator=generator)
    return Pair(family, folder, theirs, ours, token_ids)
