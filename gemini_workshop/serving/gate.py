"""Before a request is read: does it come from where it should, with a key, and not too often?"""

import hmac
import math
import time
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gemini_workshop.reading import shortened
from gemini_workshop.serving.errors import Refusal
from gemini_workshop.serving.metrics import Metrics
from gemini_workshop.serving.settings import ServerSettings
from gemini_workshop.serving.visitors import RateLimit, host_of, is_loopback


class Gate:
    """What stands before all routes, and counts the answers.

    Args:
        routes: those that are counted by name.
        host: the address that the server listens on. At one of this machine alone, only names of this machine are
            answered, so that no web page reaches the server under a name of its own (DNS rebinding).
    """

    def __init__(self, app: ASGIApp, settings: ServerSettings, metrics: Metrics, routes: set[str], host: str) -> None:
        self.app, self.metrics, self.routes = app, metrics, routes
        self.keys = [key.encode() for key in settings.keys]
        self.limit = None if settings.rate is None else RateLimit(settings.rate)
        self.is_local = is_loopback(host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.monotonic(), 0

        async def counted(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            self._check(scope)
            await self.app(scope, receive, counted)
        except Refusal as refusal:
            await as_response(refusal)(scope, receive, counted)
        finally:
            path = scope["path"]
            route = path if path in self.routes else "/v1/models" if path.startswith("/v1/models/") else "other"
            self.metrics.requests.labels(route, str(status or "gone")).inc()
            self.metrics.seconds.labels(route).observe(time.monotonic() - started)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        if self.is_local and not is_loopback(host_of(headers.get("host", ""))):
            raise Refusal(
                403,
                f"The request is for {shortened(headers.get('host', ''))!r}, and this server answers to names of this "
                "machine alone. Use http://127.0.0.1, or start it with --host.",
            )
        key = self._key(headers)
        if self.limit is not None and scope["method"] == "POST":
            client = key or (scope.get("client") or ("unknown",))[0]
            if wait := self.limit.seconds_to_wait(client):
                message = f"More than {self.limit.per_minute} requests came in a minute. Wait {wait:.1f} seconds."
                after = {"Retry-After": str(math.ceil(wait))}
                raise Refusal(429, message, code="rate_limit_exceeded", headers=after)

    def _key(self, headers: Headers) -> str:
        """The key that came with the request, if one is needed."""
        if not self.keys:
            return ""
        kind, _, given = headers.get("authorization", "").partition(" ")
        found = [hmac.compare_digest(given.encode(), key) for key in self.keys]  # all: the time says nothing
        if kind.lower() == "bearer" and any(found):
            return given
        message = "The key is missing or wrong. Send one that this server knows: Authorization: Bearer KEY."
        raise Refusal(401, message, code="invalid_api_key", headers={"WWW-Authenticate": "Bearer"})


def as_response(refusal: Refusal) -> JSONResponse:
    """A refusal as the answer to a request."""
    content: Any = refusal.body()
    return JSONResponse(content, refusal.status, refusal.headers)
