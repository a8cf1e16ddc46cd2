"""Run programs in a sandbox: give tasks to the server, read its verdicts, and clean up."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from gemini_workshop.errors import WorkshopError
from gemini_workshop.evaluation.sandbox.filters import compiled_filter

MIB = 2**20
ENDED = "the server of the sandbox ended"
FOLDER = str(Path(__file__).parents[1])
START = f"import sys; sys.path.insert(0, {FOLDER!r}); from sandbox.server import main; main()"


class SandboxError(WorkshopError):
    """A program cannot be run safely on this machine."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What a program may use.

    Args:
        seconds: by the clock, its tests included.
        cpu_seconds: of each of its processes.
        memory_bytes: address space of each of its processes, and on Linux memory in use by all of them together.
        processes: that it may have at a time, threads included.
        file_bytes: of each file.
        open_files: at a time, in each process.
        folder_bytes, folder_files: all that it can leave in its folder, which lies in memory.
        output_bytes: printed; more ends it.
        judge_bytes: address space of the judge.
        visible: folders that it may read, beyond Python and the system's libraries.
        hidden: folders below those that are empty in the jail.
    """

    seconds: float = 10.0
    cpu_seconds: int = 10
    memory_bytes: int = 512 * MIB
    processes: int = 8
    file_bytes: int = 8 * MIB
    open_files: int = 32
    folder_bytes: int = 32 * MIB
    folder_files: int = 256
    output_bytes: int = MIB // 4
    judge_bytes: int = 512 * MIB
    visible: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class ProgramOutcome:
    """What became of a program.

    Args:
        passed: whether all tests ran to their end without an objection.
        reason: why not, otherwise empty.
    """

    passed: bool
    reason: str
    seconds: float


class Sandbox:
    """Runs programs one after another, each in its own jail. Use it in a ``with``.

    It ends with the thread that made it, and serves one thread at a time. ``is_isolated`` says whether programs are in
    a jail, ``is_filtered`` whether a filter refuses the system calls that they do not need (it takes the extra
    ``sandbox`` and libseccomp).

    Args:
        command: what starts the server, its limits to be added; a bare Python, if left out.
        may_be_unsafe: run programs with limits only, if they cannot be isolated here.

    Raises:
        SandboxError: they cannot be isolated, and ``may_be_unsafe`` is False.
    """

    def __init__(
        self, limits: Limits | None = None, *, command: Sequence[str] = (), may_be_unsafe: bool = False
    ) -> None:
        self.limits = limits or Limits()
        self._command = command or _bare_python()
        self._folder = tempfile.TemporaryDirectory()
        os.chmod(self._folder.name, 0o711)
        self.is_isolated = sys.platform == "linux"
        self._filter = compiled_filter() if self.is_isolated else b""
        reason = f"{sys.platform} has no namespaces"
        if self.is_isolated:
            reason = self._try_to_start()
            self.is_isolated = not reason
        if reason and may_be_unsafe and os.name == "posix":
            reason = self._try_to_start()
        if reason:
            self._folder.cleanup()
            raise SandboxError(
                f"Programs cannot be isolated on this machine ({reason}). It takes Linux 5.14 or newer, and root or "
                "user namespaces; in a container, the permission for them. Run elsewhere, or pass --unsafe, which lets "
                "programs reach your files and the network (not on Windows)."
            )

    @property
    def is_filtered(self) -> bool:
        """Whether a filter of system calls is loaded in each jail."""
        return self.is_isolated and bool(self._filter)

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def run(self, program: str, tests: str, *, names: Sequence[str], preamble: str = "") -> ProgramOutcome:
        """Run a program in a jail, and tests against it outside.

        Args:
            program: source that nobody has read.
            tests: source that is trusted: assertions that call what ``names`` lists.
            names: of the program's functions and classes that the tests use. Arguments and results are copied.
            preamble: trusted source that the tests need, run before the names become the program's.

        Raises:
            SandboxError: this machine has no processes or memory left to isolate it.
        """
        began = time.monotonic()
        task = {"program": program, "tests": tests, "preamble": preamble, "names": list(names)}
        verdict, reason = self.judge(task)
        return ProgramOutcome(passed=verdict == "passed", reason=reason, seconds=time.monotonic() - began)

    def judge(self, task: dict[str, Any]) -> tuple[str, str]:
        """Let the server judge one task; return its verdict, and the reason.

        Raises:
            SandboxError: this machine has no processes or memory left to isolate it.
        """
        verdict, reason = self._verdict(task)
        if verdict == "not isolated":
            raise SandboxError(
                f"No jail could be built: {reason}. Are there free processes and memory? Use fewer workers."
            )
        return verdict, reason

    def close(self) -> None:
        """End the server."""
        self._server.communicate()
        self._folder.cleanup()

    def _try_to_start(self) -> str:
        """Start the server and run an empty program; return why that failed, or an empty text."""
        bounds = {
            **asdict(self.limits),
            "isolate": self.is_isolated,
            "filter": self._filter.hex(),
            "folder": self._folder.name,
            "processes_now": 0 if self.is_isolated else _processes_of_this_user(),
        }
        self._server = subprocess.Popen(
            [*self._command, json.dumps(bounds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=self._folder.name,
            env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
            start_new_session=True,
        )
        verdict, reason = self._verdict({"program": "", "tests": "", "preamble": "", "names": []})
        if verdict == "not isolated":
            self._server.communicate()
        return "" if verdict == "passed" else reason

    def _verdict(self, task: dict[str, Any]) -> tuple[str, str]:
        """The judge's line, then the server's, which ends the answer."""
        tasks, lines = self._server.stdin, self._server.stdout
        assert tasks is not None
        assert lines is not None
        try:
            tasks.write(json.dumps(task).encode() + b"\n")
            tasks.flush()
        except BrokenPipeError:
            return "not isolated", ENDED
        verdict, reason = "failed", ""
        for line in lines:
            kind, text = json.loads(line)
            if kind == "end":
                return (
                    verdict,
                    reason if verdict != "failed" else reason or text or "the tests ended before their verdict",
                )
            verdict, reason = kind, _on_one_line(text)
        return "not isolated", ENDED


def _bare_python() -> list[str]:
    python = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    return [python, "-I", "-S", "-X", "utf8", "-c", START]


def _on_one_line(text: str) -> str:
    """A text that a terminal prints as it is: whatever would move its cursor or end the line is spelled out."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def _processes_of_this_user() -> int:
    """As the kernel counts them for its limit: threads count too."""
    count = 0
    for process in psutil.process_iter(["uids", "num_threads"]):
        if process.info["uids"] and process.info["uids"].real == os.getuid():
            count += process.info["num_threads"] or 1
    return count
