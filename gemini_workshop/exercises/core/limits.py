"""Numbers at a limit: cut off where they should go on, or small where there should be nothing."""

from torch import Tensor

from gemini_workshop.exercises.core.comparison import number

CLOSE = 1e-3
ROUNDED = "It is right to about three digits. Is something rounded, or kept in a shorter kind such as float16?"


def small_for_nothing(got: Tensor, needed: Tensor) -> str | None:
    """Of results that are nearly right: small numbers where zeros are needed. No rounding does that."""
    instead = got[(needed == 0) & (got != 0)]
    if instead.numel() == 0:
        return None
    return f"Where exactly 0 is needed it gives a small number, such as {number(instead[0])}. What hides those places?"


def cut_off(got: Tensor, needed: Tensor) -> str | None:
    """Right, but for numbers beyond a limit, which all become that limit."""
    wrong = (got - needed).abs() > CLOSE * needed.abs().max()
    limits = got[wrong].unique()
    if len(limits) != 1 or not 0 < int(wrong.sum()) < needed.numel() or float(limits[0]) == 0:
        return None
    limit = limits[0]
    if bool((needed[wrong] > limit).all()) and bool((needed[~wrong] <= limit + CLOSE).all()):
        return f"The results are right up to {number(limit)}, and what should be larger is cut off there."
    if bool((needed[wrong] < limit).all()) and bool((needed[~wrong] >= limit - CLOSE).all()):
        return f"The results are right down to {number(limit)}, and what should be smaller is cut off there."
    return None
