"""The instructor's room, told what a check said, where a learner has joined one (``lab --room``).

What is sent: the exercise, one of the five outcomes, and the name of the mistake that was recognized. Never code, and
never what it printed. No check waits for it: a thread sends what stands in a short queue, and what cannot be sent
within some minutes is forgotten.
"""

import atexit
import http.client
import json
import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

from gemini_workshop.errors import WorkshopError
from gemini_workshop.exercises.core.verdict import Outcome, Verdict
from gemini_workshop.files import write_atomically
from gemini_workshop.paths import home
from gemini_workshop.reading import shortened

VARIABLE = "GEMINI_WORKSHOP_ROOM"
"""Set by ``lab --room`` for the notebooks that it opens, and by nothing else."""
DEFAULT_PORT = 8765
TIMEOUT_SECONDS = 4.0
RETRY_SECONDS = 20.0
PATIENCE_SECONDS = 600.0  # then what waits is forgotten
MAX_WAITING = 100
LAST_SECONDS = 1.0  # that a notebook waits at its end for what is still to be sent
ANSWER_BYTES = 2**14
Report = dict[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Seat:
    """A learner's place in a room.

    Args:
        address: host and port.
        learner: what tells two learners of one name apart: random, new for each room.
    """

    address: str
    code: str
    name: str
    learner: str


class Busy(OSError):
    """The room cannot take it now."""


def take_seat(address: str, code: str, name: str) -> Seat:
    """The place of this learner in a room: the same one after a restart.

    Raises:
        WorkshopError: the address cannot be one.
    """
    seat = Seat(address=host_and_port(address), code=code, name=name, learner=secrets.token_hex(16))
    path = home() / "room.json"
    with suppress(OSError, ValueError, TypeError):
        before = Seat(**json.loads(path.read_bytes()))
        if (before.address, before.code) == (seat.address, seat.code):
            seat = Seat(**asdict(seat) | {"learner": before.learner})
    with suppress(OSError):
        write_atomically(path, json.dumps(asdict(seat)).encode())
    return seat


def host_and_port(address: str) -> str:
    """An address as people type it, made whole.

    Raises:
        WorkshopError: it cannot be one.

    Example:
        >>> host_and_port("192.168.1.20"), host_and_port("http://192.168.1.20:9000/")
        ('192.168.1.20:8765', '192.168.1.20:9000')
    """
    try:
        parts = urlsplit(address if "//" in address else f"//{address}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.scheme not in ("", "http") or any(letter.isspace() for letter in host):
        raise WorkshopError(
            f"{shortened(address)!r} is not the address of a room. Write it as the instructor's page shows it, such as "
            f"192.168.1.20:{DEFAULT_PORT}."
        )
    return f"{f'[{host}]' if ':' in host else host}:{port or DEFAULT_PORT}"


def send(seat: Seat, report: Report | None = None) -> Report:
    """Tell the room one verdict, or only that the learner is here; return how it calls the learner.

    Raises:
        WorkshopError: the room refuses; the message says why.
        OSError: it does not answer, or is busy.
    """
    body = json.dumps({"code": seat.code, "name": seat.name, "learner": seat.learner} | (report or {}))
    connection = http.client.HTTPConnection(seat.address, timeout=TIMEOUT_SECONDS)  # never through a proxy
    try:
        connection.request("POST", "/tell", body, {"Content-Type": "application/json"})
        with connection.getresponse() as response:
            return _understood(response.status, response.read(ANSWER_BYTES))
    except http.client.HTTPException as error:
        raise OSError(f"it answers, but is not a room ({type(error).__name__})") from None
    finally:
        connection.close()


def _understood(status: int, content: bytes) -> Report:
    try:
        answer = json.loads(content)
        if status == http.HTTPStatus.OK:
            return {"name": str(answer["name"])}
        said = str(answer["error"]["message"])
    except (ValueError, KeyError, TypeError):
        raise OSError(f"it answers, but is not a room (status {status})") from None
    if status in (http.HTTPStatus.TOO_MANY_REQUESTS, http.HTTPStatus.SERVICE_UNAVAILABLE):
        raise Busy(said)
    raise WorkshopError(said)


def why(error: OSError) -> str:
    """An error of the network in a few words."""
    return error.strerror or str(error) or type(error).__name__


class Sender:
    """Sends verdicts in the background, in order.

    Args:
        deliver: sends one; see :func:`send`.

    Attributes:
        trouble: a sentence about the last try, empty if it went well.
    """

    def __init__(self, seat: Seat, deliver: Callable[[Seat, Report], object] = send) -> None:
        self.seat, self.deliver = seat, deliver
        self.trouble = ""
        self._waiting: deque[Report] = deque(maxlen=MAX_WAITING)  # a new one pushes out the oldest
        self._wake = threading.Event()
        self._num_put = self._num_done = 0
        self._since: float | None = None
        self._has_told = False
        threading.Thread(target=self._run, name="room", daemon=True).start()
        atexit.register(self.finish)

    def put(self, report: Report) -> None:
        """Send it as soon as possible; return at once."""
        self._num_put += 1
        self._waiting.append(report)
        self._wake.set()

    def new_trouble(self) -> str:
        """The trouble, the first time that it is asked for."""
        if not self.trouble or self._has_told:
            return ""
        self._has_told = True
        return self.trouble

    def finish(self, seconds: float = LAST_SECONDS) -> None:
        """Wait a moment for what is still to be sent, if the room was there the last time."""
        end = time.monotonic() + seconds
        while self._num_done < self._num_put and not self.trouble and time.monotonic() < end:
            time.sleep(0.01)

    def _run(self) -> None:
        while True:
            self._wake.wait(RETRY_SECONDS if self._waiting else None)
            self._wake.clear()
            self._send_waiting()

    def _send_waiting(self) -> None:
        while self._waiting:
            report = self._waiting.popleft()
            try:
                self.deliver(self.seat, report)
            except WorkshopError as refusal:
                self.trouble = f"(The instructor's room refuses your verdicts: {refusal} Your checks work as before.)"
            except Exception as error:  # whatever it is, no notebook ends because of it
                self._keep(report, why(error) if isinstance(error, OSError) else type(error).__name__)
                return
            else:
                self.trouble, self._since = "", None
            self._num_done += 1

    def _keep(self, report: Report, reason: str) -> None:
        """Try again later, for some minutes."""
        now = time.monotonic()
        self._since = self._since or now
        self.trouble = (
            f"(The instructor's room at {self.seat.address} does not answer: {reason}. Your checks work as before, and "
            "your progress is saved.)"
        )
        if now - self._since > PATIENCE_SECONDS:
            self._waiting.clear()
            self._since = None
        elif len(self._waiting) < MAX_WAITING:
            self._waiting.appendleft(report)


_senders: dict[str, Sender | None] = {}


def tell(verdict: Verdict) -> str:
    """Tell the room, if there is one, and return at once: with a sentence where the learner should know something."""
    seat = os.environ.get(VARIABLE)
    if not seat or verdict.outcome == Outcome.NOT_YOURS:
        return ""
    if seat not in _senders:
        _senders[seat] = _sender(seat)
    sender = _senders[seat]
    if sender is None:
        return ""
    sender.put({"exercise": verdict.exercise_id, "outcome": str(verdict.outcome), "mistake": verdict.mistake or ""})
    return sender.new_trouble()


def _sender(seat: str) -> Sender | None:
    """None where the variable holds something else, or no thread can be had."""
    try:
        return Sender(Seat(**json.loads(seat)))
    except (ValueError, TypeError, RuntimeError):
        return None


def as_variable(seat: Seat) -> str:
    """What notebooks read from the environment."""
    return json.dumps(asdict(seat))
