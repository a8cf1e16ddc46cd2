"""A room that is open, until a signal closes it."""

import asyncio
import json
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from gemini_workshop.errors import WorkshopError
from gemini_workshop.files import check_target, write_result
from gemini_workshop.reading import read_json
from gemini_workshop.room.admission import checked_code, new_code
from gemini_workshop.room.app import Desk, make_app
from gemini_workshop.room.names import names_of_lessons
from gemini_workshop.room.state import Room
from gemini_workshop.serving.listening import listening, run_app

GRACE_SECONDS = 2
SAVE_SECONDS = 5.0
EVERYWHERE = ("0.0.0.0", "::")
Say = Callable[[str], object]


def run_room(host: str, port: int, code: str | None = None, save: Path | None = None, say: Say = print) -> None:
    """Keep a room open until a signal closes it.

    Args:
        code: what learners need to join; None: a new one, or that of the file.
        save: a file that holds the day; one that is there is continued.
        say: shows a line.

    Raises:
        WorkshopError: the address cannot be had, the code cannot be used, or the file is something else.
    """
    if code is not None:
        checked_code(code)
    room = Room(names_of_lessons())
    saved_code = read_day(room, save) if save is not None and save.exists() else None
    code = code or saved_code or new_code()
    day = None if save is None else Day(room, code, save, say)
    with listening(host, port) as listener:
        number = listener.getsockname()[1]
        places = [f"{f'[{each}]' if ':' in each else each}:{number}" for each in hosts(host)]
        desk = Desk(room, code, secrets.token_urlsafe(18), places[0])
        say(_welcome(desk, places))
        run_app(make_app(desk, day.keep if day else None), listener, GRACE_SECONDS)
    if day is not None:
        day.write()
    say("The room is closed; nothing was stored." if day is None else f"The room is closed; the day is in {save}.")


def hosts(host: str) -> list[str]:
    """The addresses at which others reach a server that listens there, those of a local network first."""
    if host not in EVERYWHERE:
        return [host]
    up = {name for name, about in psutil.net_if_stats().items() if about.isup}
    found = [
        each.address
        for name, addresses in psutil.net_if_addrs().items()
        for each in addresses
        if name in up and each.family == socket.AF_INET and not each.address.startswith(("127.", "169.254."))
    ]
    return sorted(found, key=lambda address: not address.startswith(("192.168.", "10."))) or ["127.0.0.1"]


def _welcome(desk: Desk, places: list[str]) -> str:
    port = desk.address.rpartition(":")[2]
    pages = [f"http://{place}/#{desk.key}" for place in (f"127.0.0.1:{port}", *places)]
    others = f" (also at {', '.join(places[1:])})" if places[1:] else ""
    return "\n".join(
        [
            "The room is open. Learners join with:",
            "",
            f"    gemini-workshop lab --room {desk.address} --code {desk.code}",
            "",
            f"Your page, for nobody else{others}:",
            "",
            *(f"    {page}" for page in dict.fromkeys(pages)),
            "",
            "The second address is for a phone in the same network. Ctrl-C closes the room.",
        ]
    )


@dataclass(frozen=True, slots=True)
class Day:
    """The file in which a room is kept, because the instructor asked for it."""

    room: Room
    code: str
    path: Path
    say: Say

    def __post_init__(self) -> None:
        check_target(self.path)

    def write(self) -> None:
        """Write everything, whole or not at all.

        Raises:
            WorkshopError: it cannot be written.
        """
        write_result(self.path, self._content())

    def _content(self) -> bytes:
        return json.dumps({"room": 1, "code": self.code, **self.room.to_json()}, indent=1).encode()

    async def keep(self) -> None:
        """Write it every few seconds, if something has come in."""
        written = self.room.version
        while True:
            await asyncio.sleep(SAVE_SECONDS)
            if self.room.version != written:
                written, content = self.room.version, self._content()
                try:
                    await asyncio.to_thread(write_result, self.path, content)
                except (WorkshopError, OSError) as error:
                    self.say(f"Warning: {error}")


def read_day(room: Room, path: Path) -> str:
    """Put the learners of a file into a room; return its code.

    Raises:
        WorkshopError: it is not the file of a room.
    """
    content = read_json(path, "the file of a room")
    try:
        room.take_in(content)
        return checked_code(content["code"])
    except (KeyError, TypeError, AttributeError):
        raise WorkshopError(
            f"{path} is not the file of a room. Choose another name after --save, for a new file."
        ) from None
