"""What a model is worth on a text: loss, perplexity, bits per byte, against models that one can compute.

    end to end    windows side by side: the first token of each is predicted from nothing, the last from all others
    strided       overlapping windows, each token counted once, with at least context - stride tokens before it

The strided loss is the fairer one: no token pays for standing at the start of a window. It takes context / stride times
as long.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from math import exp, log
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gemini_workshop.config import TrainingConfig
from gemini_workshop.data.rows import WindowRows
from gemini_workshop.data.shards import TokenShards
from gemini_workshop.errors import DataError
from gemini_workshop.evaluation.floors import bits_per_byte, entropy_floors
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.training.objective import Objective


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """One model on one text, in nats per token and the two units that follow from it."""

    name: str
    nats_per_token: float
    perplexity: float
    bits_per_byte: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """All models on one text, the worst floor first.

    Args:
        num_tokens: that were predicted: all but the first.
        num_bytes: of the text in UTF-8.
    """

    checkpoint: str
    text: str
    num_tokens: int
    num_bytes: int
    context_tokens: int
    stride_tokens: int
    scores: tuple[Score, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def evaluate_on_shards(
    model: Transformer,
    shards: TokenShards,
    training: TrainingConfig,
    *,
    checkpoint: str,
    text: str,
    stride_tokens: int | None = None,
    batch_size: int = 16,
) -> Evaluation:
    """Measure a model on a text, and the simple models beside it.

    Args:
        training: how the model was trained; its precision is not used: all is computed in float32.
        checkpoint, text: names for the report.
        stride_tokens: half of the context if left out.

    Raises:
        DataError: the text has fewer than two tokens, or the stride leaves tokens out.
    """
    if shards.num_tokens < 2:
        raise DataError(f"{shards.num_tokens} token in {text}: nothing follows it. Use more text.")
    context_tokens = min(model.config.context_tokens, shards.num_tokens - 1)
    stride = stride_tokens or max(1, context_tokens // 2)
    num_tokens = shards.num_tokens - 1
    token_ids = torch.from_numpy(shards.tokens(0, shards.num_tokens))
    nats = dict(entropy_floors(token_ids, shards.vocab_size))
    for name, step in (("model, end to end", context_tokens), (f"model, stride {stride}", stride)):
        rows = WindowRows(shards, context_tokens, step, targets_once=True)
        nats[name] = mean_loss(model, rows, training, batch_size)
    return Evaluation(
        checkpoint=checkpoint,
        text=text,
        num_tokens=num_tokens,
        num_bytes=shards.num_bytes,
        context_tokens=context_tokens,
        stride_tokens=stride,
        scores=tuple(
            Score(
                name=name,
                nats_per_token=value,
                perplexity=exp(value),
                bits_per_byte=bits_per_byte(value, num_tokens, shards.num_bytes),
            )
            for name, value in nats.items()
        ),
    )


@torch.inference_mode()
def mean_loss(model: Transformer, rows: WindowRows, training: TrainingConfig, batch_size: int) -> float:
    """Nats per target over all rows, in float32; a target that several rows hold counts in the first."""
    plain = replace(training, precision="fp32", label_smoothing=0.0, z_loss_weight=0.0)
    objective, device = Objective(model, plain), next(model.parameters()).device
    nats, count, was_training = 0.0, 0, model.training
    model.eval()
    for first in range(0, len(rows), batch_size):
        batch = [rows[i] for i in range(first, min(first + batch_size, len(rows)))]
        inputs, targets = (torch.from_numpy(np.stack([row[k] for row in batch])).to(device) for k in (0, 1))
        nats += float(objective(inputs, targets)[0])
        count += int((targets >= 0).sum())
    model.train(was_training)
    return nats / count


def table(evaluation: Evaluation) -> str:
    """The scores as plain text, with what they say in a last line."""
    lines = [
        f"{evaluation.checkpoint} on {evaluation.text}",
        f"{evaluation.num_tokens:,} tokens predicted, {evaluation.num_bytes:,} bytes of text, windows of "
        f"{evaluation.context_tokens} tokens",
        "",
        f"{'':<20}{'nats per token':>16}{'perplexity':>14}{'bits per byte':>16}",
    ]
    lines += [
        f"{score.name:<20}{score.nats_per_token:>16.4f}{score.perplexity:>14.2f}{score.bits_per_byte:>16.4f}"
        for score in evaluation.scores
    ]
    return "\n".join([*lines, "", *_in_words(evaluation.scores)])


def _in_words(scores: Sequence[Score]) -> list[str]:
    *floors, _, model = scores
    passed = [floor for floor in floors if model.nats_per_token < floor.nats_per_token]
    if not passed:
        return ["The model is worse than finding every token equally likely: is it trained, and on such text?"]
    lowest = min(passed, key=lambda floor: floor.nats_per_token)
    gain = (lowest.nats_per_token - model.nats_per_token) / log(2)
    return [
        f"The model is {gain:.2f} bits a token below the {lowest.name} floor: the entropy of this very text, "
        "which no such model can go below."
    ]


def name_of(checkpoint: str | Path) -> str:
    """How a report calls a checkpoint: the last two parts of its path."""
    return "/".join(Path(checkpoint).parts[-2:])
