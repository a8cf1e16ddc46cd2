"""Try an answer that was written down: does it do the same without the notebook around it?"""

import sys
import time
from types import ModuleType
from typing import Any

from gemini_workshop.exercises.core.attempt import Attempt, CrashedError, NotStarted, UnfitAnswer
from gemini_workshop.exercises.core.comparison import same
from gemini_workshop.exercises.core.exercise import Arguments, Exercise
from gemini_workshop.exercises.core.standalone import NotKept, standalone

TRY_SECONDS = 1.0


def kept_source(exercise: Exercise, answer: Any, cases: list[Arguments]) -> str:
    """The source of an answer that runs alone, after it has been tried.

    Raises:
        NotKept: it cannot be written down, or is not the same alone.
    """
    source = standalone(answer, exercise.title)
    begun = time.monotonic()
    try:
        attempt = Attempt(exercise.as_function(getattr(_module(source), exercise.title)))
        for case in cases:
            if not same(attempt(*case), exercise.oracle(*case)):
                raise NotKept("alone, without this notebook, it gives other values")
            if time.monotonic() - begun > TRY_SECONDS:
                break
    except (CrashedError, UnfitAnswer, NotStarted) as error:
        raise NotKept(f"alone, without this notebook, it fails: {error.args[-1]}") from None
    except NotKept:
        raise
    except Exception as error:
        raise NotKept(f"alone, without this notebook, it fails: {error}") from None
    return source


def _module(source: str) -> ModuleType:
    module = ModuleType("my_gemini.tried")
    sys.modules[module.__name__] = module
    try:
        exec(compile(source, "<answer>", "exec"), vars(module))  # noqa: S102 (the learner's code, judged before)
    finally:
        del sys.modules[module.__name__]
    return module
