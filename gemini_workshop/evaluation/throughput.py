"""How fast a model reads and writes, and what that costs.

reading     the prompt at once: tokens per second until the first new one is there
writing     one token at a time: the others, per second
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gemini_workshop.config import GenerationConfig
from gemini_workshop.errors import DataError
from gemini_workshop.evaluation.energy import Cost, EnergyMeter
from gemini_workshop.generation.decode import generate
from gemini_workshop.models.transformer import Transformer


@dataclass(frozen=True, kw_only=True, slots=True)
class Throughput:
    """One model, one prompt, the median of several rounds for each part.

    Args:
        first_token_seconds: from the prompt to the first new token.
    """

    prompt_tokens: int
    new_tokens: int
    first_token_seconds: float
    read_tokens_per_second: float
    written_tokens_per_second: float
    joules_per_written_token: float | None
    energy_source: str


def measure_throughput(
    model: Transformer,
    prompt_ids: Sequence[int],
    new_tokens: int = 64,
    rounds: int = 3,
    tdp_watts: float | None = None,
) -> Throughput:
    """Read a prompt and write after it, ``rounds`` times after one that does not count.

    Args:
        tdp_watts: the processor's stated power, for an estimate of the energy where it cannot be measured.

    Raises:
        DataError: there are fewer than two tokens to write.
    """
    if new_tokens < 2:
        raise DataError(f"new_tokens={new_tokens} leaves nothing to time after the first one. Choose 2 or more.")
    config = GenerationConfig(max_new_tokens=new_tokens, temperature=0.0, top_p=None)
    costs = [_one_round(model, prompt_ids, config, tdp_watts) for _ in range(rounds + 1)][1:]
    reading = _median([reading for reading, _ in costs])
    writing = _median([writing for _, writing in costs])
    written = new_tokens - 1
    return Throughput(
        prompt_tokens=len(prompt_ids),
        new_tokens=new_tokens,
        first_token_seconds=reading.seconds,
        read_tokens_per_second=len(prompt_ids) / reading.seconds,
        written_tokens_per_second=written / writing.seconds,
        joules_per_written_token=None if writing.joules is None else writing.joules / written,
        energy_source=writing.source,
    )


def _one_round(
    model: Transformer, prompt_ids: Sequence[int], config: GenerationConfig, tdp_watts: float | None
) -> tuple[Cost, Cost]:
    stream = generate(model, prompt_ids, config)
    with EnergyMeter(tdp_watts) as reading:
        next(stream)
    with EnergyMeter(tdp_watts) as writing:
        for _ in stream:
            pass
    return reading.cost, writing.cost


def _median(costs: Sequence[Cost]) -> Cost:
    return sorted(costs, key=lambda cost: cost.seconds)[len(costs) // 2]
