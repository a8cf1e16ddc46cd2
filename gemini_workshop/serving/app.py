"""The routes: models, completions, chat completions, health and metrics."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from gemini_workshop.errors import WorkshopError, unknown_name
from gemini_workshop.reading import decode_text, shortened
from gemini_workshop.serving.answers import Answer
from gemini_workshop.serving.body import read_body
from gemini_workshop.serving.engine import Engine, Job
from gemini_workshop.serving.errors import Refusal
from gemini_workshop.serving.gate import Gate, as_response
from gemini_workshop.serving.metrics import Metrics
from gemini_workshop.serving.protocol import Body, ChatBody, CompletionBody, parse_body
from gemini_workshop.serving.served import Served
from gemini_workshop.serving.settings import MIB, ServerSettings
from gemini_workshop.serving.texts import texts_of

ROUTES = ("/v1/models", "/v1/completions", "/v1/chat/completions", "/health", "/metrics")
HUNG_UP = 499  # what nginx calls it; nobody reads it


class Service:
    """A model that is being served: reads requests, lets the engine write, and answers."""

    def __init__(self, served: Served, settings: ServerSettings) -> None:
        self.served, self.settings = served, settings
        self.engine = Engine(served.model, settings)
        self.metrics = Metrics(self.engine)
        self.started = int(time.time())

    async def health(self) -> dict[str, Any]:
        """Whether the server answers, and how busy it is."""
        engine = self.engine
        return {
            "status": "ok",
            "model": self.served.name,
            "running": engine.num_running,
            "waiting": len(engine.waiting),
        }

    async def page(self) -> Response:
        """The counters."""
        return Response(self.metrics.page(), media_type=CONTENT_TYPE_LATEST)

    async def models(self) -> dict[str, Any]:
        """The one model that there is."""
        return {"object": "list", "data": [self._model()]}

    async def model(self, name: str) -> dict[str, Any]:
        """What is known of a model."""
        self._check_model(name)
        return self._model()

    async def completions(self, request: Request) -> Response:
        """Continue texts."""
        return await self._answer(request, CompletionBody)

    async def chat_completions(self, request: Request) -> Response:
        """Continue a conversation."""
        return await self._answer(request, ChatBody)

    def _model(self) -> dict[str, Any]:
        about = {"id": self.served.name, "object": "model", "created": self.started, "owned_by": "gemini-from-scratch"}
        return about | {"max_model_len": self.served.context_tokens, "chat_format": self.served.format}

    def _check_model(self, name: str) -> None:
        if name != self.served.name:
            message = unknown_name("model", shortened(name), [self.served.name])
            raise Refusal(404, message, param="model", code="model_not_found")

    async def _answer(self, request: Request, kind: type[Body]) -> Response:
        body = parse_body(decode_text(await self._read(request), "The body"), kind)
        self._check_model(body.model)
        texts = await asyncio.to_thread(texts_of, body, self.served, self.settings)  # images and schemas take a while
        answer = Answer(body, self.served, self.engine.submit(texts))
        return Events(answer, self._finish) if body.stream else await self._whole(request, answer)

    async def _read(self, request: Request) -> bytes:
        return await read_body(request, self.settings.body_mib * MIB, self.settings.body_timeout)

    async def _whole(self, request: Request, answer: Answer) -> Response:
        """The whole answer, unless the client goes before that."""
        writing, going = asyncio.create_task(answer.whole()), asyncio.create_task(_gone(request))
        try:
            await asyncio.wait({writing, going}, return_when=asyncio.FIRST_COMPLETED)
            return JSONResponse(writing.result()) if writing.done() else Response(status_code=HUNG_UP)
        finally:
            writing.cancel()
            going.cancel()
            self._finish(answer.job)

    def _finish(self, job: Job) -> None:
        """Free what the job still holds, and count what it took."""
        job.close()
        self.metrics.prompt_tokens.inc(sum(len(text.row.prompt_ids) for text in job.texts))
        self.metrics.written_tokens.inc(sum(len(text.row.written.token_ids) for text in job.texts))
        if job.seconds_to_first is not None:
            self.metrics.first_token.observe(job.seconds_to_first)
        self.metrics.unfinished.inc(not all(text.row.has_ended for text in job.texts))


class Events(StreamingResponse):
    """An answer as it is written. However it ends, its job is finished then."""

    def __init__(self, answer: Answer, finish: Callable[[Job], None]) -> None:
        super().__init__(answer.events(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})
        self.job, self.finish = answer.job, finish

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events, until there are no more or the client goes."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self.finish(self.job)


def make_app(served: Served, settings: ServerSettings, host: str = "127.0.0.1") -> FastAPI:
    """The server as an ASGI application; its engine runs as long as it does.

    Args:
        host: the address that it will listen on.
    """
    service = Service(served, settings)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.engine.start()
        yield
        service.engine.stop()

    # FastAPI's own pages would load scripts from elsewhere, so they are off.
    app = FastAPI(title="gemini-workshop", lifespan=lifespan, openapi_url=None, redirect_slashes=False)
    app.add_api_route("/health", service.health)
    app.add_api_route("/metrics", service.page)
    app.add_api_route("/v1/models", service.models)
    app.add_api_route("/v1/models/{name}", service.model)
    app.add_api_route("/v1/completions", service.completions, methods=["POST"])
    app.add_api_route("/v1/chat/completions", service.chat_completions, methods=["POST"])
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(WorkshopError, _refused)
    app.add_exception_handler(HTTPException, _unknown_route)
    app.add_exception_handler(Exception, _failed)
    app.add_middleware(Gate, settings=settings, metrics=service.metrics, routes=set(ROUTES), host=host)
    return app


async def _gone(request: Request) -> None:
    """Return when the client has hung up."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _refused(_: Request, error: Exception) -> JSONResponse:
    return as_response(error if isinstance(error, Refusal) else Refusal(400, str(error)))


async def _unknown_route(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    message = f"{request.method} {shortened(request.url.path)} is not answered here ({error.detail}). "
    message += f"There are GET /v1/models, /health and /metrics, POST {ROUTES[1]} and {ROUTES[2]}."
    return as_response(Refusal(error.status_code, message, headers=error.headers))


async def _failed(_: Request, error: Exception) -> JSONResponse:
    del error  # its traceback is in the log
    return as_response(Refusal(500, "The request failed: an error of the server. Look at its log."))
