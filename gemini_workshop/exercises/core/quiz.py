"""Checkpoint questions that need no kernel: click an option and read why it is right or wrong.

The HTML uses nothing but ``<details>``, so a quiz works in JupyterLab, on GitHub, in VS Code and on paper, and it
is the same every time it is drawn.
"""

import re
from dataclasses import dataclass

from gemini_workshop.exercises.core.verdict import badge, with_code


@dataclass(frozen=True, slots=True)
class Option:
    """One possible answer and what to say to someone who picks it."""

    text: str
    reply: str
    is_right: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its options; exactly one is right."""

    text: str
    options: tuple[Option, ...]

    def __post_init__(self) -> None:
        right = sum(option.is_right for option in self.options)
        if right != 1:
            raise ValueError(f"{self.text!r} has {right} right options; exactly one is needed.")


@dataclass(frozen=True, slots=True)
class Quiz:
    """The questions of one lesson. Shown in a notebook it draws itself."""

    questions: tuple[Question, ...]

    def __str__(self) -> str:
        lines = []
        for i, question in enumerate(self.questions, start=1):
            lines.append(f"{i}. {question.text}")
            lines += [f"   {letter}) {option.text}" for letter, option in zip("abcdef", question.options, strict=False)]
        key = ", ".join(f"{i}{self._right_letter(q)}" for i, q in enumerate(self.questions, start=1))
        return "\n".join([*lines, f"(Right: {key})"])

    @staticmethod
    def _right_letter(question: Question) -> str:
        return "abcdef"[[option.is_right for option in question.options].index(True)]

    def _repr_mimebundle_(self, **kwargs: object) -> dict[str, str]:  # noqa: ARG002 (Jupyter's protocol)
        return {
            "text/plain": str(self),
            "text/html": "".join(map(_question_html, enumerate(self.questions, 1))),
        }


def quiz_from(text: str) -> Quiz:
    """A quiz from its text, with an empty line between two questions.

        Over what does RMSNorm take its mean?
        + Over the channels of one token.
          Each token by itself, so that its result never depends on the others.
        - Over everything at once.
          Then one loud token would make all others quiet.

    An option takes one line; the indented lines below it are the reply to someone who picks it; ``+`` is right.

    Raises:
        ValueError: a question has not exactly one right option, or an option has no reply.
    """
    return Quiz(tuple(_question_from(block) for block in re.split(r"\n\s*\n", text.strip())))


def _question_from(block: str) -> Question:
    question, *marked = re.split(r"^([+-]) ", block, flags=re.MULTILINE)
    options = tuple(_option_from(*pair) for pair in zip(marked[::2], marked[1::2], strict=True))
    return Question(" ".join(question.split()), options)


def _option_from(mark: str, lines: str) -> Option:
    text, *reply = lines.strip().split("\n")
    if not reply:
        raise ValueError(f"The option {text!r} has no reply. Write one on the lines below it, indented.")
    return Option(text, " ".join(line.strip() for line in reply), is_right=mark == "+")


def _question_html(numbered: tuple[int, Question]) -> str:
    number, question = numbered
    options = "".join(_option_html(option) for option in question.options)
    return f'<div style="margin:.8em 0;max-width:55em"><b>{number}. {with_code(question.text)}</b>{options}</div>'


def _option_html(option: Option) -> str:
    colour, word = ("#1b7f4b", "Right.") if option.is_right else ("#b3261e", "No.")
    return (
        f'<details style="margin:.2em 0 .2em 1em"><summary>{with_code(option.text)}</summary>'
        f'<div style="border-left:4px solid {colour};padding:.2em .8em;margin:.2em 1.2em">'
        f"{badge(word, colour)} {with_code(option.reply)}</div></details>"
    )
