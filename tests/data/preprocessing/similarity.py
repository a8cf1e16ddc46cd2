"""The exact similarity that signatures estimate, and the curve that bands follow."""

from collections.abc import Set


def jaccard(left: Set[str], right: Set[str]) -> float:
    """Shared members among all members; two empty sets are equal."""
    return len(left & right) / len(left | right) if left or right else 1.0


def meeting_probability(similarity: float, num_bands: int, rows_per_band: int) -> float:
    """How likely two texts of this Jaccard similarity are to agree in at least one band."""
    return 1 - (1 - similarity**rows_per_band) ** num_bands
