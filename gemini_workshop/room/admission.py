"""The code of a room: how it is made, compared, and kept from being guessed."""

import hmac
import re
import secrets
import time
from collections import deque
from collections.abc import Callable

from gemini_workshop.errors import WorkshopError
from gemini_workshop.reading import shortened

LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"  # none that looks like another
LENGTH, SHORTEST = 6, 4
GUESSES, GUESSES_OF_ALL = 10, 60  # wrong codes in a minute: from one address, from all
MINUTE = 60.0


def new_code() -> str:
    """A code that nobody can guess and everybody can type, such as "k7m-p4x"."""
    code = "".join(secrets.choice(LETTERS) for _ in range(LENGTH))
    return f"{code[:3]}-{code[3:]}"


def checked_code(code: str) -> str:
    """A code that an instructor chose.

    Raises:
        WorkshopError: it is too short, or has letters that people would have to look for.
    """
    if len(plain(code)) < SHORTEST or not re.fullmatch("[a-z0-9]+", plain(code)):
        raise WorkshopError(
            f"The code {shortened(code)!r} cannot be used. Choose at least {SHORTEST} letters (a to z) and digits, or "
            "leave --code out for one that cannot be guessed."
        )
    return code


def plain(code: str) -> str:
    """A code without what people add when they type it: spaces, hyphens, capitals."""
    return re.sub(r"[\s-]", "", code).lower()


def is_same(given: str, code: str) -> bool:
    """Whether two codes are the same, in a time that says nothing."""
    return hmac.compare_digest(plain(given).encode(), plain(code).encode())


class Guesses:
    """Wrong codes of the last minute. When they are too many, right ones have to wait, too: or guessing would go on.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._wrong: deque[tuple[float, str]] = deque(maxlen=GUESSES_OF_ALL)

    def note(self, address: str) -> None:
        """Count one more."""
        self._wrong.append((self.clock(), address))

    def seconds_to_wait(self, address: str) -> float:
        """0, and a code may be tried; or how long until then."""
        recent = [(when, where) for when, where in self._wrong if self.clock() - when < MINUTE]
        own = [when for when, where in recent if where == address]
        blocking = [
            when[-limit]
            for when, limit in ((own, GUESSES), ([w for w, _ in recent], GUESSES_OF_ALL))
            if len(when) >= limit
        ]
        return max((MINUTE - (self.clock() - when) for when in blocking), default=0.0)
