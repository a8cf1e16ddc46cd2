"""No network: a lesson that reaches for it fails where it is built, not on a learner's train.

Loaded into a kernel as an IPython extension, so that no cell shows it. Only Python's own sockets are closed; what a
compiled library or another process opens is not seen.
"""

import ipaddress
import socket
from typing import Any

from gemini_workshop.errors import WorkshopError


class NetworkClosedError(WorkshopError):
    """Something tried to reach another machine while a notebook was built or tested."""


def close_network() -> None:
    """From now on, connecting to or looking up any machine but this one raises NetworkClosedError."""
    for name in ("connect", "connect_ex", "sendto"):
        setattr(socket.socket, name, _guarded_method(getattr(socket.socket, name)))
    look_up = socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        _need_this_machine(host)
        return look_up(host, *args, **kwargs)

    socket.getaddrinfo = getaddrinfo


def load_ipython_extension(shell: Any) -> None:  # noqa: ARG001 (IPython's protocol)
    """What ``%load_ext`` calls."""
    close_network()


def _guarded_method(method: Any) -> Any:
    def guarded(self: socket.socket, *args: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            _need_this_machine(args[-1][0])
        return method(self, *args)

    return guarded


def _need_this_machine(host: Any) -> None:
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost"):
        return
    try:
        is_here = ipaddress.ip_address(name).is_loopback
    except ValueError:
        is_here = False
    if not is_here:
        raise NetworkClosedError(
            f"This notebook tried to reach {name!r}. Lessons run without a network: use the data that ships with the "
            "package, or put the download behind a command that the learner runs."
        )
