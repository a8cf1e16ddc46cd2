import os

import pytest
import torch
from typer.testing import CliRunner

from gemini_workshop.benchmarks.recipe import BATCH_SIZE, CONTEXT_TOKENS, MODEL, STEPS, mean_loss
from gemini_workshop.cli.main import app
from gemini_workshop.data.batches.rows import WindowRows
from gemini_workshop.data.batches.stream import TokenArray
from gemini_workshop.models.transformer import Transformer


def test_our_model_and_its_tokens_stay_within_the_peers():
    assert Transformer(MODEL).num_parameters() <= 850_000
    assert STEPS * BATCH_SIZE * CONTEXT_TOKENS == 1_536_000


def test_the_loss_is_the_mean_over_all_targets():
    """A model that scores only token 0 pays log(1 + 2 / e) for it and one more for any other; one id of six is 0."""
    batches = WindowRows(TokenArray(torch.tensor([1, 0, 2, 1, 2, 2, 1]), 3), 3).in_order(2)
    scores = torch.tensor([1.0, 0.0, 0.0])
    expected = torch.log(torch.exp(scores).sum()) - 1 / 6
    assert mean_loss(lambda inputs: scores.expand(*inputs.shape, 3), batches) == pytest.approx(expected.item())


@pytest.mark.skipif("GEMINI_WORKSHOP_MIRROR" not in os.environ, reason="needs Tiny Shakespeare in a local mirror")
def test_the_quick_benchmark_prints_a_line_for_each_run():
    result = CliRunner().invoke(app, ["benchmark", "recipe", "--quick"])
    assert result.exit_code == 0, result.output
    assert [line.split("  ")[0] for line in result.stdout.strip().splitlines()[2:5]] == [
        "nanoGPT's recipe",
        "ours, bf16, seed 0",
        "ours, bf16, seed 0",
    ]
