"""Small lessons, written where a test wants them."""

from pathlib import Path

from gemini_workshop.authoring.source import Lesson, read_lesson

HEADER = """\
# ---
# jupyter:
#   kernelspec: {{name: python3, display_name: Python 3, language: python}}
#   workshop:
#     lesson: "90"
#     title: A lesson for tests
#     part: {part}
#     kind: {kind}
#     minutes: 5
#     budget_seconds: 10
# ---

"""

HEADER_LINES = HEADER.count("\n")

# A lesson with one of everything; it needs no torch, so that its kernel starts quickly.
BODY = '''\
# %% [markdown]
# # A lesson for tests

# %%
import io
from base64 import b64decode

from IPython.display import Image, display

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


def check(exercise_id, function):
    try:
        print(exercise_id, "passed" if function(2) == 3 else "wrong answer")
    except NotImplementedError:
        print(exercise_id, "not started")
    return lambda number: number + 1


# %%
def add_one(number: int) -> int:
    """The next number."""
    # SOLUTION
    # 1. Add one
    #    and not two.
    result = number + 1

    # not a step
    # 2. Give it back.
    return result
    # END SOLUTION


# %% tags=["check"]
add_one = check("90.1", add_one)

# %% tags=["expected"]
print("three is", add_one(2))
display(Image(b64decode(PIXEL), alt="One [grey] pixel."))

# %% tags=["solution-only"]
print("for instructors")

# %% tags=["starter-only"]
print("for learners")

# %% tags=["gpu"]
raise SystemError("no GPU here")
'''


def notebooks_with(
    folder: Path, body: str = BODY, *, part: str = "part9_tests", kind: str = "pair", stem: str = "90_tests"
) -> Path:
    """A notebooks folder that holds one source."""
    source = folder / "notebooks" / "sources" / f"{stem}.py"
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_text(HEADER.format(part=part, kind=kind) + body, "utf-8")
    return folder / "notebooks"


def lesson_with(folder: Path, body: str = BODY, **header: str) -> Lesson:
    """One lesson, read."""
    return read_lesson(next((notebooks_with(folder, body, **header) / "sources").iterdir()))
