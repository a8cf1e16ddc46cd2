"""Read further than trained: slow the rotary pairs down, or only some of them.

A pair that turned less than once within the trained context has angles that the model has never seen beyond it.
Dividing every frequency by a factor brings them back (linear), but blurs the fast pairs that tell neighbours apart.
The later recipes leave the fast pairs alone, slow the slow ones, and differ in how they blend between.

Source: linear: Chen et al. 2023, arXiv:2306.15595, section 2.3; NTK-aware and YaRN: Peng et al. 2023, arXiv:2309.00071,
sections 3.1 to 3.4; Llama 3.1: Grattafiori et al. 2024, arXiv:2407.21783, section 3.4.2, details from the released
code; turning a part of the pairs: Barbero et al. 2024, arXiv:2410.06205, section 6.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from gemini_workshop.config import RotaryConfig
from gemini_workshop.models.embeddings import rotary_frequencies


def scaled_rotary_frequencies(head_dim: int, rope: RotaryConfig) -> Float[Tensor, " pairs"]:
    """The frequencies of the pairs that a configuration describes; pairs that do not turn have frequency 0."""
    if rope.fraction_of == "channels":
        return SCALINGS[rope.scaling](2 * int(rope.fraction * head_dim / 2), rope)
    frequencies = SCALINGS[rope.scaling](head_dim, rope)
    turns = torch.arange(len(frequencies)) < int(rope.fraction * head_dim / 2)
    return torch.where(turns, frequencies, 0.0)


def rotary_magnitude(rope: RotaryConfig) -> float:
    """Factor of cosine and sine. YaRN's grows with the logarithm of the stretch, which keeps attention as sharp."""
    if rope.magnitude is not None:
        return rope.magnitude
    return yarn_magnitude(rope.factor) if rope.scaling == "yarn" else 1.0


def yarn_magnitude(factor: float, weight: float = 1.0) -> float:
    """YaRN's factor of cosine and sine; DeepSeek weights it, and applies it to the scores."""
    return 0.1 * weight * math.log(factor) + 1.0 if factor > 1 else 1.0


def unscaled(dim: int, rope: RotaryConfig) -> Float[Tensor, " pairs"]:
    """As trained."""
    return rotary_frequencies(dim, rope.base)


def linear_scaling(dim: int, rope: RotaryConfig) -> Float[Tensor, " pairs"]:
    """Every pair slower by the factor: position 8 now looks like position 1 did."""
    return unscaled(dim, rope) / rope.factor


def ntk_scaling(dim: int, rope: RotaryConfig) -> Float[Tensor, " pairs"]:
    """A larger base: the fastest pair turns as before, the slowest slower by the factor."""
    return rotary_frequencies(dim, rope.base * rope.factor ** (dim / (dim - 2)))


def llama3_scaling(dim: int, rope: RotaryConfig) -> Float[Tensor, " pairs"]:
    """Keep pairs that turn often within the trained context, slow those that hardly turn, blend between."""
    frequencies = unscaled(dim, rope)
    turns = _original_tokens(rope) / (2 * math.pi / frequencies)
    kept = (turns - rope.low_freq_factor) / (rope.high_freq_factor - rope.low_freq_factor)
    return _blend(frequencies, rope.factor, kept.clamp(0, 1))


def yarn_scaling(dim: int, rope: RotaryConfig) -> Float[Tensor, " pairs"]:
    """As :func:`llama3_scaling`, blended evenly over the *numbers* of the pairs between two borders."""

    def pair_that_turns(times: float) -> float:
        return dim * math.log(_original_tokens(rope) / (times * 2 * math.pi)) / (2 * math.log(rope.base))

    first, last = pair_that_turns(rope.fast_turns), pair_that_turns(rope.slow_turns)
    if rope.round_range:
        first, last = math.floor(first), math.ceil(last)
    first, last = max(first, 0), min(last, dim - 1)
    width = last - first if last != first else 0.001
    slowed = ((torch.arange(dim // 2, dtype=torch.float32) - first) / width).clamp(0, 1)
    return _blend(unscaled(dim, rope), rope.factor, 1 - slowed)


SCALINGS: dict[str, Callable[[int, RotaryConfig], Tensor]] = {
    "none": unscaled,
    "linear": linear_scaling,
    "ntk": ntk_scaling,
    "llama3": llama3_scaling,
    "yarn": yarn_scaling,
}


def _blend(frequencies: Tensor, factor: float, kept: Tensor) -> Tensor:
    """All of the frequency where ``kept`` is 1, a ``factor``-th of it where it is 0."""
    return frequencies / factor * (1 - kept) + frequencies * kept


def _original_tokens(rope: RotaryConfig) -> int:
    assert rope.original_tokens is not None  # the configuration has seen to it
    return rope.original_tokens
