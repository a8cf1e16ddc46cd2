"""The lessons that exist, for tests to run over: a new source is covered without touching a test."""

import nbformat

from gemini_workshop.authoring.source import Lesson, find_sources, read_lesson
from gemini_workshop.paths import notebooks_folder

NOTEBOOKS = notebooks_folder()
LESSONS = [read_lesson(path) for path in find_sources(NOTEBOOKS)]
PAIRS = [lesson for lesson in LESSONS if "starter" in lesson.files]


def name(lesson: Lesson) -> str:
    """How a lesson is called in the list of tests."""
    return lesson.path.stem


def committed(lesson: Lesson, flavour: str) -> nbformat.NotebookNode:
    """A notebook as it stands in the repository."""
    return nbformat.read(NOTEBOOKS / lesson.files[flavour], as_version=4)


def verdicts(notebook: nbformat.NotebookNode, lesson: Lesson) -> dict[str, str]:
    """What each check cell shows, by exercise id."""
    by_id = {cell.id: cell for cell in notebook.cells}
    found = {}
    for cell in lesson.cells:
        for call in cell.checks:
            outputs = by_id[cell.id].outputs
            texts = [output.get("text") or output.data["text/plain"] for output in outputs]
            found[call.exercise_id] = next((text for text in texts if call.exercise_id in text), "")
    return found
