"""Grade everything that a room has handed in: one row for each learner, one grade for each exercise."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from gemini_workshop.exercises.core.catalogue import all_exercises
from gemini_workshop.exercises.core.exercise import Exercise
from gemini_workshop.exercises.core.verdict import Outcome
from gemini_workshop.grading.answers import Notebook
from gemini_workshop.grading.grader import Grade, Grader
from gemini_workshop.grading.signs import Sign, signs_in
from gemini_workshop.grading.submissions import Found, Submission

ENOUGH_TO_COMPARE = 3
SOME = 3


@dataclass(kw_only=True)
class Row:
    """One learner.

    Args:
        grades: by the id of the exercise; those of lessons that were not handed in are missing.
        signs: of tampering.
        notes: what else an instructor should know: files that cannot be read, copies.
    """

    learner: str
    number: str = ""
    grades: dict[str, Grade] = field(default_factory=dict)
    signs: list[Sign] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def points(self) -> int:
        """How many exercises passed."""
        return sum(grade.points for grade in self.grades.values())

    def points_of(self, lesson: str) -> int:
        """The same in one lesson."""
        return sum(grade.points for grade in self.grades.values() if grade.exercise.lesson == lesson)


@dataclass(frozen=True, kw_only=True)
class Gradebook:
    """All learners, and the exercises that they were graded in.

    Args:
        ignored: what is not a notebook.
        seed: of the fresh cases, to grade again in the same way.
        is_isolated: whether answers ran in a jail.
    """

    rows: list[Row]
    exercises: list[Exercise]
    ignored: list[str]
    seed: int
    is_isolated: bool

    @property
    def lessons(self) -> list[str]:
        """Of the exercises, in order."""
        return list(dict.fromkeys(each.lesson for each in self.exercises))

    def mistakes(self) -> list[tuple[Exercise, str, list[Row]]]:
        """Exercise, name of a mistake and who makes it; the most frequent first."""
        found: dict[tuple[str, str], list[Row]] = {}
        for row in self.rows:
            for grade in row.grades.values():
                if grade.mistake:
                    found.setdefault((grade.exercise.id, grade.mistake), []).append(row)
        known = {each.id: each for each in self.exercises}
        every = [(known[key], name, rows) for (key, name), rows in found.items()]
        return sorted(every, key=lambda each: (-len(each[2]), each[0].id, each[1]))

    def outcomes_of(self, exercise: Exercise) -> Counter[Outcome]:
        """How many learners have which outcome."""
        return Counter(row.grades[exercise.id].outcome for row in self.rows if exercise.id in row.grades)


def grade_all(
    found: Found,
    make_grader: Callable[[], Grader],
    *,
    lessons: Sequence[str] = (),
    workers: int = 1,
    tell: Callable[[Submission], None] = lambda _: None,
) -> Gradebook:
    """Grade all notebooks.

    Args:
        make_grader: called once in each worker.
        lessons: only these; all that were handed in, if left out.
        tell: called after each notebook.

    Raises:
        SandboxError: answers cannot be isolated here.
    """
    wanted = [each for each in found.submissions if not lessons or each.lesson in (*lessons, "")]
    taught = set(lessons) or {each.lesson for each in wanted}
    exercises = [each for each in all_exercises().values() if each.lesson in taught]
    rows = {each.learner: Row(learner=each.learner, number=each.number) for each in wanted}
    crew = _Crew(make_grader)

    def work(submission: Submission) -> tuple[list[Grade], list[Sign]]:
        own = [each for each in exercises if each.lesson == submission.lesson]
        grades = crew.grader().grade_notebook(Notebook(submission.cells), own)
        tell(submission)
        return grades, signs_in(submission.cells, submission.lesson, grades)

    with ThreadPoolExecutor(workers) as pool:
        try:
            graded = list(pool.map(work, wanted))
        finally:
            crew.close()
    for submission, (grades, signs) in zip(wanted, graded, strict=True):
        row = rows[submission.learner]
        row.grades |= {grade.exercise.id: grade for grade in grades}
        row.signs += signs
        row.notes += _notes(submission)
    _note_copies(rows)
    ordered = sorted(rows.values(), key=lambda row: row.learner.lower())
    first = next(iter(crew.graders), None)
    return Gradebook(
        rows=ordered,
        exercises=exercises,
        ignored=found.ignored,
        seed=first.seed if first else 0,
        is_isolated=first.is_isolated if first else True,
    )


class _Crew:
    """A grader for each thread: its sandboxes end with the thread that made them."""

    def __init__(self, make: Callable[[], Grader]) -> None:
        self.graders: list[Grader] = []
        self._make, self._own, self._lock = make, threading.local(), threading.Lock()

    def grader(self) -> Grader:
        """That of this thread."""
        if not hasattr(self._own, "grader"):
            self._own.grader = self._make().__enter__()
            with self._lock:
                self.graders.append(self._own.grader)
        grader: Grader = self._own.grader
        return grader

    def close(self) -> None:
        """End all sandboxes."""
        for grader in self.graders:
            grader.__exit__(None, None, None)


def _notes(submission: Submission) -> list[str]:
    notes = [f"{submission.path.name}: {submission.problem}"] if submission.problem else []
    if submission.kernel.lower() not in ("python", "python3", "ipython"):
        notes.append(f"{submission.path.name} was saved with the kernel of {submission.kernel!r}, not Python's.")
    return notes


def _note_copies(rows: dict[str, Row]) -> None:
    """Tell the instructor whose answers are the same to the letter, comments too."""
    alike: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for row in rows.values():
        written = [
            (grade.exercise.id, grade.code)
            for grade in row.grades.values()
            if grade.outcome != Outcome.NOT_STARTED and grade.code
        ]
        if len(written) >= ENOUGH_TO_COMPARE:
            alike.setdefault(tuple(written), []).append(row.learner)
    for learners in (names for names in alike.values() if len(names) > 1):
        for name in learners:
            some = [other for other in learners if other != name]
            others = ", ".join(some[:SOME]) + (f" and {len(some) - SOME} more" if len(some) > SOME else "")
            rows[name].notes.append(f"Its answers are the same to the letter as those of {others}.")
