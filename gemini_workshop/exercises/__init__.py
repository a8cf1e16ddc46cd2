"""Exercises that say what is wrong, hints, quizzes and the learner's progress: ``core`` and one folder per lesson.

A notebook imports from here: ``from gemini_workshop.exercises import check, hint, quiz, solution``. This is also the
moment from which on answers are judged by the meaning that every name has now, whatever a notebook does to it later.
"""

from gemini_workshop.exercises.core.calls import check, hint, quiz, solution
from gemini_workshop.exercises.core.catalogue import all_exercises
from gemini_workshop.exercises.core.own_parts import is_own, own_or
from gemini_workshop.exercises.core.pristine import remember
from gemini_workshop.exercises.core.welcome import welcome_back

__all__ = ["check", "hint", "is_own", "own_or", "quiz", "solution", "welcome_back"]

remember(all_exercises().values())
