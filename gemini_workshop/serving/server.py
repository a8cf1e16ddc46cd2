"""A model behind an address, until a signal ends it; then the engine stops after its current token."""

from collections.abc import Callable

from gemini_workshop.serving.app import make_app
from gemini_workshop.serving.listening import address_of, listening, run_app
from gemini_workshop.serving.served import Served
from gemini_workshop.serving.settings import ServerSettings
from gemini_workshop.serving.visitors import is_loopback


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
        if not is_loopback(host) and not settings.keys:
            say("Warning: every machine that reaches this one can use the model. Set a key, or leave --host out.")
        address = address_of(host, listener)
        say(f"{served.name} answers at {address}/v1 (format of conversations: {served.format}). Ctrl-C ends it.")
        run_app(make_app(served, settings, host), listener, settings.grace)
    say("Stopped.")
