import pytest
import torch
from typer.testing import CliRunner

from gemini_workshop.benchmarks.generate import QUICK, check_same, drawn, transformers_copy, write
from gemini_workshop.cli.main import app
from gemini_workshop.errors import WorkshopError
from gemini_workshop.generation.fast.lean import lean_copy


def test_the_quick_benchmark_prints_every_table():
    result = CliRunner().invoke(app, ["benchmark", "generate", "--quick"])
    assert result.exit_code == 0, result.output
    tokens, cache, start = result.stdout.strip().split("\n\n")
    assert [line.split("  ")[0] for line in tokens.splitlines()[2:]] == [
        *("fp32, as in the lessons", "fp32", "bf16", "int8"),
        "fp32, the first token after 128",
    ]
    assert cache.splitlines()[2].startswith("128 + 4 tokens")
    assert [line.split("  ")[0] for line in start.splitlines()[2:]] == [
        "import gemini_workshop, beyond import torch",
        "load the model that ships",
        "first piece of text after that",
    ]


def test_models_that_write_different_tokens_are_not_compared():
    model, prompt = drawn(QUICK), torch.arange(9)[None]
    peer = transformers_copy(model)
    check_same(model, peer, prompt)
    with torch.no_grad():
        model.embedding.weight.neg_()
    with pytest.raises(WorkshopError, match=r"we wrote \[.*\] and transformers \[.*\]"):
        check_same(model, peer, prompt)


def test_the_lean_copy_writes_the_same_tokens():
    model, prompt = drawn(QUICK), torch.arange(9)[None]
    assert write(lean_copy(model), prompt, 6) == write(model, prompt, 6)
