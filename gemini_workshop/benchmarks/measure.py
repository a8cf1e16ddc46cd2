"""How the benchmarks measure: contestants take turns in one process, on one thread, by the CPU's clock.

Absolute times say more about the machine and its neighbours than about the code. A ratio of CPU seconds, taken while
the contestants alternate, is good to about a tenth even on a busy machine.
"""

import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from tqdm import tqdm

from gemini_workshop.kernels.onednn import onednn_products
from gemini_workshop.tables import table
from gemini_workshop.training.precision import DTYPES


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """How many times as fast as a peer we are, and what we promised.

    Args:
        least_seconds: what the work takes at least on this machine, by :func:`products_alone` and the like.
    """

    setting: str
    ours_seconds: float
    peer_seconds: float
    must: float | None = None
    aim: float | None = None
    least_seconds: float | None = None

    @property
    def ratio(self) -> float:
        """Above one: faster than the peer."""
        return self.peer_seconds / self.ours_seconds


def cpu_seconds(
    contestants: Mapping[str, Callable[[], object]], *, rounds: int = 7, warmups: int = 1, title: str = "measuring"
) -> dict[str, float]:
    """Median CPU seconds of each contestant; they take turns, on one thread, so that a busy moment hits them alike.

    Args:
        warmups: uncounted rounds at the beginning, for caches and allocators.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for round_number in tqdm(range(warmups + rounds), desc=title, leave=False):
            for name, run in contestants.items():
                start = time.process_time()
                run()
                taken = time.process_time() - start
                if round_number >= warmups:
                    seconds[name].append(taken)
    finally:
        torch.set_num_threads(threads)
    return {name: statistics.median(taken) for name, taken in seconds.items()}


def products_alone(shapes: Iterable[tuple[int, int, int]], precision: str = "fp32") -> Callable[[], None]:
    """The matrix products of a training step, by the fastest that PyTorch has, and nothing else: the least possible.

    Every matrix takes part in three: in the output, in the gradient of what came in, and in its own gradient.

    Args:
        shapes: rows, numbers that come in and numbers that go out, of each linear layer.
    """
    dtype = DTYPES.get(precision, torch.float32)
    layers = [
        tuple(torch.randn(size).to(dtype) for size in ((rows, into), (out, into), (rows, out)))
        for rows, into, out in shapes
    ]

    def run() -> None:
        gradients = []  # kept to the end, as a step keeps them for the optimizer
        with onednn_products(layers[0][0]):
            for x, weight, _ in layers:
                torch.mm(x, weight.T)
            for x, weight, grad in reversed(layers):
                torch.mm(grad, weight)
                gradients.append(torch.mm(grad.T, x))

    return run


def comparison_table(title: str, comparisons: Iterable[Comparison]) -> str:
    """One line per comparison: CPU milliseconds of both, the ratio, and whether it keeps the promise.

    The column ``at most`` is the ratio of somebody who computed nothing but what cannot be left out.
    """
    comparisons = list(comparisons)
    rows = [
        [
            c.setting,
            f"{c.ours_seconds * 1e3:.2f}",
            f"{c.peer_seconds * 1e3:.2f}",
            f"{c.ratio:.2f}",
            "" if c.least_seconds is None else f"{c.peer_seconds / c.least_seconds:.2f}",
            "" if c.must is None else f"{c.must:g}",
            "" if c.aim is None else f"{c.aim:g}",
            "" if c.must is None else "aim reached" if c.aim and c.ratio >= c.aim else _kept(c.ratio >= c.must),
        ]
        for c in comparisons
    ]
    header = ["", "ours, ms", "peer, ms", "times as fast", "at most", "must", "aim", ""]
    if all(c.least_seconds is None for c in comparisons):
        at_most = header.index("at most")
        header, *rows = ([*line[:at_most], *line[at_most + 1 :]] for line in [header, *rows])
    return table([header, *rows], title)


def _kept(is_kept: bool) -> str:
    return "kept" if is_kept else "MISSED"
