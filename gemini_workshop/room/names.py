"""Exercises and mistakes in words, from the exercises themselves."""

from dataclasses import dataclass, field

from gemini_workshop.exercises.core.catalogue import all_exercises
from gemini_workshop.exercises.core.exercise import Exercise

NEARLY = {"nearly right": "One step from the right code; the check says which."}
"""What recognition says where a mistake has no name of its own."""


@dataclass(frozen=True, slots=True)
class Names:
    """What ids and short names stand for.

    Attributes:
        titles: the function's name, by exercise.
        says: by exercise and mistake, the sentence that its author reads.
    """

    titles: dict[str, str] = field(default_factory=dict)
    says: dict[str, dict[str, str]] = field(default_factory=dict)

    def known(self, exercise: str, mistake: str) -> str:
        """The mistake, or nothing if the exercise has none of this name: no other text of a learner is ever shown."""
        return mistake if mistake in self.says.get(exercise, {}) else ""


def names_of_lessons() -> Names:
    """All exercises of this version."""
    exercises = all_exercises()
    return Names({id: each.title for id, each in exercises.items()}, {id: _says(e) for id, e in exercises.items()})


def _says(exercise: Exercise) -> dict[str, str]:
    """With the mistakes of smaller exercises inside, which are called "02.2 not scaled"."""
    own = {name: mistake.says for name, mistake in exercise.misconceptions.items()}
    inner = {f"{part.id} {name}": m.says for part in exercise.parts for name, m in part.misconceptions.items()}
    return NEARLY | inner | own
