"""What a check answers: one outcome, a heading and a few lines, as text and as HTML."""

import html
import json
import re
from dataclasses import asdict, dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """The five things that a check can say."""

    NOT_STARTED = "not started"
    NOT_YOURS = "not yours yet"
    ERROR = "error in your code"
    WRONG = "wrong answer"
    PASSED = "passed"


SYMBOLS = {
    Outcome.NOT_STARTED: "○",
    Outcome.NOT_YOURS: "○",
    Outcome.ERROR: "!",
    Outcome.WRONG: "✗",
    Outcome.PASSED: "✓",
}
COLOURS = {
    Outcome.NOT_STARTED: "#666666",
    Outcome.NOT_YOURS: "#666666",
    Outcome.ERROR: "#b35900",
    Outcome.WRONG: "#b3261e",
    Outcome.PASSED: "#1b7f4b",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """The answer to one attempt at one exercise.

    Args:
        lines: what a learner should read, most important first.
        mistake: the name of the misconception that the code behaves like, if one was recognised.
        printed: what the learner's code printed when it was first called.
        source: the answer with all that it uses, if it passed and can be kept.
    """

    exercise_id: str
    title: str
    outcome: Outcome
    lines: tuple[str, ...] = ()
    mistake: str | None = None
    printed: str = ""
    source: str = ""

    @property
    def heading(self) -> str:
        """The verdict in one line."""
        return f"{SYMBOLS[self.outcome]} {self.exercise_id} {self.title} · {self.outcome}"

    def to_json(self) -> bytes:
        """As bytes that cannot hold anything but text."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, data: bytes) -> "Verdict":
        """The verdict of :meth:`to_json`."""
        fields = json.loads(data)
        return cls(**(fields | {"outcome": Outcome(fields["outcome"]), "lines": tuple(fields["lines"])}))

    def __str__(self) -> str:
        text = [self.heading, *(f"  {line}" for line in self.lines)]
        if self.printed:
            text += ["  Your code printed:", *(f"  | {line}" for line in self.printed.splitlines())]
        return "\n".join(text)

    def _repr_mimebundle_(self, **kwargs: object) -> dict[str, str]:  # noqa: ARG002 (Jupyter's protocol)
        return {"text/plain": str(self), "text/html": self._as_html()}

    def _as_html(self) -> str:
        colour = COLOURS[self.outcome]
        lines = "".join(f'<div style="margin-top:.25em">{_html_line(line)}</div>' for line in self.lines)
        printed = (
            f'<div style="margin-top:.25em">Your code printed:</div><pre>{html.escape(self.printed)}</pre>'
            if self.printed
            else ""
        )
        return (
            f'<div style="border-left:4px solid {colour};padding:.3em .8em;margin:.3em 0;max-width:55em">'
            f"{badge(self.heading, colour)}{lines}{printed}</div>"
        )


def badge(text: str, colour: str) -> str:
    """White text on a colour of its own, so that it can be read in a light theme, in a dark one and on a projector."""
    style = f"background:{colour};color:#ffffff;padding:.1em .5em;border-radius:3px"
    return f'<b style="{style}">{html.escape(text)}</b>'


def _html_line(line: str) -> str:
    """A line whose table of numbers keeps its columns."""
    return f'<span style="white-space:pre-wrap">{with_code(line)}</span>'


def with_code(text: str) -> str:
    """Escaped text in which whatever is between backticks becomes code, and words between stars are emphasized."""
    parts = html.escape(text).split("`")
    return "".join(f"<code>{part}</code>" if i % 2 else _with_emphasis(part) for i, part in enumerate(parts))


def _with_emphasis(text: str) -> str:
    return re.sub(r"(?<![\w*])\*(\w[\w ]*)\*(?![\w*])", r"<em>\1</em>", text)
