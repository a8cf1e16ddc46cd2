"""One bare Python that lets one program after another be judged, each in processes of its own.

    python -I -S -c "... from sandbox.server import main; main()" LIMITS

Each line on standard input is a task. The server reads none of them and no verdict: it forks a judge, which reads the
task and writes its verdict to standard output itself. Then the server adds a line that says how the judge ended. So the
jail, a child of the judge made before the judge reads, has no ancestor that ever saw a test or a verdict.
"""

import contextlib
import json
import os
import re
import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import inside, jail, judge

ORPHANS_SECONDS = 5.0
WATCH_SECONDS = 0.05
NO_TASK = 3
HELD = re.compile(r"^Rss(?:Anon|Shmem):\s+(\d+)", re.MULTILINE)


Judge = Callable[[judge.Program, dict[str, Any]], tuple[str, str]]


def main(run: Callable[[], None] = inside.run, decide: Judge = judge.judge) -> None:
    """Serve until standard input ends.

    Args:
        run: what happens in the jail: it answers requests on the standard streams.
        decide: what asks them, outside, and returns a verdict and its reason.
    """
    limits = json.loads(sys.argv[1])
    if sys.platform == "linux":
        jail.die_with_parent()
        jail.adopt_orphans()
    while True:
        select.select([0], [], [])
        if not serve(limits, run, decide):
            return


def serve(limits: dict[str, Any], run: Callable[[], None], decide: Judge) -> bool:
    """Let the next task be judged; return whether there was one."""
    alive, mine = os.pipe()
    child = os.fork()
    if child == 0:
        os.setsid()  # so that it can be killed with all that come of it
        os._exit(_judge(limits, run, decide))
    os.close(mine)
    objection = _watch(child, alive, limits)
    os.close(alive)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    _end_orphans()
    if status == NO_TASK << 8:
        return False
    os.write(1, _line("end", objection))
    return True


def _watch(child: int, alive: int, limits: dict[str, Any]) -> str:
    """Wait until the judge ends, and with it its end of a pipe; return why it must end sooner, or an empty text."""
    until = time.monotonic() + limits["seconds"]
    while (left := until - time.monotonic()) > 0:
        ended, _, _ = select.select([alive], [], [], min(left, WATCH_SECONDS))
        if ended:
            return ""
        if memory_in_use(child) > limits["memory_bytes"]:
            return f"used more than {limits['memory_bytes'] / 2**20:g} MiB in all its processes"
    return f"not done within {limits['seconds']:g} seconds"


def memory_in_use(process: int) -> int:
    """Bytes that the descendants of a process hold together, files in memory included (Linux; elsewhere 0).

    Memory that processes share counts in each.
    """
    kib, files = 0, {}
    for number in _descendants(process):
        with contextlib.suppress(OSError):  # it has just ended
            kib += sum(map(int, HELD.findall(Path(f"/proc/{number}/status").read_text())))
            for file in Path(f"/proc/{number}/fd").iterdir():
                if os.readlink(file).startswith("/memfd:"):
                    files[file.stat().st_ino] = file.stat().st_blocks * 512
    return 1024 * kib + sum(files.values())


def _descendants(process: int) -> list[int]:
    found = _children(process)
    for number in found:  # grows as we go
        found += _children(number)
    return found


def _children(process: int) -> list[int]:
    lists = Path(f"/proc/{process}/task").glob("*/children")
    try:
        return [int(child) for each in lists for child in each.read_text().split()]
    except OSError:
        return []


def _judge(limits: dict[str, Any], run: Callable[[], None], decide: Judge) -> int:
    """Judge the next task in this process, and write the verdict to standard output; the exit code."""

    def enter_and_run() -> None:
        try:
            jail.enter(limits)
        except (OSError, ValueError) as error:
            os.write(2, str(error).encode())
            os._exit(1)
        run()

    if sys.platform == "linux":
        jail.die_with_parent()
    try:
        program = judge.Program(enter_and_run, limits["output_bytes"])
    except (OSError, RuntimeError) as error:
        os.write(1, _line("not isolated", str(error)))
        return 0
    task = b""
    while not task.endswith(b"\n"):
        part = os.read(0, 2**20)
        if not part:
            return NO_TASK
        task += part
    verdicts = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_RDWR), 1)
    os.dup2(1, 2)
    jail.limit_memory(limits["judge_bytes"])
    os.write(verdicts, _line(*decide(program, json.loads(task))))
    return 0


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
    """Short enough (4,096 bytes) to be written whole, whatever happens."""
    return json.dumps([verdict, reason[: judge.REASON_CHARACTERS]]).encode() + b"\n"
