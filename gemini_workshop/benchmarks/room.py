"""A room under load: many learners at once, each a sender of its own, as in their notebooks.

The room is a process of its own. Every learner works through the same exercises: wrong at first, with a mistake
that the room knows, then right. All of it has to be on the page in the end.
"""

import contextlib
import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Thread
from typing import Any

import psutil

from gemini_workshop.errors import WorkshopError
from gemini_workshop.exercises.core.catalogue import all_exercises
from gemini_workshop.exercises.core.exercise import Exercise
from gemini_workshop.exercises.core.room import Report, Seat, Sender, host_and_port, send
from gemini_workshop.exercises.core.verdict import Outcome
from gemini_workshop.tables import table

PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Opened:
    """A room in a process of its own."""

    address: str
    code: str
    key: str
    process: psutil.Process

    @property
    def page(self) -> str:
        """What the instructor opens."""
        return f"http://{self.address}/#{self.key}"

    def state(self) -> dict[str, Any]:
        """What the page shows."""
        request = urllib.request.Request(
            f"http://{self.address}/state", headers={"Authorization": f"Bearer {self.key}"}
        )
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
            return json.load(answer)


@contextlib.contextmanager
def opened_room(*options: str) -> Iterator[Opened]:
    """A room on this machine alone, at any free port.

    Raises:
        WorkshopError: it did not open.
    """
    command = [sys.executable, "-u", "-m", "gemini_workshop.cli.main", "room", "--host", "127.0.0.1", "--port", "0"]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = ""
            while "Ctrl-C" not in said and (line := process.stdout.readline()):
                said += line
            found = re.search(r"--room (\S+) --code (\S+)(?s:.*)/#(\S+)", said)
            if found is None:
                raise WorkshopError(f"The room did not open: {' '.join(command)} ended. Its errors are above.")
            address, code, key = found.groups()
            yield Opened(address, code, key, psutil.Process(process.pid))
        finally:
            process.terminate()
            process.wait(PATIENCE_SECONDS)


def learner_of(room: Opened, number: int, name: str | None = None) -> Seat:
    """The place of one of many learners."""
    name = name or f"Learner {number:02}"
    return Seat(address=host_and_port(room.address), code=room.code, name=name, learner=f"{number:032x}")


def day_of(exercises: list[Exercise]) -> Iterator[Report]:
    """What one learner's checks say: of each exercise a wrong answer, then a right one."""
    for exercise in exercises:
        mistake = next(iter(exercise.misconceptions), "")
        yield {"exercise": exercise.id, "outcome": str(Outcome.WRONG), "mistake": mistake}
        yield {"exercise": exercise.id, "outcome": str(Outcome.PASSED), "mistake": ""}


def report(learners: int = 40, exercises: int = 20) -> str:
    """A table: what arrived, how long a verdict took, and what the room needed."""
    chosen = list(all_exercises().values())[:exercises]
    with opened_room() as room:
        seconds: list[float] = []

        def deliver(seat: Seat, verdict: Report) -> object:
            start = time.perf_counter()
            answer = send(seat, verdict)
            seconds.append(time.perf_counter() - start)
            return answer

        def work(number: int) -> None:
            sender = Sender(learner_of(room, number), deliver)
            for verdict in day_of(chosen):
                sender.put(verdict)
            sender.finish(PATIENCE_SECONDS)

        start = time.perf_counter()
        threads = [Thread(target=work, args=(number,)) for number in range(learners)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.perf_counter() - start
        state, used = room.state(), room.process.memory_info().rss
    arrived = sum(each["attempts"] for each in state["exercises"])
    sent = 2 * learners * len(chosen)
    seconds.sort()
    rows = [
        ["learners on the page", f"{len(state['learners'])} of {learners}"],
        ["verdicts", f"{arrived:,} of {sent:,}"],
        ["lost", f"{sent - arrived}"],
        ["verdicts per second", f"{arrived / took:,.0f}"],
        ["a verdict, half of them within", f"{1000 * seconds[len(seconds) // 2]:.0f} ms"],
        ["a verdict, the slowest", f"{1000 * seconds[-1]:.0f} ms"],
        ["memory of the room", f"{used / 2**20:.0f} MiB"],
    ]
    return table([["", ""], *rows], f"{learners} learners at once")
