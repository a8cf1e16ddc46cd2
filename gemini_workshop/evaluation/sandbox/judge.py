"""The judge: runs the tests in a process of its own, and asks the program in its jail for answers.

The verdict cannot be forged. The program's only way out is a value for each call; it may answer what it likes, but to
pass it has to answer rightly. Comparing happens here, with Python's own ``==`` on plain values.
"""

import json
import os
import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any, BinaryIO

from .inside import from_json, to_json

REPLY_BYTES = 2**20
REASON_CHARACTERS = 300


class NotIsolated(Exception):
    """The jail could not be built."""


class ProgramError(Exception):
    """The program raised."""


class Ended(BaseException):
    """The program has ended; no test may catch this."""


class Program:
    """The judge's connection to the program.

    Args:
        run: what a new process does to become the program; it answers on its standard streams.
        output_bytes: what the program may print.
    """

    def __init__(self, run: Callable[[], None], output_bytes: int) -> None:
        self.process, self.requests, self.replies, self.printed = _start(run)
        self.output_bytes = output_bytes
        self.output = b""
        self.has_flooded = False
        self.remotes: dict[int, Remote] = {}
        self.reader = threading.Thread(target=self._read_output, daemon=True)
        self.reader.start()

    def wait_until_ready(self) -> None:
        """Return when the jail is ready; nothing of the program has run by then."""
        if self.replies.readline(100) != b"ready\n":
            self.reader.join()
            raise NotIsolated(self.output.decode(errors="replace").strip())

    def ask(self, *request: Any) -> Any:
        """Send a request, wait for the value."""
        try:
            self.requests.write(json.dumps(request).encode() + b"\n")
            self.requests.flush()
            line = self.replies.readline(REPLY_BYTES)
        except BrokenPipeError:
            line = b""
        if not line:
            raise Ended(self._ending())
        try:
            reply = json.loads(line)
            value = from_json(reply["value"], self._remote) if "value" in reply else None
            error = reply.get("error")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise Ended("sent an answer that cannot be read") from None
        if error is not None:
            raise ProgramError(str(error))
        return value

    def _remote(self, place: int) -> "Remote":
        return self.remotes.setdefault(place, Remote(self, place))

    def _ending(self) -> str:
        _, status = os.waitpid(self.process, 0)
        self.reader.join(1.0)
        if self.has_flooded:
            return f"printed more than {self.output_bytes:,} bytes"
        code = os.waitstatus_to_exitcode(status)
        number = -code if code < 0 else code - 128
        return f"was ended by signal {number}" if number > 0 else "ended by itself"

    def _read_output(self) -> None:
        while chunk := os.read(self.printed, 65536):
            self.output += chunk
            if len(self.output) > self.output_bytes:
                self.has_flooded = True
                os.kill(self.process, 9)
                return


class Remote:
    """Something of the program that is not a plain value: a function, an object of its own class, an iterator.

    Two of them are equal if the program says so, as in Python. A value of the tests is equal to none of them: of that,
    the program's own ``==`` is never asked.
    """

    def __init__(self, program: Program, place: int) -> None:
        object.__setattr__(self, "_program", program)
        object.__setattr__(self, "_content", {"kept": place})

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Call it in the jail."""
        return self._program.ask("call", self._content, _sent(list(arguments)), _sent(options))

    def __getattr__(self, name: str) -> Any:
        return self._program.ask("get", self._content, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._program.ask("set", self._content, name, _sent(value))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Remote):
            return False
        return self._program.ask("equal", self._content, object.__getattribute__(other, "_content")) is True

    def __hash__(self) -> int:
        return int(self._program.ask("hash", self._content))

    def __iter__(self) -> Any:
        return iter(self._program.ask("list", self._content))


def _sent(value: Any) -> Any:
    """A value of the tests as JSON; what is the program's own goes back by its number."""

    def place(kept: Any) -> int:
        if isinstance(kept, Remote):
            return object.__getattribute__(kept, "_content")["kept"]
        raise TypeError(f"a test gives the program a {type(kept).__name__}, which cannot travel")

    return to_json(value, place)


def judge(program: Program, task: dict[str, Any]) -> tuple[str, str]:
    """Run the program, then the tests against it.

    Returns:
        The verdict: passed, failed or not isolated, and the reason.
    """
    module = ModuleType("tests")
    sys.modules["tests"] = module
    space = vars(module)
    try:
        program.wait_until_ready()
        program.ask("run", task["program"])
        _execute(task["preamble"], space)
        space.update({name: program.ask("name", name) for name in task["names"]})
        _execute(task["tests"], space)
    except NotIsolated as error:
        return "not isolated", str(error)
    except Ended as error:
        return "failed", f"the program {error}"
    except ProgramError as error:
        return "failed", f"the program raised {error}"
    except BaseException as error:
        return "failed", _objection(error, task["tests"])
    return "passed", ""


def _execute(source: str, space: dict[str, Any]) -> None:
    exec(compile(source, "tests", "exec"), space)  # noqa: S102  # the data set's own tests, from a checked file


def _objection(error: BaseException, tests: str) -> str:
    """The tests' objection, with its line."""
    lines, place, trace = tests.splitlines(), 0, error.__traceback__
    while trace:
        if trace.tb_frame.f_code.co_filename == "tests":
            place = trace.tb_lineno
        trace = trace.tb_next
    line = lines[place - 1].strip() if 0 < place <= len(lines) else ""
    return ": ".join(filter(None, (type(error).__name__, str(error), line)))


def _start(run: Callable[[], None]) -> tuple[int, BinaryIO, BinaryIO, int]:
    """Fork a process with three pipes for its standard streams and nothing else open."""
    (theirs, requests), (replies, mine), (printed, third) = os.pipe(), os.pipe(), os.pipe()
    process = os.fork()
    if process == 0:
        for number, end in enumerate((theirs, mine, third)):
            os.dup2(end, number)
        os.closerange(3, 65536)
        try:
            run()
        finally:
            os._exit(0)
    for end in (theirs, mine, third):
        os.close(end)
    return process, os.fdopen(requests, "wb"), os.fdopen(replies, "rb"), printed
