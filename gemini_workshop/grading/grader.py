"""Grade one answer after another: first its check, in a jail; then its values for fresh cases, in another jail."""

import json
import secrets
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any

from gemini_workshop.evaluation.sandbox.running import MIB, Limits, Sandbox
from gemini_workshop.exercises.core.exercise import Exercise
from gemini_workshop.exercises.core.verdict import Outcome
from gemini_workshop.grading.answers import Answer, Notebook
from gemini_workshop.grading.server import COMMAND
from gemini_workshop.paths import PACKAGE

SECONDS = 10.0
MORE_TIMES, MORE_SECONDS = 8, 20.0  # until an answer is ended that no alarm stops
MEMORY_BYTES = 2048 * MIB
BORROWED = "It relies on the package's own function: without that, nothing comes back."
HARD_CODED = (
    "It is right for the numbers that its check uses, and wrong for others of the same kind. Either results are "
    "written into the code, or it follows a rule that holds for those numbers alone."
)
AWAY = "It passed its check, and fails where the package's own function and files are out of reach."
RAISED = "the program raised "
KNOWN_ONLY = "right for the known numbers only"
FORGED = "Its own check reports that it has passed, and its values are wrong. The verdict was tampered with."


@dataclass(frozen=True, kw_only=True)
class Grade:
    """What became of one exercise in one notebook.

    Args:
        mistake: the name of the mistake, if one was recognized.
        lines: what its author should read, most important first.
        code, first_line: the definition, and its first line in its cell.
    """

    exercise: Exercise
    outcome: Outcome
    lines: tuple[str, ...] = ()
    mistake: str = ""
    code: str = ""
    first_line: int = 1

    @property
    def points(self) -> int:
        """One for an exercise that passed."""
        return int(self.outcome == Outcome.PASSED)


@dataclass
class Grader:
    """Grades answers, one at a time, in jails. Use it in a ``with``, in the thread that made it.

    Args:
        seconds: for the check of one answer.
        seed: of the fresh cases; drawn for this run, if left out, so that nobody can know it before.
        may_be_unsafe: run answers with limits only, if they cannot be isolated here.

    Raises:
        SandboxError: they cannot be isolated, and ``may_be_unsafe`` is False.
    """

    seconds: float = SECONDS
    seed: int = field(default_factory=lambda: secrets.randbelow(2**31))
    may_be_unsafe: bool = False

    def __enter__(self) -> "Grader":
        self._folder = TemporaryDirectory()
        self._findings = Path(self._folder.name, "findings.json")
        self._verdicts = self._sandbox(hidden=())
        self._values = self._sandbox(hidden=(str(PACKAGE.resolve()),))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._verdicts.close()
        self._values.close()
        self._folder.cleanup()

    @property
    def is_isolated(self) -> bool:
        """Whether answers run in a jail."""
        return self._values.is_isolated

    def grade_notebook(self, notebook: Notebook, exercises: list[Exercise]) -> list[Grade]:
        """A grade for each exercise, in order; later answers build upon those that have passed."""
        grades: list[Grade] = []
        stand_ins = {each.title: _import_of(each) for each in exercises}
        for exercise in exercises:
            grade = self.grade(notebook.answer(exercise, stand_ins))
            if grade.outcome == Outcome.PASSED:
                del stand_ins[exercise.title]
            grades.append(grade)
        return grades

    def grade(self, answer: Answer) -> Grade:
        """The grade of one answer."""
        if answer.problem:
            return _grade(answer, Outcome.ERROR if answer.is_broken else Outcome.NOT_STARTED, *answer.problem)
        found, reason = self._ask(self._verdicts, "verdict", answer)
        if found is None:
            return _grade(answer, Outcome.ERROR, _ended(reason))
        outcome, lines, mistake = Outcome(found["outcome"]), found["lines"], found["mistake"] or ""
        if outcome != Outcome.PASSED and (mistake or outcome != Outcome.WRONG):
            return _grade(answer, outcome, *lines, mistake=mistake)
        values, reason = self._ask(self._values, "values", answer)
        if outcome == Outcome.PASSED:
            return _confirmed(answer, values, reason)
        is_table = values is not None and values["is_known_right"] and not values["is_fresh_right"]
        return _grade(answer, outcome, *([HARD_CODED] * is_table), *lines, mistake=KNOWN_ONLY * is_table)

    def _ask(self, sandbox: Sandbox, asks: str, answer: Answer) -> tuple[dict[str, Any] | None, str]:
        """What was found, or None and the reason."""
        self._findings.unlink(missing_ok=True)
        task = {
            "asks": asks,
            "exercise": answer.exercise.id,
            "parts": answer.parts,
            "seconds": self.seconds,
            "seed": self.seed,
            "findings": str(self._findings),
        }
        verdict, reason = sandbox.judge(task)
        if verdict != "passed" or not self._findings.is_file():
            return None, reason
        return dict(json.loads(self._findings.read_bytes())), ""

    def _sandbox(self, hidden: tuple[str, ...]) -> Sandbox:
        installed = sorted({str(Path(sysconfig.get_path(name)).resolve()) for name in ("purelib", "platlib")})
        limits = Limits(
            seconds=MORE_TIMES * self.seconds + MORE_SECONDS,
            cpu_seconds=round(MORE_TIMES * self.seconds + MORE_SECONDS),
            memory_bytes=MEMORY_BYTES,
            judge_bytes=2 * MEMORY_BYTES,
            processes=16,
            open_files=64,
            visible=(*installed, *(() if hidden else (str(PACKAGE.resolve()),))),
            hidden=hidden,
        )
        return Sandbox(limits, command=COMMAND, may_be_unsafe=self.may_be_unsafe)


def _confirmed(answer: Answer, values: dict[str, Any] | None, reason: str) -> Grade:
    """The grade of an answer that has passed its check, by its values for cases that nobody has seen."""
    if values is None:
        raised = reason.removeprefix(RAISED) if reason.startswith(RAISED) else ""
        return _away_from_package(answer, raised) if raised else _grade(answer, Outcome.ERROR, _ended(reason))
    if values["is_known_right"] and values["is_fresh_right"]:
        return _grade(answer, Outcome.PASSED)
    if values["is_borrowed"]:
        return _grade(answer, Outcome.NOT_YOURS, BORROWED, mistake="the package's own")
    if values["fails"]:
        return _away_from_package(answer, values["fails"])
    if values["is_known_right"]:
        return _grade(answer, Outcome.WRONG, HARD_CODED, *values["lines"], mistake=KNOWN_ONLY)
    return _grade(answer, Outcome.WRONG, FORGED, *values["lines"], mistake="forged verdict")


def _away_from_package(answer: Answer, problem: str) -> Grade:
    """The grade of an answer that breaks where the package's files are hidden, and nowhere else."""
    return _grade(answer, Outcome.NOT_YOURS, AWAY, problem, mistake="needs the package's files")


def _grade(answer: Answer, outcome: Outcome, *lines: str, mistake: str = "") -> Grade:
    return Grade(
        exercise=answer.exercise,
        outcome=outcome,
        lines=lines,
        mistake=mistake,
        code=answer.code,
        first_line=answer.first_line,
    )


def _ended(reason: str) -> str:
    """Why an answer was stopped, as a sentence."""
    reason = reason.removeprefix("the program ")
    return f"It was stopped: {reason}." if reason else "It was stopped before it gave a result."


def _import_of(exercise: Exercise) -> str:
    return f"from {exercise.reference.__module__} import {exercise.title}"
