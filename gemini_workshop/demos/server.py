"""The page behind an address, from the first request to Ctrl-C."""

import os
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from gemini_workshop.demos.settings import DemoSettings
from gemini_workshop.demos.shelf import Shelf
from gemini_workshop.errors import WorkshopError
from gemini_workshop.serving.visitors import is_loopback


def run_demo(
    checkpoints: Sequence[str],
    settings: DemoSettings,
    host: str,
    port: int,
    login: tuple[str, str] | None = None,
    device: str = "cpu",
    say: Callable[[str], object] = print,
) -> None:
    """Serve the page until a signal ends it. What visitors upload is deleted then.

    Args:
        login: name and password that visitors need, if any.
        port: 0 for any that is free.
        say: shows a line.

    Raises:
        WorkshopError: there is no such checkpoint, or the address cannot be had.
    """
    from gemini_workshop.serving.listening import address_of, listening, run_app

    shelf = Shelf(checkpoints, device)
    with listening(host, port) as listener, tempfile.TemporaryDirectory(prefix="gemini-demo-") as folder:
        stay_at_home(Path(folder))
        from gemini_workshop.demos.page.app import make_app

        app = make_app(shelf, settings, Path(folder), host, login)
        if not is_loopback(host) and login is None:
            say("Warning: every machine that reaches this one can use the page. Set --login, or leave --host out.")
        say(f"The demo is at {address_of(host, listener)}. Ctrl-C ends it.")
        threading.Thread(target=_load_first, args=(shelf, say), daemon=True).start()
        run_app(app, listener, grace=1)
    say("Stopped.")


def stay_at_home(uploads: Path) -> None:
    """Tell Gradio, before it is imported, to report nothing to anyone and to keep files in this folder."""
    os.environ.update(
        GRADIO_ANALYTICS_ENABLED="False",
        GRADIO_TEMP_DIR=str(uploads),
        GRADIO_SHARE="False",
        GRADIO_MCP_SERVER="False",
        GRADIO_SSR_MODE="False",
        GRADIO_RUN_HISTORY="False",
        HF_HUB_OFFLINE="1",
        HF_HUB_DISABLE_TELEMETRY="1",
    )
    for name in ("GRADIO_ALLOWED_PATHS", "GRADIO_WATCH_DIRS", "GRADIO_VIBE_MODE", "GRADIO_ROOT_PATH", "SPACE_ID"):
        os.environ.pop(name, None)


def _load_first(shelf: Shelf, say: Callable[[str], object]) -> None:
    """While the page is being opened."""
    try:
        shelf.get(shelf.names[0])
    except WorkshopError as error:  # the page shows it as well, to whoever asks for the model
        say(str(error))
