"""One bare Python that judges one program after another, each in processes of its own.

    python -I -S -c "... from sandbox.server import main; main()" LIMITS

Each line on standard input is a task, each line on standard output a verdict. The server itself reads no task: it forks
a judge, which does. So the jail, a child of that judge made before the judge reads, has never seen a test.
"""

import contextlib
import json
import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any

from . import inside, jail, judge

ORPHANS_SECONDS = 5.0


def main() -> None:
    """Serve until standard input ends."""
    limits = json.loads(sys.argv[1])
    if sys.platform == "linux":
        jail.die_with_parent()
        jail.adopt_orphans()
    while True:
        select.select([0], [], [])
        verdict = judged(limits)
        if not verdict:
            return
        os.write(1, verdict)


def judged(limits: dict[str, Any]) -> bytes:
    """The verdict on the next task, as a line; nothing if there are no more tasks."""
    verdicts, mine = os.pipe()
    child = os.fork()
    if child == 0:
        os.setsid()  # so that it can be killed with all that come of it
        os.write(mine, _verdict(limits))
        os._exit(0)
    os.close(mine)
    is_done, _, _ = select.select([verdicts], [], [], limits["seconds"])
    verdict = os.read(verdicts, 65536) if is_done else _line("failed", f"not done within {limits['seconds']:g} seconds")
    os.close(verdicts)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    _end_orphans()
    return b"" if verdict == b"\n" else verdict or _line("failed", "the tests ended before their verdict")


def _verdict(limits: dict[str, Any]) -> bytes:
    """What the judge, in this process, says about the next task."""

    def run() -> None:
        try:
            jail.enter(limits)
        except (OSError, ValueError) as error:
            os.write(2, str(error).encode())
            os._exit(1)
        inside.run()

    if sys.platform == "linux":
        jail.die_with_parent()
    try:
        program = judge.Program(run, limits["output_bytes"])
    except (OSError, RuntimeError) as error:
        return _line("not isolated", str(error))
    line = b""
    while not line.endswith(b"\n"):
        part = os.read(0, 2**20)
        if not part:
            return b"\n"
        line += part
    os.dup2(os.open(os.devnull, os.O_RDWR), 1)
    os.dup2(1, 2)
    return _line(*judge.judge(program, json.loads(line)))


def _end_orphans() -> None:
    """Kill the processes that the judge left, and wait for them."""
    until = time.monotonic() + ORPHANS_SECONDS
    while time.monotonic() < until:
        try:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                for orphan in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
                    os.kill(int(orphan), signal.SIGKILL)
                time.sleep(0.001)
        except ChildProcessError:
            return


def _line(verdict: str, reason: str) -> bytes:
    return json.dumps([verdict, reason[: judge.REASON_CHARACTERS]]).encode() + b"\n"
