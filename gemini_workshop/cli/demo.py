"""gemini-workshop demo: talk to models and look inside them, in a browser."""

import os
from typing import Annotated

import typer

from gemini_workshop.cli.options import Device, with_section_options
from gemini_workshop.demos.settings import DemoSettings
from gemini_workshop.errors import WorkshopError

LOGIN_VARIABLE = "GEMINI_WORKSHOP_LOGIN"
BUNDLED = ("stories-small", "mini-gemini")

Models = Annotated[
    list[str] | None,
    typer.Argument(metavar="[CHECKPOINT]...", help=f"Checkpoints or folders of runs. Default: {' '.join(BUNDLED)}."),
]
Host = Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines in.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for any that is free.")]
Login = Annotated[
    str | None,
    typer.Option(metavar="NAME:PASSWORD", help=f"What visitors need to come in. Safer: the variable {LOGIN_VARIABLE}."),
]


@with_section_options("settings", DemoSettings, "Limits")
def demo(
    models: Models = None,
    *,
    host: Host = "127.0.0.1",
    port: Port = 7860,
    login: Login = None,
    device: Device = "cpu",
    settings: DemoSettings,
) -> None:
    """Talk to models and look inside them, in a browser.

    Tabs: chat, also with two models side by side; the attention of every head; sampling, token by token; the logit
    lens; experts; tokenizers; and what all this takes of the machine. Only this machine is let in, unless --host is
    given, and nothing leaves it.

    Examples:

        gemini-workshop demo

        gemini-workshop demo runs/mine stories-small --port 8080

        gemini-workshop demo mini-gemini --host 0.0.0.0 --login guest:PASSWORD
    """
    from gemini_workshop.demos.server import run_demo

    given = login if login is not None else os.environ.get(LOGIN_VARIABLE)
    run_demo(models or BUNDLED, settings, host, port, login_of(given), device, typer.echo)


def login_of(text: str | None) -> tuple[str, str] | None:
    """Name and password.

    Raises:
        WorkshopError: one is missing.

    Example:
        >>> login_of("guest:let:me:in"), login_of(None)
        (('guest', 'let:me:in'), None)
    """
    if text is None:
        return None
    name, _, password = text.partition(":")
    if not name or not password:
        raise WorkshopError("--login lacks a name or a password. Write NAME:PASSWORD, such as guest:a-long-word.")
    return name, password
