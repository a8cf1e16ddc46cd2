"""Run something in a process of its own, so that nothing it does can reach the notebook.

The process is forked: it knows all that the notebook has defined, starts in a few milliseconds, and may hang, crash
or be killed. Where that is impossible (Windows; macOS, whose libraries do not survive it; torch that has used a GPU)
the work runs in a thread, which can be given up on but not killed.
"""

import ctypes
import faulthandler
import gc
import os
import selectors
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress

import torch

from gemini_workshop.exercises.core.attempt import Attempt, NotHere, Stopped, forked
from gemini_workshop.exercises.core.crash import where_it_is
from gemini_workshop.exercises.core.pristine import leave_names

MEMORY_BYTES = 4 * 2**30  # beyond what the notebook has already
GRACE_SECONDS = 1.0  # to say where it hangs
_RESULT, _LATE, _UNFIT, _FAILED, _CHANGED = b"R", b"L", b"U", b"F", b"C"
Work = Callable[[], bytes]


class TimedOut(Exception):
    """The work did not come back in time; the text is the line of the learner's that was running, if known."""


class Died(Exception):
    """The process ended before the work was done; the text says how."""


def isolated(work: Work, seconds: float) -> bytes:
    """What ``work`` returns.

    Raises:
        TimedOut: the time was up.
        Died: its process came to an end.
    """
    if sys.platform == "linux":
        with suppress(NotHere, OSError):
            return _in_a_process(work, seconds)
    return _in_a_thread(work, seconds)


def _in_a_process(work: Work, seconds: float) -> bytes:
    """In haste first: if the work has changed what a name means, it is done again, with names put back at each call."""
    kind, payload = _asked(work, seconds, in_haste=True)
    if kind == _CHANGED:
        kind, payload = _asked(work, seconds, in_haste=False)
    if kind == _UNFIT:
        raise NotHere
    if kind == _LATE:
        raise TimedOut(payload.decode())
    return payload


def _asked(work: Work, seconds: float, *, in_haste: bool) -> tuple[bytes, bytes]:
    """What a new process says in the end: a kind and a payload."""
    reading, writing = os.pipe()
    try:
        try:
            child = _forked(lambda: _child(work, seconds, writing, in_haste))
        finally:
            os.close(writing)
        try:
            kind, payload = _received(reading, time.monotonic() + seconds + GRACE_SECONDS)
            if kind == _FAILED:
                raise EOFError
        except EOFError:
            raise Died(_how_it_ended(child)) from None
        finally:
            _end(child)
    finally:
        os.close(reading)
    return kind, payload


def _forked(work: Callable[[], None]) -> int:
    """The number of a new process that does this work. Ctrl-C waits until it has begun."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # other threads may hold locks: we take none of them
            child = os.fork()
            if child == 0:
                work()
        return child
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _child(work: Work, seconds: float, writing: int, in_haste: bool) -> None:
    """All that the new process does. It leaves by ``os._exit``: nothing of the notebook is cleaned up twice."""
    sending = threading.Lock()
    pid, send_exit = os.getpid(), os._exit
    is_changed = leave_names() if in_haste else lambda: False

    def send(kind: bytes, payload: bytes = b"") -> None:
        if is_changed():
            kind, payload = _CHANGED, b""
        if os.getpid() == pid and sending.acquire(blocking=False):
            message = kind + len(payload).to_bytes(8, "big") + payload
            while message:
                message = message[os.write(writing, message) :]
        send_exit(0)

    try:
        _settle_in()
        main = threading.get_ident()
        where = lambda: where_it_is(sys._current_frames()[main], _child.__code__)  # noqa: E731
        late = threading.Timer(seconds, lambda: send(_LATE, where().encode()))
        late.daemon = True
        late.start()
        send(_RESULT, work())
    except NotHere:
        send(_UNFIT)
    except BaseException:
        send(_FAILED)
    finally:
        send_exit(1)


def _settle_in() -> None:
    """Let go of the notebook's terminal, threads and signals, and keep to a limit of memory.

    Raises:
        NotHere: torch cannot compute gradients here, since it has used a GPU before.
    """
    import resource

    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.disable()
    gc.freeze()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    sys.stdout = sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (closed with the process)
    for kind, most in ((resource.RLIMIT_AS, _address_bytes() + MEMORY_BYTES), (resource.RLIMIT_CORE, 0)):
        hard = resource.getrlimit(kind)[1]
        resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
    forked.append(os.getpid())
    torch.set_num_threads(1)  # the others stayed behind
    try:
        torch.ones((), requires_grad=True).backward()
    except RuntimeError:
        raise NotHere from None


def _address_bytes() -> int:
    """The address space in use; 0 where no file says so: a jail has none, and a limit of its own."""
    import resource

    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except FileNotFoundError:
        return 0


def _received(reading: int, deadline: float) -> tuple[bytes, bytes]:
    """One message: its kind and its payload.

    Raises:
        EOFError: no whole message comes any more.
        TimedOut: the time was up, and the other process could not even say where it hangs.
    """
    message = b""
    with selectors.DefaultSelector() as selector:
        selector.register(reading, selectors.EVENT_READ)
        while len(message) < 9 or len(message) < 9 + int.from_bytes(message[1:9], "big"):
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise TimedOut
            piece = os.read(reading, 2**16)
            if not piece:
                raise EOFError
            message += piece
    return message[:1], message[9:]


def _how_it_ended(child: int) -> str:
    for _ in range(100):
        if status := os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            break
        time.sleep(0.01)
    else:
        return "It closed the files of its process."
    if status.si_code == os.CLD_EXITED:
        return "It called `os._exit`, or closed the files of its process."
    name = signal.Signals(status.si_status).name
    return {
        "SIGSEGV": "That was a segmentation fault: memory was read or written that does not belong to it.",
        "SIGKILL": "The system killed it, perhaps because memory ran out.",
    }.get(name, f"The signal was {name}.")


def _end(child: int) -> None:
    """End the process, and all that it has started."""
    for kill in (os.killpg, os.kill):
        with suppress(ProcessLookupError, PermissionError):
            kill(child, signal.SIGKILL)
    with suppress(ChildProcessError):
        os.waitpid(child, 0)


def _in_a_thread(work: Work, seconds: float) -> bytes:
    """The same in a thread. A loop in Python is stopped; a call that never comes back from C is left behind."""
    results: list[bytes] = []
    failures: list[BaseException] = []
    ended = threading.Event()  # Thread.join, interrupted by Ctrl-C, counts a thread as ended that still runs

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:
            failures.append(error)
        finally:
            ended.set()

    thread = threading.Thread(target=run, name="check", daemon=True)
    thread.start()
    try:
        if not ended.wait(seconds):
            raise TimedOut(where_it_is(sys._current_frames().get(thread.ident or 0)))
    finally:
        if not ended.is_set():
            _give_up_on(thread, ended)
    if failures:
        raise failures[0]
    return results[0]


def _give_up_on(thread: threading.Thread, ended: threading.Event) -> None:
    Attempt.given_up.add(thread)
    for _ in range(20):
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(Stopped))
        if ended.wait(0.05):
            return
