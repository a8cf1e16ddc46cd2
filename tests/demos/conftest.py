"""A tiny model with random weights on a shelf, without a checkpoint, and one with experts."""

import dataclasses

import pytest

from gemini_workshop.config import MoEConfig
from gemini_workshop.data.tokenizers import BPETokenizer
from gemini_workshop.demos.limits import Limits
from gemini_workshop.demos.settings import DemoSettings
from gemini_workshop.demos.shelf import Loaded, Shelf
from gemini_workshop.serving.served import served
from tests import tiny
from tests.serving.conftest import random_model

TOKENIZER = BPETokenizer.train(["the dog and the cat, the dog"], 266)
CONFIG = dataclasses.replace(tiny.MODEL, vocab_size=TOKENIZER.vocab_size, context_tokens=64)


@pytest.fixture(scope="session")
def loaded():
    return Loaded(served(random_model(CONFIG), TOKENIZER, "tiny"))


@pytest.fixture(scope="session")
def with_experts():
    config = dataclasses.replace(CONFIG, moe=MoEConfig(num_experts=5, experts_per_token=2, expert_dim=7))
    return Loaded(served(random_model(config), TOKENIZER, "sparse"))


@pytest.fixture
def limits():
    return Limits(DemoSettings())


@pytest.fixture
def shelf(loaded):
    """A shelf on which the tiny model is loaded already."""
    shelf = Shelf(["stories-small"])
    shelf._loaded["stories-small"] = loaded
    return shelf
