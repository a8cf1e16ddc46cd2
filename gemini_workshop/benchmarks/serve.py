"""A server under load: many clients against one, a client that hangs up, and memory after many requests.

The server is a process of its own, and OpenAI's client asks it. Every request has a seed of its own, so what it gets
beside others can be compared with what it gets alone, text by text.
"""

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import psutil

from gemini_workshop.errors import WorkshopError
from gemini_workshop.tables import table

if TYPE_CHECKING:
    from openai import AsyncOpenAI

OPENINGS = ("Once upon a time", "The dragon was sad because", "One day, a big", "Lily and her mom", "Tom's dogs")
MUST, AIM = 3.0, 5.0  # times the tokens per second of one client
BESIDE = 8  # requests side by side while memory is watched
PATIENCE_SECONDS = 120
POLL_SECONDS = 0.005


def report(checkpoint: str = "stories-small", clients: int = 50, tokens: int = 64, requests: int = 1000) -> str:
    """Tables of the three measurements.

    Raises:
        WorkshopError: the server did not start.
    """
    with running_server(checkpoint, "--threads", "1") as (address, process):
        return asyncio.run(_measure(address, process, clients, tokens, requests))


@contextlib.contextmanager
def running_server(checkpoint: str, *options: str) -> Iterator[tuple[str, psutil.Process]]:
    """A server at any free port, in a process of its own: its address and the process.

    Raises:
        WorkshopError: it did not start.
    """
    command = [sys.executable, "-u", "-m", "gemini_workshop.cli.main", "serve", checkpoint, "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = next((line for line in process.stdout if " answers at " in line), "")
            if not line:
                raise WorkshopError(f"The server did not start: {' '.join(command)} ended. Its errors are above.")
            yield line.split(" answers at ")[1].split()[0], psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait(PATIENCE_SECONDS)


async def _measure(address: str, process: psutil.Process, clients: int, tokens: int, requests: int) -> str:
    from openai import AsyncOpenAI

    async with AsyncOpenAI(base_url=address, api_key="none", max_retries=0, timeout=PATIENCE_SECONDS) as client:
        (model,) = (await client.models.list()).data
        ask = _asker(client, model.id, tokens)
        await ask(0)  # whatever happens only once
        start = time.perf_counter()
        alone = [await ask(number) for number in range(clients)]
        middle = time.perf_counter()
        beside = await asyncio.gather(*(ask(number) for number in range(clients)), return_exceptions=True)
        end = time.perf_counter()
        load = _load_table(alone, beside, middle - start, end - middle)
        freed = await _seconds_to_free(client, model.id)
        ask_little, before = _asker(client, model.id, 2), 0
        for first in range(0, requests + requests // 4, BESIDE):
            if first <= requests // 4:
                before = process.memory_info().rss  # after a quarter of them, when all has been allocated
            await asyncio.gather(*(ask_little(first + number) for number in range(BESIDE)))
        grown = process.memory_info().rss - before
    rows = [
        ["a client that hangs up frees its place in", f"{freed:.3f} s"],
        [f"memory after {requests:,} requests", f"{grown / 2**20:+.1f} MiB of {before / 2**20:.0f}"],
    ]
    return f"{load}\n\n{table([['', ''], *rows], 'Hanging up, and memory')}"


def _asker(client: "AsyncOpenAI", model: str, tokens: int) -> Any:
    """A function that sends the request with a number, always the same one, and returns its text and its tokens."""

    async def ask(number: int) -> tuple[str, int]:
        said: Any = [{"role": "user", "content": OPENINGS[number % len(OPENINGS)]}]
        answer = await client.chat.completions.create(model=model, messages=said, max_tokens=tokens, seed=number)
        return answer.choices[0].message.content or "", answer.usage.completion_tokens if answer.usage else 0

    return ask


def _load_table(alone: Sequence[Any], beside: Sequence[Any], alone_seconds: float, beside_seconds: float) -> str:
    lost = sum(isinstance(answer, BaseException) for answer in beside)
    differing = len(alone) - lost - sum(one == other for one, other in zip(beside, alone, strict=True))
    num_tokens = sum(number for _, number in alone)
    ratio = alone_seconds / beside_seconds
    kept = "aim reached" if ratio >= AIM else "kept" if ratio >= MUST else "MISSED"
    rows = [
        ["requests, tokens", f"{len(alone)}, {num_tokens:,}"],
        ["one after the other, tokens/s", f"{num_tokens / alone_seconds:,.0f}"],
        ["all at once, tokens/s", f"{num_tokens / beside_seconds:,.0f}"],
        [f"times as fast (must {MUST:g}, aim {AIM:g})", f"{ratio:.2f} ({kept})"],
        ["lost", str(lost)],
        ["other than alone", str(differing)],
    ]
    return table([["", ""], *rows], "One client and many")


async def _seconds_to_free(client: "AsyncOpenAI", model: str) -> float:
    """Hang up in the middle of a long answer, and ask until no text is being written."""
    body: Any = {"model": model, "prompt": OPENINGS[0], "max_tokens": 100_000, "seed": 1}
    stream: Any = await client.completions.create(**body, stream=True)
    await anext(aiter(stream))
    await stream.close()
    start = time.perf_counter()
    while (await _health(client))["running"]:
        await asyncio.sleep(POLL_SECONDS)
    return time.perf_counter() - start


async def _health(client: "AsyncOpenAI") -> dict[str, Any]:
    address = str(client.base_url).removesuffix("/v1/") + "/health"
    return await client.get(address, cast_to=dict[str, Any])
