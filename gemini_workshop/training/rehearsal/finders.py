"""Before a long run: which learning rate, which batch size, and can the model learn at all?

    find_learning_rate    raise the rate at every step until the loss explodes; look where it fell fastest
    find_batch_size       the largest batch for which one training step fits in memory
    overfit_one_batch     a model that cannot overfit one batch is broken

None of them changes the model it is given.

Source: rate test: Smith 2017, arXiv:1506.01186, section 3.3; the check on one batch: Karpathy 2019, "A Recipe for
Training Neural Networks".
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from gemini_workshop.config import TrainingConfig
from gemini_workshop.data.batches.batch import Batch
from gemini_workshop.data.batches.source import BatchSource
from gemini_workshop.errors import TrainingError
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.training.memory import available_bytes, peak_bytes
from gemini_workshop.training.objective import NextTokenPrediction
from gemini_workshop.training.state import TrainingState
from gemini_workshop.training.step import NotFiniteError, train_step

SMOOTHING = 0.8  # weight of the past in the running mean of the loss; a single batch shows little
EXPLODED_NATS = 0.5  # above the lowest smoothed loss: from there on the rate is too high
MEMORY_FRACTION = 0.8  # of what is free; the rest is for what a measurement of tensors does not see
LEARNED_NATS = 0.05


@dataclass(frozen=True, kw_only=True, slots=True)
class RateTest:
    """What a rising learning rate did to the loss.

    Args:
        smoothed: running means of the losses.
        suggestion: the rate at which the smoothed loss fell fastest.
        exploded: the rate at which the test stopped early; None if the loss did not explode.
    """

    rates: list[float]
    losses: list[float]
    smoothed: list[float]
    suggestion: float
    exploded: float | None

    def in_words(self) -> str:
        """The suggestion, and where it comes from."""
        end = f"exploded at {self.exploded:.1e}" if self.exploded else f"did not explode up to {self.rates[-1]:.1e}"
        return (
            f"Set learning_rate={self.suggestion:.1e}: there the loss fell fastest while the rate rose. It {end}. "
            "With warm-up and decay, two or three times as much often works; compare both in short runs."
        )


def find_learning_rate(
    model: Transformer,
    source: BatchSource,
    config: TrainingConfig,
    *,
    lowest: float = 1e-5,
    highest: float = 1.0,
    steps: int = 100,
) -> RateTest:
    """Train a copy while the rate rises by the same factor at every step, until the loss explodes.

    Muon's learning rate rises with it, in the same proportion.
    """
    state = _trial(model, config)
    rates: list[float] = []
    losses: list[float] = []
    smoothed: list[float] = []
    mean, exploded = 0.0, None
    for step in range(steps):
        rate = lowest * (highest / lowest) ** (step / (steps - 1))
        try:
            nats = train_step(state, source.batch(step), rate).loss_nats
        except NotFiniteError:
            exploded = rate
            break
        mean = SMOOTHING * mean + (1 - SMOOTHING) * nats
        rates.append(rate)
        losses.append(nats)
        smoothed.append(mean / (1 - SMOOTHING ** (step + 1)))
        if smoothed[-1] > min(smoothed) + EXPLODED_NATS:
            exploded = rate
            break
    return RateTest(
        rates=rates, losses=losses, smoothed=smoothed, suggestion=steepest(rates, smoothed), exploded=exploded
    )


def steepest(rates: list[float], smoothed: list[float], reach: int = 3) -> float:
    """The rate around which the loss falls most for the same factor, measured over ``reach`` steps on both sides.

    Raises:
        TrainingError: the loss falls nowhere.

    Example:
        >>> steepest([1.0, 2.0, 4.0, 8.0, 16.0], [5.0, 4.9, 4.0, 3.9, 6.0], reach=1)
        4.0
    """
    falls = {i: smoothed[i - reach] - smoothed[i + reach] for i in range(reach, len(rates) - reach)}
    best = max(falls, key=lambda i: falls[i], default=None)
    if best is None or falls[best] <= 0:
        raise TrainingError(
            f"The loss fell nowhere between the rates {rates[0]:.0e} and {rates[-1]:.0e}. "
            "Begin lower, or check the model first: gemini-workshop rehearse one-batch."
        )
    return rates[best]


def find_batch_size(model: Transformer, config: TrainingConfig, limit: int = 2**16) -> int:
    """The largest number of sequences, as long as the context, for which one part of a training step fits in memory.

    On a GPU by trial; on a CPU, where the system would end the process, by extrapolation from two small steps: the
    memory of a step grows linearly with the number of sequences.

    Raises:
        TrainingError: not even one fits.
    """
    step = _one_step(model, replace(config, accumulation_steps=1))
    step(1)  # the optimizer state exists from now on
    if next(model.parameters()).device.type == "cuda":
        largest = largest_that_fits(lambda size: _fits(step, size), limit)
    else:
        small, larger = peak_bytes(lambda: step(2)), peak_bytes(lambda: step(4))
        each = max(1.0, (larger - small) / 2)
        fixed = small - 2 * each
        largest = min(limit, int((MEMORY_FRACTION * available_bytes() - fixed) / each))
    if largest < 1:
        raise TrainingError(
            "Not even one sequence fits in memory. Choose a smaller context_tokens or model, "
            "--set recompute_blocks=true or --set loss_chunk_tokens=1024."
        )
    return largest


def largest_that_fits(fits: Callable[[int], bool], limit: int) -> int:
    """The largest number that fits, found by doubling and then halving the gap; 0 if 1 does not.

    Example:
        >>> largest_that_fits(lambda size: size <= 37, limit=1000)
        37
    """
    good, bad = 0, 1
    while bad <= limit and fits(bad):
        good, bad = bad, 2 * bad
    bad = min(bad, limit + 1)
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if fits(middle) else (good, middle)
    return good


def overfit_one_batch(model: Transformer, batch: Batch, config: TrainingConfig, steps: int = 200) -> list[float]:
    """Train a copy on one batch alone, without decay or smoothing, at the configuration's highest rate after a warm-up.

    Returns:
        The loss of each step, up to the first below ``LEARNED_NATS``.
    """
    config = replace(config, weight_decay=0.0, label_smoothing=0.0, z_loss_weight=0.0, accumulation_steps=1)
    state = _trial(model, config)
    losses: list[float] = []
    for step in range(1, steps + 1):
        rate = config.learning_rate * min(1.0, step / 10) * min(1.0, 2 * (steps - step + 1) / steps)
        losses.append(train_step(state, batch, rate).loss_nats)
        if losses[-1] < LEARNED_NATS:
            break
    return losses


def diagnosis(losses: list[float], learning_rate: float) -> str:
    """What the losses of :func:`overfit_one_batch` show, and what to suspect if they stay high."""
    first, last, count = losses[0], losses[-1], len(losses)
    lowest = min(losses)
    if last < LEARNED_NATS:
        return f"Memorised: the loss fell from {first:.2f} to {last:.3f} nats per token in {count} steps."
    start = f"Not memorised: the loss was {first:.2f} nats per token at first, {last:.2f} after {count} steps. "
    if last > lowest + EXPLODED_NATS:
        return start + (
            f"It was at {lowest:.2f} before and rose again: suspect a learning rate that is too high. "
            f"Try --set learning_rate={learning_rate / 3:.0e}."
        )
    if first - last < 0.1:
        return start + (
            "It hardly moved: suspect gradients that are cut off (a detach, frozen weights, a rate near zero), "
            "or targets that are unrelated to the inputs."
        )
    if last < losses[count // 2] - 0.02:  # though the rate fell in this half
        return start + (
            "It is still falling: suspect a learning rate that is too low, or a model too small for the batch. "
            f"Try --set learning_rate={3 * learning_rate:.0e}, more --steps or fewer --sequences."
        )
    return start + (
        "It fell and then stayed: suspect inputs that do not determine the targets (positions, the mask, targets not "
        "shifted by one), or a clip_norm that is too small."
    )


def _trial(model: Transformer, config: TrainingConfig) -> TrainingState:
    """A copy of the model before its first step; a trial is too short to compile it or to average its weights."""
    config = replace(config, compile=False, ema_decay=None)
    return TrainingState.begin(NextTokenPrediction(copy.deepcopy(model).train(), config))


def _one_step(model: Transformer, config: TrainingConfig) -> Callable[[int], object]:
    state = _trial(model, config)

    def step(batch_size: int) -> None:
        generator = torch.Generator().manual_seed(0)
        shape = (batch_size, config.row_tokens or model.config.context_tokens)
        ids = torch.randint(model.config.vocab_size, shape, generator=generator)
        train_step(state, Batch(ids, ids.roll(-1, dims=1)), 0.0)
        state.optimizer.zero_grad()

    return step


def _fits(step: Callable[[int], object], size: int) -> bool:
    try:
        step(size)
    except torch.OutOfMemoryError:
        return False
    finally:
        torch.cuda.empty_cache()
    return True
