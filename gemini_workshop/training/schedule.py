r"""The learning rate over a run: a linear warm-up, then one of four curves. Each is a pure function of the step.

    cosine   ___          wsd    ________       linear  _           constant  _________
            /   \_              /        \             / \_                  /
           /      \__          /          \           /    \_               /
          /          \_       /            \         /       \_            /

Source: cosine: Loshchilov and Hutter 2017, arXiv:1608.03983, equation 5, without restarts; warmup-stable-decay:
Hu et al. 2024, arXiv:2404.06395, section 4.
"""

import math

from gemini_workshop.config import TrainingConfig


def cosine_schedule(step: int, steps: int, warmup_steps: int, highest: float, final: float) -> float:
    """The learning rate of one step; 0 at step 0, ``highest`` after the warm-up, ``final`` from the last step on.

    Example:
        >>> [cosine_schedule(s, steps=10, warmup_steps=2, highest=1.0, final=0.0) for s in (0, 1, 2, 6, 10)]
        [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    if step < warmup_steps:
        return highest * step / warmup_steps
    progress = _progress(step, warmup_steps, steps)
    return final + (highest - final) * (1 + math.cos(math.pi * progress)) / 2


def linear_schedule(step: int, *, steps: int, warmup_steps: int, highest: float, final: float) -> float:
    """A straight line from ``highest`` after the warm-up to ``final`` at the last step.

    Example:
        >>> [linear_schedule(s, steps=10, warmup_steps=2, highest=1.0, final=0.0) for s in (1, 2, 4, 10)]
        [0.5, 1.0, 0.75, 0.0]
    """
    if step < warmup_steps:
        return highest * step / warmup_steps
    return highest + (final - highest) * _progress(step, warmup_steps, steps)


def wsd_schedule(step: int, *, steps: int, warmup_steps: int, decay_steps: int, highest: float, final: float) -> float:
    """Warm up, stay, and fall in a line over the last ``decay_steps``.

    A run can be made longer from any point of its middle, because nothing there depends on where it ends.

    Example:
        >>> rates = {"steps": 10, "warmup_steps": 2, "decay_steps": 4, "highest": 1.0, "final": 0.0}
        >>> [wsd_schedule(s, **rates) for s in (1, 2, 6, 8, 10)]
        [0.5, 1.0, 1.0, 0.5, 0.0]
    """
    if step < warmup_steps:
        return highest * step / warmup_steps
    return highest + (final - highest) * _progress(step, max(warmup_steps, steps - decay_steps), steps)


def constant_schedule(step: int, *, warmup_steps: int, highest: float) -> float:
    """Warm up and stay.

    Example:
        >>> [constant_schedule(s, warmup_steps=2, highest=1.0) for s in (1, 2, 9)]
        [0.5, 1.0, 1.0]
    """
    return highest * min(1.0, step / max(1, warmup_steps))


def learning_rate_at(step: int, config: TrainingConfig) -> float:
    """The learning rate of the step with this number; the first is 1."""
    highest, final = config.learning_rate, config.learning_rate * config.final_rate_fraction
    run = {"steps": config.steps, "warmup_steps": config.warmup_steps}
    if config.schedule == "constant":
        return constant_schedule(step, warmup_steps=config.warmup_steps, highest=highest)
    if config.schedule == "linear":
        return linear_schedule(step, **run, highest=highest, final=final)
    if config.schedule == "wsd":
        decay_steps = round(config.decay_fraction * config.steps)
        return wsd_schedule(step, **run, decay_steps=decay_steps, highest=highest, final=final)
    return cosine_schedule(step, **run, highest=highest, final=final)


def _progress(step: int, first: int, last: int) -> float:
    """How far a step is on the way from the first to the last, from 0 to 1."""
    return 1.0 if step >= last else max(0.0, (step - first) / (last - first))
