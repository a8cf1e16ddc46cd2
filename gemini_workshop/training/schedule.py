r"""The learning rate over a run: a linear warm-up, then half a cosine down.

    rate
      ^      ______
      |     /      \__
      |    /          \__
      |   /              \____  final
      |__/
      +---------------------------> step
       0  warmup            steps

Source: Loshchilov and Hutter 2017, arXiv:1608.03983, equation 5, without restarts.
"""

import math


def cosine_schedule(step: int, *, steps: int, warmup_steps: int, highest: float, final: float) -> float:
    """The learning rate of one step; 0 at step 0, ``highest`` after the warm-up, ``final`` from the last step on.

    Example:
        >>> [cosine_schedule(s, steps=10, warmup_steps=2, highest=1.0, final=0.0) for s in (0, 1, 2, 6, 10)]
        [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    if step < warmup_steps:
        return highest * step / warmup_steps
    if step >= steps:
        return final
    progress = (step - warmup_steps) / (steps - warmup_steps)
    return final + (highest - final) * (1 + math.cos(math.pi * progress)) / 2
