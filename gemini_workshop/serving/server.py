"""Uvicorn around the application: where it listens, and how it ends.

SIGTERM and Ctrl-C end it in order: nothing new is accepted, running requests get some seconds to finish, and the engine
stops after its current token. A second Ctrl-C ends it at once.
"""

import contextlib
import signal
import socket
from collections.abc import Callable, Iterator

import uvicorn

from gemini_workshop.errors import WorkshopError
from gemini_workshop.serving.app import make_app
from gemini_workshop.serving.gate import is_loopback
from gemini_workshop.serving.served import Served
from gemini_workshop.serving.settings import ServerSettings

IDLE_SECONDS = 30  # before a connection without requests is closed
MAX_CONNECTIONS = 1024


def run_server(
    served: Served, settings: ServerSettings, host: str, port: int, say: Callable[[str], object] = print
) -> None:
    """Serve until a signal ends it.

    Args:
        port: 0 for any that is free.
        say: shows a line.

    Raises:
        WorkshopError: the address cannot be had.
    """
    with listening(host, port) as listener:
        address = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
        if not is_loopback(host) and not settings.keys:
            say("Warning: every machine that reaches this one can use the model. Set a key, or leave --host out.")
        say(f"{served.name} answers at {address}/v1 (format of conversations: {served.format}). Ctrl-C ends it.")
        config = uvicorn.Config(
            make_app(served, settings, host),
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,  # anyone could claim another address
            limit_concurrency=MAX_CONNECTIONS,
            timeout_keep_alive=IDLE_SECONDS,
            timeout_graceful_shutdown=settings.grace,
        )
        with ending_in_order():
            uvicorn.Server(config).run(sockets=[listener])
    say("Stopped.")


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
