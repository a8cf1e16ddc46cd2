"""What a training run costs in hours and money, from its configuration and the prices in ``prices.yaml``.

    hours = FLOPs / (devices * FLOPs per second of one * MFU) / 3600        dollars = hours * devices * price

The FLOPs are those of the matrix products (``models.accounting``). MFU, the model FLOPs utilization, is the fraction of
a device's peak that a run reaches; ``gemini-workshop train`` prints it.

Source: Kaplan et al. 2020, arXiv:2001.08361, section 2.1; utilization: Chowdhery et al. 2022, arXiv:2204.02311,
appendix B.
"""

from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

import yaml

from gemini_workshop.config import ModelConfig, TrainingConfig
from gemini_workshop.errors import TrainingError, unknown_name
from gemini_workshop.models.accounting import training_flops

PRICES = Path(__file__).with_name("prices.yaml")


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """A device for rent.

    Args:
        device: what it is.
        dollars_per_hour: for one device, without storage, traffic and taxes.
        tflops: what it reaches at most, in 10¹² dense matrix FLOPs per second in the number format of training.
        seen: the day on which the price was published or read.
        source: where.
    """

    device: str
    dollars_per_hour: float
    tflops: float
    seen: date
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """What a run needs: floating-point operations, hours by the clock, dollars."""

    flops: float
    hours: float
    dollars: float


@cache
def offers() -> dict[str, Offer]:
    """Every offer in the file of prices, by its name."""
    content = yaml.safe_load(PRICES.read_text("utf-8"))
    peaks = {name: device["tflops"] for name, device in content["devices"].items()}
    return {name: Offer(tflops=peaks[offer["device"]], **offer) for name, offer in content["offers"].items()}


def run_flops(model: ModelConfig, training: TrainingConfig) -> float:
    """FLOPs of all steps of a run."""
    per_row = training_flops(model, training.row_tokens or model.context_tokens)
    return float(per_row * training.batch_size * training.steps)


def budget(flops: float, offer_name: str, *, mfu: float, devices: int = 1) -> Budget:
    """Hours and dollars of so many FLOPs on rented devices.

    Args:
        mfu: the fraction of the peak that the run reaches, above 0 and at most 1.

    Raises:
        TrainingError: there is no such offer, or a number is impossible.

    Example:
        >>> cost = budget(3.6e18, "Lambda A100", mfu=0.5, devices=2)  # 312 TFLOP/s each
        >>> round(cost.hours, 2), round(cost.dollars / cost.hours, 2)
        (3.21, 5.58)
    """
    if offer_name not in offers():
        raise TrainingError(unknown_name("offer", offer_name, offers()))
    if not 0 < mfu <= 1 or devices < 1:
        raise TrainingError(f"mfu={mfu} and devices={devices}: need 0 < mfu <= 1 and at least one device. Try mfu=0.3.")
    offer = offers()[offer_name]
    hours = flops / (devices * offer.tflops * 1e12 * mfu) / 3600
    return Budget(flops=flops, hours=hours, dollars=hours * devices * offer.dollars_per_hour)
