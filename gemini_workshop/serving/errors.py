"""Refusals in OpenAI's form: a status, a sentence for people, and a code for programs."""

from collections.abc import Mapping
from typing import Any

TYPES = {
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
    500: "server_error",
    503: "server_error",
    504: "timeout_error",
}
"""What OpenAI calls an error of a status; all others are invalid requests."""


class Refusal(Exception):
    """A request that gets no answer but a reason.

    Args:
        message: what is wrong, with the value; what is needed; what to do.
        param: the field that is wrong.
        code: one word for programs.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.param, self.code, self.headers = status, param, code, dict(headers or {})

    def body(self) -> dict[str, Any]:
        """The JSON that a client gets."""
        kind = TYPES.get(self.status, "invalid_request_error")
        return {"error": {"message": str(self), "type": kind, "param": self.param, "code": self.code}}
