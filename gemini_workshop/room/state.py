"""Who is where: what the learners' checks said, in memory."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from gemini_workshop.exercises.core.verdict import Outcome
from gemini_workshop.room.names import Names

MAX_LEARNERS = 300
MAX_EXERCISES = 200  # of one learner
STUCK = (Outcome.WRONG, Outcome.ERROR)
Json = dict[str, Any]


class Full(Exception):
    """No more learners can be taken in."""


@dataclass(kw_only=True, slots=True)
class Work:
    """A learner at one exercise.

    Attributes:
        mistake: the one that the last verdict named, if any.
        began: when the verdicts began that have not ended in a pass yet.
    """

    outcome: str = str(Outcome.NOT_STARTED)
    mistake: str = ""
    attempts: int = 0
    has_passed: bool = False
    began: float = 0.0


@dataclass(kw_only=True, slots=True)
class Learner:
    """One person.

    Attributes:
        name: as given.
        shown: as shown: a number follows where there are several of one name.
        seen: when the last verdict came, in seconds of the clock on the wall.
        at: the exercise that the learner is at.
    """

    name: str
    shown: str
    seen: float
    at: str = ""
    work: dict[str, Work] = field(default_factory=dict)

    def note(self, exercise: str, outcome: str, mistake: str, now: float) -> None:
        """Take in one verdict.

        A notebook that is run from top to bottom says "not started" for all that is still to come; the learner is at
        the first of these, not at the last.
        """
        if exercise not in self.work and len(self.work) >= MAX_EXERCISES:
            return
        work = self.work.setdefault(exercise, Work(began=now))
        is_new = outcome == Outcome.NOT_STARTED
        if not is_new or not self.at or self.work[self.at].outcome == Outcome.PASSED:
            self.at = exercise
        if is_new and work.attempts:
            return  # run again from the top, with a gap where an answer was
        if outcome == Outcome.PASSED or work.outcome not in STUCK:
            work.began = now
        work.outcome, work.mistake = outcome, mistake
        work.attempts += not is_new
        work.has_passed |= outcome == Outcome.PASSED

    @property
    def is_stuck(self) -> bool:
        """Whether the last answer to the exercise that they are at was not right."""
        return bool(self.at) and self.work[self.at].outcome in STUCK


class Room:
    """All learners of a day.

    Args:
        names: exercises and mistakes in words.
        clock: seconds since 1970.
    """

    def __init__(self, names: Names, clock: Callable[[], float] = time.time) -> None:
        self.names, self.clock = names, clock
        self.learners: dict[str, Learner] = {}  # by what tells them apart, which is never shown
        self.version = 0

    def admit(self, key: str, name: str) -> Learner:
        """The learner with this key, taken in if new.

        Raises:
            Full: too many are there.
        """
        learner = self.learners.get(key)
        if learner is None:
            if len(self.learners) >= MAX_LEARNERS:
                raise Full
            learner = Learner(name=name, shown=self._free(name), seen=self.clock())
            self.learners[key] = learner
        elif learner.name != name:
            learner.name, learner.shown = name, self._free(name)
        self.version += 1
        return learner

    def _free(self, name: str) -> str:
        taken = {learner.shown.casefold() for learner in self.learners.values()}
        numbered = (f"{name} {number}" if number > 1 else name for number in range(1, MAX_LEARNERS + 2))
        return next(shown for shown in numbered if shown.casefold() not in taken)

    def note(self, learner: Learner, exercise: str, outcome: str, mistake: str) -> None:
        """Take in one verdict."""
        learner.seen = self.clock()
        learner.note(exercise, outcome, self.names.known(exercise, mistake), learner.seen)

    def view(self) -> Json:
        """What the page shows, as plain data."""
        people = sorted(self.learners.values(), key=lambda learner: learner.shown.casefold())
        return {
            "learners": [self._person(learner) for learner in people],
            "stuck": self._stuck(people),
            "exercises": self._exercises(people),
        }

    def _person(self, learner: Learner) -> Json:
        work = learner.work.get(learner.at, Work())
        return {
            "name": learner.shown,
            "exercise": learner.at,
            "title": self.names.titles.get(learner.at, ""),
            "outcome": work.outcome if learner.at else "",
            "mistake": work.mistake,
            "attempts": work.attempts,
            "passed": sum(each.has_passed for each in learner.work.values()),
            "idle": round(self.clock() - learner.seen),
        }

    def _stuck(self, people: list[Learner]) -> list[Json]:
        """Exercises at which somebody is stuck, the most people first; of each the mistakes by count."""
        at: dict[str, list[Learner]] = {}
        for learner in people:
            if learner.is_stuck:
                at.setdefault(learner.at, []).append(learner)
        found = [
            {
                "exercise": exercise,
                "title": self.names.titles.get(exercise, ""),
                "count": len(stuck),
                "names": [learner.shown for learner in stuck],
                "longest": round(self.clock() - min(learner.work[exercise].began for learner in stuck)),
                "mistakes": self._mistakes(exercise, [learner.work[exercise] for learner in stuck]),
            }
            for exercise, stuck in at.items()
        ]
        return sorted(found, key=lambda each: (-each["count"], each["exercise"]))

    def _mistakes(self, exercise: str, works: list[Work]) -> list[Json]:
        """The mistakes of the last verdicts; where none was recognized, the outcome."""
        counts = Counter(work.mistake or work.outcome for work in works)
        says = self.names.says.get(exercise, {})
        return [{"name": name, "count": count, "says": says.get(name, "")} for name, count in counts.most_common()]

    def _exercises(self, people: list[Learner]) -> list[Json]:
        """How many have passed, and how many are at it, of every exercise that somebody has tried."""
        tried = {exercise for learner in people for exercise, work in learner.work.items() if work.attempts}
        return [
            {
                "exercise": exercise,
                "title": self.names.titles.get(exercise, ""),
                "passed": sum(work.has_passed for work in works),
                "failing": sum(work.outcome in STUCK and not work.has_passed for work in works),
                "attempts": sum(work.attempts for work in works),
            }
            for exercise in sorted(tried)
            for works in [[learner.work[exercise] for learner in people if exercise in learner.work]]
        ]

    def to_json(self) -> Json:
        """All that is known, for a file."""
        return {"learners": {key: asdict(learner) for key, learner in self.learners.items()}}

    def take_in(self, saved: Json) -> None:
        """Continue from what :meth:`to_json` gave.

        Raises:
            KeyError, TypeError, AttributeError: it is something else.
        """
        for key, entry in saved["learners"].items():
            work = {exercise: Work(**fields) for exercise, fields in entry["work"].items()}
            self.learners[str(key)] = Learner(**entry | {"work": work})
