"""How well a model predicts a text: loss, perplexity and bits per byte, beside models that can be computed.

    end to end    windows side by side, as in validation: the first token of each sees nothing, the last all others
    strided       overlapping windows, each token counted once, with at least context - stride tokens before it

The strided loss is the fairer one: no token pays for being at the start of a window. It takes context / stride times as
long.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from math import exp, log
from pathlib import Path
from typing import Any

from gemini_workshop.config import TrainingConfig
from gemini_workshop.data.batches.rows import WindowRows
from gemini_workshop.data.batches.shards import TokenShards
from gemini_workshop.errors import DataError
from gemini_workshop.evaluation.floors import bits_per_byte, entropy_floors
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.training.evaluate import evaluate
from gemini_workshop.training.objective import NextTokenPrediction


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """One model on one text, in nats per token and the two units that follow from it."""

    name: str
    nats_per_token: float
    perplexity: float
    bits_per_byte: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """All models on one text, the highest floor first.

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
        training: how the model was trained. Everything is computed in float32, whatever its precision was.
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
    nats = entropy_floors(shards)
    objective = NextTokenPrediction(model, replace(training, precision="fp32"))
    for name, step in (("model, end to end", context_tokens), (f"model, stride {stride}", stride)):
        nats[name] = evaluate(objective, WindowRows(shards, context_tokens, step).in_order(batch_size))
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


def table(evaluation: Evaluation) -> str:
    """The scores as plain text, with what they mean in a last line."""
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
        return ["The model is worse than finding every token equally likely. Was it trained, and on such text?"]
    lowest = min(passed, key=lambda floor: floor.nats_per_token)
    gain = (lowest.nats_per_token - model.nats_per_token) / log(2)
    return [
        f"The model is {gain:.2f} bits per token below the {lowest.name} floor: the entropy of this same text, "
        "which no such model can go below."
    ]


def name_of(checkpoint: str | Path) -> str:
    """The name of a checkpoint in a report: the last two parts of its path."""
    return "/".join(Path(checkpoint).parts[-2:])
