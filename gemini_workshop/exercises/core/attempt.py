"""Run a learner's code without trusting it: it may crash, print, lie or change what it is given."""

import copy
import io
import os
import sys
from collections.abc import Callable
from threading import Thread, current_thread
from typing import Any, ClassVar
from weakref import WeakSet

import torch
from torch import Tensor

from gemini_workshop.exercises.core.comparison import same
from gemini_workshop.exercises.core.crash import describe_crash, gap_in, left_below, missing_forward
from gemini_workshop.exercises.core.plain import UnfitAnswer, is_a, message_of, plain, shown
from gemini_workshop.exercises.core.pristine import put_back

PRINTED_LINES, PRINTED_WIDTH = 20, 200
__all__ = ["Attempt", "CrashedError", "NotHere", "NotStarted", "Stopped", "UnfitAnswer", "forked"]

forked: list[int] = []  # the process that was made for this check


class NotStarted(Exception):
    """The learner's function still raises NotImplementedError; the text is that error's."""


class CrashedError(Exception):
    """The learner's function raised; ``lines`` say where and why."""

    def __init__(self, lines: tuple[str, ...], cause: BaseException) -> None:
        super().__init__(*lines)
        self.lines = lines
        self.cause = cause


class Stopped(BaseException):
    """Thrown into a thread that takes too long; not an Exception, so that ``except Exception`` lets it pass."""


class NotHere(BaseException):
    """The code cannot run in a forked process: it needs a GPU that the notebook has used."""


class Attempt:
    """A learner's function, made safe to call.

    Every call gets copies of its arguments; what the first call prints is kept and the rest is dropped.
    """

    given_up: ClassVar[WeakSet[Thread]] = WeakSet()  # their attempts may not go on

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.printed: str | None = None
        self.changed_argument: int | None = None

    def __call__(self, *args: Any) -> Any:
        """Call the function; its result comes back in plain types.

        Raises:
            NotStarted: it raised NotImplementedError.
            UnfitAnswer: it cannot be judged as it is.
            CrashedError: it raised anything else.
        """
        self._stop_if_given_up()
        copies = copy.deepcopy(args)
        result = self._run(copies)
        changed = (i for i, (now, before) in enumerate(zip(copies, args, strict=True)) if not same(now, before))
        self.changed_argument = next(changed, None)
        return plain(result, allow_meta=any(map(_is_meta, args)))

    def _run(self, args: tuple[Any, ...]) -> Any:
        output, before, here = _Beginning(), (sys.stdout, sys.stderr), os.getpid()
        try:
            try:
                sys.stdout = sys.stderr = output
                return self.function(*args)
            finally:
                self._stop_if_given_up()
                put_back()
                if os.getpid() != here:
                    os._exit(0)  # a process that the learner's code has started does not go on with the check
                if sys.stdout is output:  # else somebody has put it right: this call may come back late
                    sys.stdout = before[0]
                if sys.stderr is output:
                    sys.stderr = before[1]
                if self.printed is None:
                    self.printed = _first_lines(output.getvalue())
        except (UnfitAnswer, Stopped):
            raise
        except BaseException as error:
            if os.getpid() in forked and "forked subprocess" in message_of(error):
                raise NotHere from None
            if (gap := gap_in(error)) is not None:
                if sentence := left_below(error):
                    raise CrashedError((sentence,), error) from None
                raise NotStarted(gap) from None
            if sentence := missing_forward(error):
                raise UnfitAnswer(sentence) from None
            raise CrashedError(describe_crash(error), error) from None

    def _stop_if_given_up(self) -> None:
        """A call that comes back long after its check must not put anything back: the kernel has moved on."""
        if current_thread() in self.given_up:
            raise Stopped


def _is_meta(argument: Any) -> bool:
    """Whether an argument is on torch's device without numbers, or names it."""
    if is_a(argument, Tensor):
        return argument.is_meta
    if is_a(argument, list) or is_a(argument, tuple):
        return any(map(_is_meta, argument))
    return (is_a(argument, str) or is_a(argument, torch.device)) and "meta" in str(argument)


class _Beginning(io.StringIO):
    """What was printed, as far as anyone will read it."""

    def write(self, text: str) -> int:
        if self.tell() < 4 * PRINTED_LINES * PRINTED_WIDTH:
            super().write(text[: 4 * PRINTED_LINES * PRINTED_WIDTH])
        return len(text)


def _first_lines(text: str) -> str:
    lines = [shown(line, PRINTED_WIDTH) for line in text.splitlines()]
    more = len(lines) - PRINTED_LINES
    return "\n".join(lines if more <= 0 else [*lines[:PRINTED_LINES], f"... and {more} more lines"])
