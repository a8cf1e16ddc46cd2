"""Who asks: how often a visitor may, and whether an address is one of this machine."""

import time
from collections.abc import Callable
from ipaddress import ip_address

MAX_CLIENTS = 10_000  # whose requests are counted


class RateLimit:
    """So many requests per minute for each client, and as many at once: a bucket that fills steadily.

    Args:
        clock: seconds.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_minute, self.clock = per_minute, clock
        self._buckets: dict[str, tuple[float, float]] = {}  # what is left, and when that was

    def seconds_to_wait(self, client: str) -> float:
        """0, and the request counts; or how long until the next one may come."""
        now = self.clock()
        left, before = self._buckets.pop(client, (float(self.per_minute), now))
        left = min(left + (now - before) * self.per_minute / 60, self.per_minute)
        self._buckets[client] = (left - 1 if left >= 1 else left), now  # the newest is the last
        if len(self._buckets) > MAX_CLIENTS:
            self._buckets.pop(next(iter(self._buckets)))
        return 0.0 if left >= 1 else (1 - left) * 60 / self.per_minute


def host_of(header: str) -> str:
    """The host without its port.

    Example:
        >>> host_of("localhost:8000"), host_of("[::1]:8000"), host_of("example.org")
        ('localhost', '::1', 'example.org')
    """
    return header[1:].partition("]")[0] if header.startswith("[") else header.partition(":")[0]


def is_loopback(host: str) -> bool:
    """Whether a host is this machine and no other can reach it."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
