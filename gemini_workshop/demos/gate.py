"""What stands before the Gradio app: which addresses are answered, which files are given out, and what a page may load.

Gradio has many more routes than this page uses, and gives files of its server to whoever names them well. So only what
the page uses is answered; files are those in one folder, to which visitors upload; and a request that names a file
elsewhere, or an address in the network, never reaches Gradio.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gemini_workshop.serving.visitors import host_of, is_loopback

MIB = 2**20
FILE = "/gradio_api/file="
READ: tuple[str, ...] = (
    "/config",
    "/theme.css",
    "/favicon.ico",
    "/manifest.json",
    "/robots.txt",
    "/logout",
    "/gradio_api/queue/data",
)
READ += ("/gradio_api/startup-events", "/gradio_api/upload_progress", "/gradio_api/login_check", "/gradio_api/user")
READ_BELOW = ("/assets/", "/static/", "/gradio_api/heartbeat/")
WRITE: tuple[str, ...] = ("/login", "/gradio_api/upload", "/gradio_api/cancel", "/gradio_api/reset")
ASKING = ("/gradio_api/queue/join", "/gradio_api/run/predict")
WRITE += ASKING
ASKING_MIB = 4  # a long chat is sent back with each turn
POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",  # Gradio starts, and runs our page.js, so
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "content-security-policy": POLICY,
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


class Gate:
    """Lets requests of the page through.

    Args:
        uploads: the only folder whose files are given out.
        host: the address that the server listens on. At one of this machine alone, only names of this machine are
            answered, so that no web page reaches it under a name of its own (DNS rebinding).
    """

    def __init__(self, app: ASGIApp, uploads: Path, host: str, upload_mib: int) -> None:
        self.app, self.uploads, self.is_local = app, uploads, is_loopback(host)
        self.most_bytes = dict.fromkeys(ASKING, ASKING_MIB * MIB) | {"/gradio_api/upload": (upload_mib + 1) * MIB}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is None and scope["path"] in ASKING:
            refusal, receive = await self._check_body(receive)
        app: ASGIApp = self.app if refusal is None else PlainTextResponse(refusal[1], refusal[0])
        await app(scope, receive, with_headers(send))

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        if scope["type"] != "http":
            return 403, "This page uses no web sockets."
        headers = Headers(scope=scope)
        if self.is_local and not is_loopback(host_of(headers.get("host", ""))):
            return 403, "This page answers to names of this machine alone. Use http://127.0.0.1."
        length = headers.get("content-length", "0")
        if int(length if length.isdecimal() else 0) > self.most_bytes.get(scope["path"], MIB):
            return 413, "The request is too large. Attach a smaller file, or begin a new chat."
        return None if self._is_used(scope["method"], scope["path"]) else (404, "There is nothing at this address.")

    def _is_used(self, method: str, path: str) -> bool:
        """Whether the page itself asks for this."""
        if method == "POST":
            return path in WRITE
        if method not in ("GET", "HEAD"):
            return False
        if path.startswith(FILE):
            return is_below(unquote(path.removeprefix(FILE)), self.uploads)
        return path == "/" or path in READ or (path.startswith(READ_BELOW) and ".." not in path)

    async def _check_body(self, receive: Receive) -> tuple[tuple[int, str] | None, Receive]:
        """Read what is asked, refuse files that nobody uploaded, and hand it on as if unread."""
        body, is_more = b"", True
        while is_more:
            message = await receive()
            body += message.get("body", b"")
            is_more = message.get("more_body", False) and len(body) <= ASKING_MIB * MIB
        if len(body) > ASKING_MIB * MIB:
            return (413, "The request is too large. Begin a new chat."), receive
        try:
            foreign = [path for path in paths_in(json.loads(body)) if not is_below(path, self.uploads)]
        except (ValueError, RecursionError):
            return (400, "The request is not JSON."), receive
        if foreign:
            return (403, "The request names a file that was not uploaded."), receive
        return None, replayed(body, receive)


def is_below(path: str, folder: Path) -> bool:
    """Whether a path, with all links followed, is a file inside a folder."""
    try:
        real = Path(os.path.realpath(path))
        return real.is_relative_to(os.path.realpath(folder)) and real.is_file()
    except (OSError, ValueError):
        return False


def paths_in(content: Any) -> Iterator[str]:
    """Every file that a request names, wherever in it.

    Example:
        >>> list(paths_in({"data": [[{"path": "/etc/passwd"}], {"text": "path"}]}))
        ['/etc/passwd']
    """
    if isinstance(content, dict):
        for name, value in content.items():
            if name == "path" and isinstance(value, str):
                yield value
            else:
                yield from paths_in(value)
    elif isinstance(content, list):
        for value in content:
            yield from paths_in(value)


def replayed(body: bytes, receive: Receive) -> Receive:
    """A request whose body was read already."""
    is_read = False

    async def again() -> Message:
        nonlocal is_read
        if is_read:
            return await receive()
        is_read = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def with_headers(send: Send) -> Send:
    """Answers say that the page loads nothing from elsewhere."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
        await send(message)

    return sending
