"""What a check answers: one outcome, a heading and a few lines, as text and as HTML."""

import html
from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """The four things that a check can say."""

    NOT_STARTED = "not started"
    ERROR = "error in your code"
    WRONG = "wrong answer"
    PASSED = "passed"


SYMBOLS = {Outcome.NOT_STARTED: "○", Outcome.ERROR: "!", Outcome.WRONG: "✗", Outcome.PASSED: "✓"}
COLOURS = {
    Outcome.NOT_STARTED: "#7f7f7f",
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
    """

    exercise_id: str
    title: str
    outcome: Outcome
    lines: tuple[str, ...] = ()
    mistake: str | None = None
    printed: str = ""

    @property
    def heading(self) -> str:
        """One line that stands for the whole verdict."""
        return f"{SYMBOLS[self.outcome]} {self.exercise_id} {self.title} · {self.outcome}"

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
            f'<b style="color:{colour}">{html.escape(self.heading)}</b>{lines}{printed}</div>'
        )


def _html_line(line: str) -> str:
    """Escape a line; what stands between backticks becomes code, and a table of numbers keeps its columns."""
    parts = html.escape(line).split("`")
    marked = "".join(f"<code>{part}</code>" if i % 2 else part for i, part in enumerate(parts))
    return f'<span style="white-space:pre-wrap">{marked}</span>'
