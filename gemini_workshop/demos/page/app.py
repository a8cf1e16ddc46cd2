"""The page: a choice of models above the tabs, behind the gate."""

from pathlib import Path

import gradio as gr
from fastapi import FastAPI
from gradio import processing_utils

from gemini_workshop.demos.gate import Gate
from gemini_workshop.demos.limits import Limits
from gemini_workshop.demos.machine import Machine
from gemini_workshop.demos.page.attention import AttentionTab
from gemini_workshop.demos.page.chat import ChatTab
from gemini_workshop.demos.page.desk import PRIVATE, Desk
from gemini_workshop.demos.page.explorers import ExpertsTab, LensTab, MachineTab, TokensTab
from gemini_workshop.demos.page.sampling import SamplingTab
from gemini_workshop.demos.settings import DemoSettings
from gemini_workshop.demos.shelf import Shelf

TITLE = "Gemini from scratch"
FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]  # those of the visitor's own machine
MONO = ["ui-monospace", "Menlo", "Consolas", "monospace"]
FOLDER = Path(__file__).parent


def make_app(
    shelf: Shelf, settings: DemoSettings, uploads: Path, host: str = "127.0.0.1", login: tuple[str, str] | None = None
) -> FastAPI:
    """The page as an ASGI application.

    Args:
        uploads: the folder for what visitors attach; :func:`~gemini_workshop.demos.server.stay_at_home` told Gradio.
        host: the address that it will listen on.
        login: name and password that visitors need, if any.
    """
    processing_utils.async_ssrf_protected_get = _refuse_to_fetch  # type: ignore[assignment]
    blocks = make_page(Desk(shelf, Limits(settings), Machine()))
    blocks.queue(max_size=settings.max_waiting, default_concurrency_limit=settings.max_running)
    app = gr.mount_gradio_app(
        FastAPI(openapi_url=None, redirect_slashes=False),
        blocks,
        "",
        auth=login,
        allowed_paths=[],
        show_error=True,
        max_file_size=f"{settings.upload_mib}mb",
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        run_history=False,
        footer_links=[],
        theme=theme(),
        css_paths=FOLDER / "page.css",
        head=f"<style>{(FOLDER / 'frame.css').read_text('utf-8')}</style>",
    )
    blocks.has_launched = True  # Gradio checks where files lie only after launch(), which we do not call
    app.add_middleware(Gate, uploads=uploads, host=host, upload_mib=settings.upload_mib)
    return app


async def _refuse_to_fetch(url: str) -> None:
    """In place of Gradio's own: it would fetch whatever address a visitor names as a file.

    Raises:
        gradio.Error: always.
    """
    raise gr.Error(f"No address is followed here, and {url[:60]!r} is one. Attach the file itself.")


def make_page(desk: Desk) -> gr.Blocks:
    """All tabs."""
    names = desk.shelf.names
    with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True) as blocks:
        gr.HTML(f"<h1>{TITLE}</h1>")
        model = gr.Dropdown(names, value=names[0], label="Model", filterable=False)
        with gr.Tabs():
            chat = ChatTab(desk, model)
            AttentionTab(desk, model)
            SamplingTab(desk, model)
            LensTab(desk, model)
            ExpertsTab(desk, model)
            TokensTab(desk)
            MachineTab(desk)
        told = [chat.note, chat.temperature]
        blocks.load(chat.about, model, told, show_progress="hidden", **PRIVATE)
        model.change(chat.about, model, told, show_progress="hidden", **PRIVATE)
    return blocks


def theme() -> gr.themes.Base:
    """Colors with enough contrast, and no font that has to be fetched."""
    hues = {"primary_hue": "blue", "secondary_hue": "blue", "neutral_hue": "slate"}
    return gr.themes.Default(**hues, font=FONTS, font_mono=MONO).set(
        color_accent="*primary_700",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_800",
        block_label_text_color="*neutral_700",
        block_title_text_color="*neutral_700",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        input_placeholder_color="*neutral_600",
        input_placeholder_color_dark="*neutral_300",
    )
