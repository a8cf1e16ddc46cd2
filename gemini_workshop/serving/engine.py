"""One thread that writes all texts of all requests side by side.

Requests come from the event loop of the server, and pieces of text go back to it:

    job = engine.submit(texts)
    async for piece in job.pieces(): ...
    job.close()                              frees its rows before the next token, if it has not ended
"""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence

from gemini_workshop.errors import WorkshopError
from gemini_workshop.generation.batching import ContinuousBatch, Row
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.serving.errors import Refusal
from gemini_workshop.serving.settings import ServerSettings
from gemini_workshop.serving.texts import Piece, Text

logger = logging.getLogger(__name__)
RETRY_SECONDS = 1


class Job:
    """A request on its way: its texts, and the pieces that have been written and not been sent.

    Attributes:
        seconds_to_first: how long the first piece took, once it is there.
    """

    def __init__(self, texts: Sequence[Text], cancel: Callable[["Job"], None], seconds: float) -> None:
        self.texts, self.cancel = list(texts), cancel
        self.began = time.monotonic()
        self.seconds_to_first: float | None = None
        self.queue: asyncio.Queue[Piece | Refusal] = asyncio.Queue()
        self.timer = asyncio.get_running_loop().call_later(seconds, self._expire, seconds)

    async def pieces(self) -> AsyncIterator[Piece]:
        """What is written, as it is written, until every text has ended.

        Raises:
            Refusal: a text cannot be continued, or the request takes too long.
        """
        num_open = len(self.texts)
        while num_open:
            piece = await self.queue.get()
            if self.seconds_to_first is None:
                self.seconds_to_first = time.monotonic() - self.began
            if isinstance(piece, Refusal):
                raise piece
            if piece.error is not None:
                raise piece.error
            num_open -= piece.finish_reason is not None
            yield piece

    def close(self) -> None:
        """Nobody waits for more: free the rows that have not ended."""
        self.timer.cancel()
        self.cancel(self)

    def _expire(self, seconds: float) -> None:
        message = f"The request took more than {seconds:g} seconds, which is all that it has. Ask for fewer tokens."
        self.queue.put_nowait(Refusal(504, message, code="timeout"))


class Engine:
    """Rows of many requests in one batch, and requests that wait for a place in it.

    Attributes:
        waiting: texts that have no place yet, in the order in which they came.
    """

    def __init__(self, model: Transformer, settings: ServerSettings) -> None:
        self.model, self.settings = model, settings
        self.batch = ContinuousBatch(model)
        self.waiting: deque[Text] = deque()
        self._running: dict[Row, tuple[Text, Job]] = {}
        self._unwanted: set[Row] = set()
        self._changed = threading.Condition()
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._loop = asyncio.get_running_loop()
        self._job_of: dict[Text, Job] = {}
        self._thread.start()

    def stop(self) -> None:
        """End after the current token."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify()
        self._thread.join()

    def submit(self, texts: Sequence[Text]) -> Job:
        """Let texts wait for places.

        Raises:
            Refusal: too many wait already.
        """
        with self._changed:
            if len(self.waiting) + len(texts) > self.settings.max_waiting:
                message = f"{len(self.waiting)} texts wait already, and {self.settings.max_waiting} may. Try again."
                raise Refusal(503, message, code="overloaded", headers={"Retry-After": str(RETRY_SECONDS)})
            job = Job(texts, self._cancel, self.settings.timeout)
            self.waiting.extend(texts)
            self._job_of.update(dict.fromkeys(texts, job))
            self._changed.notify()
        return job

    @property
    def num_running(self) -> int:
        """Texts that have a place."""
        return len(self._running)

    def _cancel(self, job: Job) -> None:
        with self._changed:
            for text in job.texts:
                if self._job_of.pop(text, None) is not None:
                    self.waiting.remove(text)
                elif text.row in self._running:
                    self._unwanted.add(text.row)

    def _run(self) -> None:
        while self._admit():
            try:
                stepped = self.batch.step()
            except Exception as error:
                logger.exception("A step of the batch failed.")
                self._fail(error)
                continue
            self._put([(job, piece) for text, job in self._take(stepped) if (piece := text.next_piece())])

    def _admit(self) -> bool:
        """Wait until there is something to do; let rows leave and join. False when the engine is stopped."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_stopping or self.waiting or self._running)
            if self._is_stopping:
                return False
            unwanted, self._unwanted = self._unwanted, set()
            for row in unwanted:
                self._running.pop(row, None)
            joining = []
            while self.waiting and len(self._running) < self.settings.max_rows:
                text = self.waiting.popleft()
                self._running[text.row] = text, self._job_of.pop(text)
                joining.append(text.row)
        self.batch.remove(unwanted)
        self.batch.add(joining)
        return True

    def _take(self, stepped: Sequence[Row]) -> list[tuple[Text, Job]]:
        """The texts of rows; those that have ended give up their places."""
        with self._changed:
            found = [self._running[row] for row in stepped]
            for row in stepped:
                if row.has_ended:
                    del self._running[row]
        return found

    def _fail(self, error: Exception) -> None:
        """Nothing is known of a batch whose step failed: all its texts end, and the next ones get a new one."""
        self.batch = ContinuousBatch(self.model)
        with self._changed:
            jobs = {job for _, job in self._running.values()}
            self._running.clear()
        known = isinstance(error, WorkshopError)
        message = str(error) if known else "The text could not be continued: an error of the server. Look at its log."
        self._put([(job, Refusal(500, message)) for job in jobs])

    def _put(self, found: Sequence[tuple[Job, Piece | Refusal]]) -> None:
        """Hand pieces to the server's own thread, unless the server has ended."""

        def put() -> None:
            for job, piece in found:
                job.queue.put_nowait(piece)

        if found and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(put)
