"""The step itself, mostly as it is: translating takes many seconds, so one test does it, once."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gemini_workshop.errors import WorkshopError
from gemini_workshop.generation.cache import left_padded, new_cache
from gemini_workshop.generation.fast.compiled import compiled_copy
from gemini_workshop.models.transformer import Transformer
from tests.models.conftest import randomize
from tests.models.variants import VARIANTS

COMPILERS = ("cl",) if os.name == "nt" else ("g++", "clang++")


@pytest.fixture
def steps(monkeypatch):
    """Instead of being compiled, the step is run as it is, and counted."""
    counted = []

    def compile_nothing(step):
        return lambda *arguments: counted.append(1) or step(*arguments)

    monkeypatch.setattr(torch, "compile", compile_nothing)
    return counted


def drawn(name, **changes):
    generator = torch.Generator().manual_seed(0)
    model = Transformer(replace(VARIANTS[name], **changes), generator).double().eval()
    randomize(model, generator)
    return model


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("kind", ["static", "growing", "ring"])
def test_the_step_scores_as_the_model(name, kind, steps, monkeypatch):
    monkeypatch.setattr("gemini_workshop.generation.layer_cache.SPARE_TOKENS", 1)
    monkeypatch.setattr("gemini_workshop.generation.layer_cache.FIRST_ROOM", 2)
    model, ids = drawn(name), torch.arange(7)[None]
    compiled, cache = compiled_copy(model), new_cache(model, kind=kind)
    with torch.inference_mode():
        parts = [compiled(part, cache) for part in ids.split([2, 1, 1, 2, 1], dim=1)]
        torch.testing.assert_close(torch.cat(parts, dim=1), model(ids))
    assert cache.num_tokens == 7
    assert len(steps) in ((0, 3) if kind == "ring" else (3,))


def test_tokens_without_a_cache_in_8_bits_or_in_padded_rows_are_read_as_before(steps):
    model = drawn("llama")
    compiled, ids = compiled_copy(model), torch.tensor([[3, 1, 4, 1]])
    with torch.inference_mode():
        torch.testing.assert_close(compiled(ids[:, :1]), model(ids[:, :1]))

        caches = [new_cache(model, is_int8=True) for _ in range(2)]
        narrow, expected = (
            torch.cat([each(part, cache) for part in ids.split([2, 1, 1], dim=1)], dim=1)
            for each, cache in zip((compiled, model), caches, strict=True)
        )
        torch.testing.assert_close(narrow, expected)

        padded, segment_ids = left_padded([ids[0].tolist(), [5, 9]])
        cache = new_cache(model, batch_size=2)
        compiled(padded[:, :3], cache, segment_ids[:, :3])
        scores = compiled(padded[:, 3:], cache, segment_ids)
        torch.testing.assert_close(scores[1, -1], model(torch.tensor([[5, 9]]))[0, -1])
    assert not steps


@pytest.mark.skipif(not any(map(shutil.which, COMPILERS)), reason="takes a C++ compiler")
def test_the_translated_step_writes_the_same_tokens_and_is_not_translated_for_every_length(tmp_path):
    """In a process of its own, because run-time shape checks break graphs."""
    script = """
import torch
from torch._dynamo.utils import counters
from gemini_workshop.config import GenerationConfig
from gemini_workshop.generation.fast.compiled import compiled_copy
from gemini_workshop.generation.decode import generate
from gemini_workshop.generation.fast.lean import lean_copy
from tests.generation.fast.test_compiled import drawn

model = drawn("llama", num_layers=1, context_tokens=32)
compiled, config = compiled_copy(lean_copy(model)), GenerationConfig(temperature=0.0, max_new_tokens=20)
expected = list(generate(model, [1, 2, 3], config))
print(expected)
assert list(generate(compiled, [1, 2, 3], config)) == expected
graphs = counters["stats"]["unique_graphs"]
assert 1 <= graphs <= 2, graphs  # one for the first length, one for all others
"""
    finished = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)},
        check=False,
    )
    assert finished.returncode == 0, finished.stderr[-2000:]


def test_where_nothing_can_be_compiled_the_error_says_what_is_missing(monkeypatch):
    def no_compiler(*_arguments):
        raise torch._dynamo.exc.TorchDynamoException("No working C++ compiler found")

    monkeypatch.setattr(torch, "compile", lambda _step: no_compiler)
    model = drawn("llama")
    cache, compiled = new_cache(model), compiled_copy(model)
    compiled(torch.tensor([[1, 2, 3]]), cache)
    with pytest.raises(WorkshopError, match=r"cannot be compiled here: No working.*Install one, or decode without"):
        compiled(torch.tensor([[4]]), cache)
