"""What all tabs share: the models, the limits, the machine, and how a refusal becomes a message on the page."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from gemini_workshop.demos.limits import Limits
from gemini_workshop.demos.machine import Machine
from gemini_workshop.demos.settings import DemoSettings
from gemini_workshop.demos.shelf import Shelf
from gemini_workshop.errors import WorkshopError

SCRIPT = Path(__file__).with_name("page.js").read_text("utf-8")
SENTENCE = "Once upon a time there was a little dog. The dog"
PRIVATE: dict[str, Any] = {"api_visibility": "private"}
"""Of every event: the page is for people; programs have ``gemini-workshop serve``."""


@dataclass(frozen=True, slots=True)
class Desk:
    """The parts of one demo."""

    shelf: Shelf
    limits: Limits
    machine: Machine

    @property
    def settings(self) -> DemoSettings:
        """What a visitor may ask for."""
        return self.limits.settings

    @contextlib.contextmanager
    def asked(self, request: gr.Request, *texts: str) -> Iterator[None]:
        """Count a request of a visitor, and show what is refused as a message.

        Raises:
            gradio.Error: it is refused.
        """
        with refusals():
            self.limits.check(visitor_of(request), *texts)
            yield


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """Show a refusal as a message on the page, its text escaped: it may quote what a visitor wrote.

    Raises:
        gradio.Error: in place of the WorkshopError.
    """
    try:
        yield
    except WorkshopError as error:
        raise gr.Error(escape(str(error)), title="Not possible", duration=20, print_exception=False) from None


def visitor_of(request: gr.Request) -> str:
    """Who asks: the name they came in with, or else the address."""
    client = request.client
    return request.username or (client.host if client else "unknown")


def drawing(**options: Any) -> gr.HTML:
    """A place for markup whose buttons tell which one was pressed: the event ``select``, with ``pick``."""
    return gr.HTML(js_on_load=SCRIPT, padding=False, **options)
