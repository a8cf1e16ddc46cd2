"""Run a learner's code without trusting it: it may hang, crash, print or change what it is given."""

import contextlib
import copy
import ctypes
import io
import linecache
import sysconfig
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from gemini_workshop.exercises.comparison import same

LIMIT_SECONDS = 10.0
PRINTED_LINES = 20
_LIBRARIES = tuple({str(Path(sysconfig.get_path(name)).resolve()) for name in ("stdlib", "purelib", "platlib")})
_PACKAGE = str(Path(__file__).resolve().parents[1])


class NotStarted(Exception):
    """The learner's function still raises NotImplementedError; the text is that error's."""


class CrashedError(Exception):
    """The learner's function raised; ``lines`` say where and why."""

    def __init__(self, lines: tuple[str, ...], cause: BaseException) -> None:
        super().__init__(*lines)
        self.lines = lines
        self.cause = cause


class UnfitAnswer(Exception):
    """The learner's code cannot be judged as it is; the text says why, and what is needed."""


class TimedOut(Exception):
    """The learner's function did not come back in time."""


class _Stop(BaseException):
    """Thrown into a thread that takes too long; not an Exception, so that ``except Exception`` lets it pass."""


class Attempt:
    """A learner's function, made safe to call.

    Every call gets copies of its arguments; what the first call prints is kept and the rest is dropped.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.printed: str | None = None
        self.changed_argument: int | None = None

    def __call__(self, *args: Any) -> Any:
        """Call the function.

        Raises:
            NotStarted: it raised NotImplementedError.
            UnfitAnswer: it is nothing that could be judged.
            CrashedError: it raised anything else.
        """
        output = io.StringIO()
        copies = copy.deepcopy(args)
        try:
            with contextlib.redirect_stdout(output):
                result = self.function(*copies)
            self.changed_argument = next(
                (i for i, (now, before) in enumerate(zip(copies, args, strict=True)) if not same(now, before)),
                None,
            )
            return result
        except UnfitAnswer:
            raise
        except (Exception, SystemExit) as error:
            if _is_gap(error):
                raise NotStarted(str(error)) from None
            raise CrashedError(describe_crash(error), error) from None
        finally:
            if self.printed is None:
                self.printed = _first_lines(output.getvalue())


def within(seconds: float, work: Callable[[], Any]) -> Any:
    """Run ``work`` in a thread of its own and give up on it after a while.

    Threads and not signals, so that it works on Windows too. A loop in Python is stopped; a call that never comes
    back from C is left behind in its daemon thread.

    Raises:
        TimedOut: the time was up.
    """
    result: list[Any] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            result.append(work())
        except _Stop:
            pass
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=run, name="check", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(_Stop))
        thread.join(1.0)
        raise TimedOut
    if failure:
        raise failure[0]
    return result[0]


def describe_crash(error: BaseException) -> tuple[str, ...]:
    """The learner's own line that led to an error, the error, and the shapes of the tensors on that line."""
    frames = [
        (frame, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if not _is_library(frame.f_code.co_filename)
    ]
    message = f"{type(error).__name__}: {' '.join(str(error).split())}"
    if not frames:
        return (message,)
    frame, number = frames[-1]
    source = linecache.getline(frame.f_code.co_filename, number).strip()
    lines = [f"Line {number}: `{source}`" if source else f"Line {number} of your cell", message]
    if shapes := _shapes_on_line(frame, source):
        lines.append(f"There: {shapes}")
    return tuple(lines)


def _first_lines(text: str) -> str:
    lines = text.splitlines()
    more = len(lines) - PRINTED_LINES
    return text if more <= 0 else "\n".join([*lines[:PRINTED_LINES], f"... and {more} lines more"])


def _is_gap(error: BaseException) -> bool:
    """Whether the learner's own ``raise NotImplementedError`` speaks; torch raises that error too."""
    if not isinstance(error, NotImplementedError):
        return False
    frame, line = list(traceback.walk_tb(error.__traceback__))[-1]
    source = linecache.getline(frame.f_code.co_filename, line).strip()
    return source.startswith("raise NotImplementedError") or str(error).endswith("your turn")


def _is_library(filename: str) -> bool:
    path = str(Path(filename).resolve()) if not filename.startswith("<") else filename
    return (
        path.startswith(_PACKAGE) or path.startswith("<") or (path.startswith(_LIBRARIES) and "ipykernel_" not in path)
    )


def _shapes_on_line(frame: FrameType, source: str) -> str:
    tensors = {
        name: value for name, value in frame.f_locals.items() if isinstance(value, torch.Tensor) and name in source
    }
    return " · ".join(f"{name} {tuple(value.shape)}" for name, value in tensors.items())
