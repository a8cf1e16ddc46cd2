"""Where a server of ours listens, and how it ends: what uvicorn needs around any application.

SIGTERM and Ctrl-C end it in order: nothing new is accepted, and running requests get some seconds to finish. A second
Ctrl-C ends it at once.
"""

import contextlib
import signal
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from gemini_workshop.errors import WorkshopError

IDLE_SECONDS = 30  # before a connection without requests is closed
MAX_CONNECTIONS = 1024


def run_app(app: ASGIApp, listener: socket.socket, grace: int) -> None:
    """Answer at a socket until a signal ends it.

    Args:
        grace: seconds that running requests get then.
    """
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # anyone could claim another address
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=grace,
    )
    with ending_in_order():
        uvicorn.Server(config).run(sockets=[listener])


def address_of(host: str, listener: socket.socket) -> str:
    """What a client on the same machine or network calls a listening socket."""
    return f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"


@contextlib.contextmanager
def ending_in_order() -> Iterator[None]:
    """Take no notice of the signals that uvicorn has obeyed, when it raises them once more at its end."""
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        WorkshopError: the address cannot be had.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=MAX_CONNECTIONS)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise WorkshopError(
            f"The server cannot listen on {host}, port {port}: {reason}. Choose another --port, or --port 0 for any."
        ) from None
