"""The step itself, translated or not; translating takes too long for a test, the benchmark does it."""

import pytest
import torch

from gemini_workshop.errors import WorkshopError
from gemini_workshop.generation.cache import new_cache
from gemini_workshop.generation.compiled import CompiledDecoder
from gemini_workshop.models.transformer import Transformer
from tests.models.conftest import randomize
from tests.models.variants import VARIANTS


@pytest.fixture
def steps(monkeypatch):
    """Instead of being compiled, the step is run as it is, and counted."""
    counted = []

    def compile_nothing(step):
        return lambda *arguments: counted.append(1) or step(*arguments)

    monkeypatch.setattr(torch, "compile", compile_nothing)
    return counted


def drawn(name):
    generator = torch.Generator().manual_seed(0)
    model = Transformer(VARIANTS[name], generator).double().eval()
    randomize(model, generator)
    return model


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("kind", ["static", "growing", "ring"])
def test_the_step_scores_as_the_model(name, kind, steps, monkeypatch):
    monkeypatch.setattr("gemini_workshop.generation.cache.SPARE_TOKENS", 1)
    model, ids = drawn(name), torch.arange(7)[None]
    compiled, cache = CompiledDecoder(model), new_cache(model, kind=kind)
    with torch.inference_mode():
        parts = [compiled(part, cache) for part in ids.split([3, 1, 1, 1, 1], dim=1)]
        torch.testing.assert_close(torch.cat(parts, dim=1), model(ids))
    assert cache.num_tokens == 7
    assert len(steps) in ((0, 4) if kind == "ring" else (4,))


def test_where_nothing_can_be_compiled_the_error_says_what_is_missing(monkeypatch):
    def no_compiler(*_arguments):
        raise torch._dynamo.exc.TorchDynamoException("No working C++ compiler found")

    monkeypatch.setattr(torch, "compile", lambda _step: no_compiler)
    model = drawn("llama")
    cache, compiled = new_cache(model), CompiledDecoder(model)
    compiled(torch.tensor([[1, 2, 3]]), cache)
    with pytest.raises(WorkshopError, match=r"cannot be compiled here: No working.*Install one, or decode without"):
        compiled(torch.tensor([[4]]), cache)
