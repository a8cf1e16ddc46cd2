"""The routes of a room: what notebooks tell, and the instructor's page."""

import asyncio
import contextlib
import hmac
import math
import unicodedata
from collections.abc import AsyncIterator, Callable, Coroutine
from importlib.resources import files
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from pydantic import Field
from starlette.exceptions import HTTPException

from gemini_workshop.errors import WorkshopError
from gemini_workshop.exercises.core.verdict import Outcome
from gemini_workshop.reading import decode_text, shortened
from gemini_workshop.room.admission import Guesses, is_same
from gemini_workshop.room.state import MAX_LEARNERS, Full, Learner, Room
from gemini_workshop.serving.body import read_body
from gemini_workshop.serving.errors import Refusal
from gemini_workshop.serving.gate import as_response
from gemini_workshop.serving.protocol import Strict, parse_body
from gemini_workshop.serving.visitors import RateLimit

BODY_BYTES, BODY_SECONDS = 2048, 5.0
VERDICTS_PER_MINUTE = 120  # of one learner
NEW_PER_MINUTE = 120  # learners from one address, who may all be behind one router
NAME_CHARACTERS = 40
NOBODY = "guest"
PAGE = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Told(Strict):
    """What a notebook sends: who, and one verdict, or none when a learner joins."""

    code: Annotated[str, Field(max_length=60)]
    name: Annotated[str, Field(max_length=200)] = ""
    learner: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
    exercise: Annotated[str, Field(pattern=r"^\d\d\.\d{1,2}$")] | None = None
    outcome: Literal[Outcome.NOT_STARTED, Outcome.ERROR, Outcome.WRONG, Outcome.PASSED] | None = None
    mistake: Annotated[str, Field(max_length=200)] = ""


class Desk:
    """A room that is open: takes verdicts in, and shows them to whoever has the instructor's key.

    Args:
        code: what learners need to join.
        key: what the page needs.
        address: what learners type after ``--room``.
    """

    def __init__(self, room: Room, code: str, key: str, address: str) -> None:
        self.room, self.code, self.key, self.address = room, code, key, address
        self.guesses = Guesses()
        self.verdicts, self.newcomers = RateLimit(VERDICTS_PER_MINUTE), RateLimit(NEW_PER_MINUTE)

    async def tell(self, request: Request) -> dict[str, str]:
        """Take in what a notebook tells."""
        told = parse_body(decode_text(await read_body(request, BODY_BYTES, BODY_SECONDS), "The body"), Told)
        learner = self._admitted(told, (request.client or ("unknown",))[0])
        if told.exercise is not None and told.outcome is not None:
            self.room.note(learner, told.exercise, str(told.outcome), told.mistake)
        return {"name": learner.shown}

    def _admitted(self, told: Told, address: str) -> Learner:
        if told.learner not in self.room.learners:
            self._check_code(told.code, address)
            _wait(self.newcomers.seconds_to_wait(address), "Too many learners join at once.")
        _wait(self.verdicts.seconds_to_wait(told.learner), "Too many verdicts come from this notebook.")
        try:
            return self.room.admit(told.learner, readable(told.name))
        except Full:
            raise Refusal(503, f"The room is full: {MAX_LEARNERS} learners are in it. Open a second one.") from None

    def _check_code(self, code: str, address: str) -> None:
        _wait(self.guesses.seconds_to_wait(address), "Too many wrong codes were tried.")
        if not is_same(code, self.code):
            self.guesses.note(address)
            message = f"The code {shortened(code)!r} is not the code of this room. Ask the instructor, and try again."
            raise Refusal(403, message, code="wrong_code")

    async def state(self, request: Request) -> JSONResponse:
        """What the page shows, for the instructor alone."""
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not hmac.compare_digest(given.encode(), self.key.encode()):
            message = "This page is the instructor's. Open it by the address that gemini-workshop room has printed."
            raise Refusal(401, message, code="wrong_key", headers={"WWW-Authenticate": "Bearer"})
        join = {"address": self.address, "code": self.code}
        return JSONResponse({"join": join, **self.room.view()}, headers={"Cache-Control": "no-store"})


def _wait(seconds: float, reason: str) -> None:
    if seconds:
        after = math.ceil(seconds)
        raise Refusal(429, f"{reason} Try again in {after} seconds.", headers={"Retry-After": str(after)})


def readable(name: str) -> str:
    r"""A name as it is shown: one line, without signs that cannot be seen or turn the text around.

    Example:
        >>> readable("  Ada\n Lovelace "), readable("\u202e")
        ('Ada Lovelace', 'guest')
    """
    seen = "".join(" " if letter.isspace() else letter for letter in name)
    seen = "".join(letter for letter in seen if unicodedata.category(letter)[0] != "C")
    return " ".join(seen.split())[:NAME_CHARACTERS].rstrip() or NOBODY


def make_app(desk: Desk, beside: Callable[[], Coroutine[Any, Any, None]] | None = None) -> FastAPI:
    """The room as an ASGI application.

    Args:
        beside: runs as long as the room does.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(beside()) if beside else None
        yield
        if task:
            task.cancel()

    # FastAPI's own pages would load scripts from elsewhere, so they are off.
    app = FastAPI(title="gemini-workshop room", lifespan=lifespan, openapi_url=None, redirect_slashes=False)
    app.add_api_route("/tell", desk.tell, methods=["POST"])
    app.add_api_route("/state", desk.state)
    for path in PAGE:
        app.add_api_route(path, _page, methods=["GET", "HEAD"])
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(WorkshopError, _refused)
    app.add_exception_handler(HTTPException, _unknown_route)
    app.add_exception_handler(Exception, _failed)
    return app


async def _page(request: Request) -> Response:
    name, kind = PAGE[request.url.path]
    content = (files("gemini_workshop.room") / "page" / name).read_bytes()
    return Response(content, media_type=f"{kind}; charset=utf-8", headers=HEADERS)


async def _refused(_: Request, error: Exception) -> JSONResponse:
    return as_response(error if isinstance(error, Refusal) else Refusal(400, str(error)))


async def _unknown_route(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    message = f"{request.method} {shortened(request.url.path)} is not answered here ({error.detail}). Open / instead."
    return as_response(Refusal(error.status_code, message, headers=error.headers))


async def _failed(_: Request, error: Exception) -> JSONResponse:
    del error  # its traceback is in the log
    return as_response(Refusal(500, "The request failed: an error of the server. Look at its log."))
