"""The numbers in a lesson's prose, and whether an output or the code beside them has them too."""

import re
from collections.abc import Iterator

from nbformat import NotebookNode

from gemini_workshop.authoring.source import Lesson

WORDS = (
    "two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|"
    "nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|thousand"
)
# Code, formulas, links, exercises, and names of models and sections: their numbers are not claims of the lesson.
NOT_PROSE = re.compile(
    r"```.*?```|`[^`]*`|\$\$.*?\$\$|\$[^$]*\$|\[[^]]*\]\([^)]*\)"
    r"|Gemini\s+\d[.\d]*|[Ss]ection\s+\d+\.[.\d]+|(?:exercise|check of)\s+\d\d\.\d",
    re.DOTALL,
)
FORMULA = re.compile(r"\$\$.*?\$\$|\$[^$]*\$", re.DOTALL)
NUMBER = re.compile(rf"(?<![\w.])[-+]?\d+(?:[.,]\d+)*(?!\w)|\b(?:{WORDS})(?:-\w+)?\b", re.IGNORECASE)
CHAPTER = re.compile(r"^## ", re.MULTILINE)


def numbers_by_section(lesson: Lesson) -> dict[str, str]:
    """The numbers of a lesson's prose, in digits or words, in order, by the heading that they follow."""
    sections = {title: " ".join(NUMBER.findall(NOT_PROSE.sub(" ", text))) for title, text in _sections(lesson)}
    return {title: numbers for title, numbers in sections.items() if numbers}


def formulas_by_section(lesson: Lesson) -> dict[str, str]:
    """The formulas of a lesson's prose, in order, by the heading that they follow."""
    sections = {title: " ".join(FORMULA.findall(text)) for title, text in _sections(lesson)}
    return {title: formulas for title, formulas in sections.items() if formulas}


def unsupported(lesson: Lesson, solution: NotebookNode) -> Iterator[str]:
    """Every number with decimals in the prose that no code and no output of the same chapter shows.

    Args:
        solution: the lesson's notebook with its outputs.
    """
    for chapter in _chapters(solution):
        evidence = "\n".join(_evidence(cell) for cell in chapter if cell.cell_type == "code")
        for cell in chapter:
            if cell.cell_type == "markdown":
                prose = NUMBER.findall(NOT_PROSE.sub(" ", cell.source))
                yield from (
                    f"{lesson.path.name}: {number} in cell {cell.id} is in no output and no code of its chapter"
                    for number in prose
                    if "." in number and not re.search(rf"(?<![\d.]){re.escape(number)}(?!\d)", evidence)
                )


def _sections(lesson: Lesson) -> Iterator[tuple[str, str]]:
    title, text = "", ""
    for line in "\n".join(cell.text for cell in lesson.cells if cell.kind == "markdown").splitlines():
        if line.startswith("#"):
            yield title, text
            title, text = line.lstrip("# "), ""
        else:
            text += line + "\n"
    yield title, text


def _chapters(notebook: NotebookNode) -> Iterator[list[NotebookNode]]:
    chapter: list[NotebookNode] = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and CHAPTER.search(cell.source) and chapter:
            yield chapter
            # What closes one chapter in the cell that opens the next still speaks of the outputs above.
            chapter = [chapter[-1]] if CHAPTER.match(cell.source) is None else []
        chapter.append(cell)
    yield chapter


def _evidence(cell: NotebookNode) -> str:
    shown = (output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.outputs)
    return "\n".join([cell.source, *shown])
