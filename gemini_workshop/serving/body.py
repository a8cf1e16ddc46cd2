"""The body of a request, read within limits."""

import asyncio

from fastapi import Request

from gemini_workshop.reading import shortened
from gemini_workshop.serving.errors import Refusal


async def read_body(request: Request, max_bytes: int, seconds: float) -> bytes:
    """The body of a request, if it is JSON, not too large, and does not take too long.

    Raises:
        Refusal: it is not.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        message = f"The content type is {shortened(kind)!r}. Send JSON, with the header Content-Type: application/json."
        raise Refusal(415, message)
    content, num_bytes = bytearray(), 0
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                num_bytes += len(chunk)
                content = content + chunk if num_bytes <= max_bytes else bytearray()
    except TimeoutError:
        message = f"The body did not arrive in {seconds:g} seconds: {num_bytes:,} bytes came. Send it again."
        raise Refusal(408, message) from None
    if num_bytes > max_bytes:  # read to its end, so that the client listens when it is refused
        message = f"The body has {num_bytes:,} bytes, and at most {max_bytes:,} are read. Make it smaller."
        raise Refusal(413, message)
    return bytes(content)
