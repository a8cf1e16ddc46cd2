"""A tiny model that knows a chat template, behind a server: in a process of its own, and inside the tests."""

import asyncio
import contextlib
import dataclasses

import httpx
import pytest
import torch

from gemini_workshop.benchmarks.serve import running_server
from gemini_workshop.checkpoint import save_model
from gemini_workshop.config import load_config
from gemini_workshop.data.conversations.templates import GEMMA
from gemini_workshop.data.tokenizers import BPETokenizer
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.serving.app import make_app
from gemini_workshop.serving.served import served
from gemini_workshop.serving.settings import ServerSettings
from tests import tiny

TOKENIZER = BPETokenizer.train(["hello there, user, model 🙂"], 265, special_tokens=GEMMA.marks)
CONTEXT = 4096
CONFIG = dataclasses.replace(tiny.MODEL, vocab_size=TOKENIZER.vocab_size, context_tokens=CONTEXT)


def random_model(config=CONFIG):
    """Weights far enough from zero for every prompt to be continued in its own way."""
    model, generator = Transformer(config, torch.Generator().manual_seed(0)).eval(), torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(std=0.5, generator=generator)
    return model


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """The model as a checkpoint."""
    place = tmp_path_factory.mktemp("served") / "tiny-chat"
    whole = dataclasses.replace(load_config("tiny"), model=CONFIG)
    save_model(place, random_model().state_dict(), whole, TOKENIZER)
    return place


@pytest.fixture(scope="session")
def server(folder):
    """Address and process of a server that the command line started."""
    with running_server(str(folder), "--threads", "1") as found:
        yield found


class Local:
    """A server inside the test: one request after the other, without a network."""

    def __init__(self, app):
        self.app, self.runner = app, asyncio.Runner()
        self.stack = contextlib.AsyncExitStack()

    def __enter__(self):
        self.runner.run(self._open())
        return self

    async def _open(self):
        await self.stack.enter_async_context(self.app.router.lifespan_context(self.app))
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False, client=("127.0.0.1", 1))
        client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000")
        self.client = await self.stack.enter_async_context(client)

    def __exit__(self, *error):
        self.runner.run(self.stack.aclose())
        self.runner.close()

    def get(self, path, **options):
        return self.runner.run(self.client.get(path, **options))

    def post(self, path, **options):
        return self.runner.run(self.client.post(path, **options))


@pytest.fixture
def local():
    """Make servers inside the test."""
    with contextlib.ExitStack() as stack:

        def make(model=None, tokenizer=TOKENIZER, format=None, name="tiny", **settings):
            model = random_model() if model is None else model
            app = make_app(served(model, tokenizer, name, format), ServerSettings(**settings))
            return stack.enter_context(Local(app))

        yield make
