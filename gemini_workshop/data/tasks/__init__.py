"""Tasks: examples to train and to measure a model that reads text, images, audio and videos.

    task = find_task("spoken-digits")
    task.example(7, "train")      # any index from 0; drawn and augmented, the same each time
    task.example(7, "heldout")    # below len(task); never in training, never augmented

Which images, voices, pairs of numbers and texts are held out is decided in ``splits`` for all tasks together.
"""

from collections.abc import Callable

from gemini_workshop.data.corpora import MIRROR_VARIABLE
from gemini_workshop.data.tasks.arithmetic import Arithmetic
from gemini_workshop.data.tasks.drawn import DrawnTask, is_here
from gemini_workshop.data.tasks.emoji import ICONS, STYLES, WHICH_EMOJI, WHICH_ICON, DrawingNames
from gemini_workshop.data.tasks.example import Example, Split, Task
from gemini_workshop.data.tasks.films import Films
from gemini_workshop.data.tasks.hearing import DialTones, SpokenDigits
from gemini_workshop.data.tasks.naming import CLOTHES, WHICH_CLOTHES, WHICH_DIGIT, DigitQuestions, ImageNames
from gemini_workshop.data.tasks.pairs import CompareImages, ImageSound
from gemini_workshop.data.tasks.stories import Needle, Stories
from gemini_workshop.data.tasks.words import WORDS
from gemini_workshop.errors import DataError, unknown_name

__all__ = ["Example", "Split", "Task", "find_task", "task_names", "tasks"]

MAKERS: dict[str, Callable[[], DrawnTask]] = {
    "digits": lambda: ImageNames("digits", "name a digit, 16 x 16 pixels", WORDS, WHICH_DIGIT),
    "mnist": lambda: ImageNames("mnist", "name a digit, 28 x 28 pixels", WORDS, WHICH_DIGIT),
    "fashion-mnist": lambda: ImageNames("fashion-mnist", "name a piece of clothing", CLOTHES, WHICH_CLOTHES),
    "digit-questions": DigitQuestions,
    "emoji-names": lambda: DrawingNames("emoji-names", "name an emoji, in a style not seen of it", STYLES, WHICH_EMOJI),
    "icon-names": lambda: DrawingNames("icon-names", "name a line icon", (ICONS,), WHICH_ICON, STYLES),
    "dial-tones": DialTones,
    "spoken-digits": SpokenDigits,
    "image-sound": ImageSound,
    "compare-images": CompareImages,
    "films": Films,
    "stories": Stories,
    "needle": Needle,
    "arithmetic": Arithmetic,
}


def task_names() -> list[str]:
    """All tasks, also those whose corpora are not on this machine."""
    return list(MAKERS)


def tasks() -> dict[str, Task]:
    """The tasks whose corpora are on this machine, by name."""
    return {name: task for name, make in MAKERS.items() if not _missing(task := make())}


def find_task(name: str) -> Task:
    """The task of that name.

    Raises:
        DataError: there is none, or a corpus that it reads is not on this machine.
    """
    if name not in MAKERS:
        raise DataError(unknown_name("task", name, MAKERS))
    task = MAKERS[name]()
    if missing := _missing(task):
        raise DataError(
            f"The task {name} needs the corpora {', '.join(missing)}, which are not on this machine. Fetch them with "
            f"`gemini-workshop data get`, set {MIRROR_VARIABLE} to a folder that holds them, or choose another task: "
            f"{', '.join(tasks())}."
        )
    return task


def _missing(task: DrawnTask) -> list[str]:
    return [corpus for corpus in task.needs if not is_here(corpus)]
