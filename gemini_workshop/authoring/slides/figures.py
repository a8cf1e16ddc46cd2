"""The figures of the slides: what the lessons draw, drawn again as vector graphics, larger and without their titles.

A figure is called after its lesson and the function that draws it, ``01-recall``; the second of that function in the
lesson is ``01-recall-2``. Drawing runs the lesson, which takes up to a minute or two, so the figures are kept in
``slides/figures``. ``figures.json`` beside them records from what they were drawn: the code of the cell and the picture
that the solution notebook stores. When one of these changes, the figure is out of date.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from gemini_workshop.authoring import kernel
from gemini_workshop.authoring.build import assemble
from gemini_workshop.authoring.source import Lesson, find_sources, read_lesson
from gemini_workshop.errors import WorkshopError, unknown_name

DRAWS = re.compile(r"^figure = (?:\w+\.)?(\w+)\(", re.MULTILINE)
CITED = re.compile(r'(?:drawn|finding)\(\s*"([\w-]+)"')
RECORD = "figures.json"
AFTER_A_FIGURE = """\
from gemini_workshop.authoring.slides.fitting import write_svg

write_svg(figure, {path!r})"""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a figure comes from.

    Args:
        cell: the id of the cell that draws it.
        code: a digest of that cell's text; ``picture`` is one of what the solution notebook shows below it.
    """

    cell: str
    code: str
    picture: str


def cited(decks: Iterable[Path]) -> list[str]:
    """The names of the figures that these decks show, in order."""
    return sorted({name for deck in decks for name in CITED.findall(deck.read_text("utf-8"))})


def sources_of(lesson: Lesson, notebooks: Path) -> dict[str, Source]:
    """Every figure that a lesson draws and stores, by its name."""
    solution = nbformat.read(notebooks / lesson.files["solution"], as_version=4)
    return {
        name: Source(cell=cell.id, code=_digest(cell.source), picture=_digest(_picture(cell)))
        for name, cell in _drawing_cells(lesson.id, solution)
        if _picture(cell)
    }


def out_of_date(slides: Path, notebooks: Path, names: Iterable[str]) -> list[str]:
    """Those of the figures that were never drawn, or from something else than what the lessons are now.

    Raises:
        WorkshopError: a name belongs to no figure of any lesson.
    """
    now = _all_sources(notebooks, names)
    record = read_record(slides)
    drawn = {name for name in now if (slides / "figures" / f"{name}.svg").is_file() and name in record}
    return [name for name in now if name not in drawn or record[name]["source"] != asdict(now[name])]


def draw(slides: Path, notebooks: Path, names: Iterable[str]) -> None:
    """Run the lessons of these figures, and draw each one into ``slides/figures``."""
    names = list(names)
    now = _all_sources(notebooks, names)
    for lesson_id in sorted({name[:2] for name in names}):
        lesson = read_lesson(find_sources(notebooks, [lesson_id])[0])
        wanted = {now[name].cell: name for name in names if name.startswith(lesson_id)}
        notebook = assemble(lesson, "solution")
        notebook.cells = list(_up_to_the_last(notebook, wanted, slides.absolute() / "figures"))
        kernel.run(notebook, notebooks / lesson.header.part)
        _note(slides, {name: asdict(now[name]) for name in wanted.values()})


def read_record(slides: Path) -> dict:
    """What is known about each drawn figure: its title, alternative text, size on the slide and source."""
    path = slides / "figures" / RECORD
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


def forget(slides: Path, names: Iterable[str]) -> None:
    """Delete every figure but those that are named."""
    kept = set(names)
    for path in (slides / "figures").glob("*.svg"):
        if path.stem not in kept:
            path.unlink()
    _write_record(slides, {name: entry for name, entry in read_record(slides).items() if name in kept})


def _all_sources(notebooks: Path, names: Iterable[str]) -> dict[str, Source]:
    names = list(names)
    known: dict[str, Source] = {}
    for path in find_sources(notebooks):
        if path.name[:2] in {name[:2] for name in names}:
            known |= sources_of(read_lesson(path), notebooks)
    for name in names:
        if name not in known:
            raise WorkshopError(unknown_name("figure", name, known))
    return {name: known[name] for name in names}


def _drawing_cells(lesson_id: str, notebook: NotebookNode) -> Iterator[tuple[str, NotebookNode]]:
    count: dict[str, int] = {}
    for cell in notebook.cells:
        if cell.cell_type == "code" and (found := DRAWS.search(cell.source)):
            function = found[1].replace("_", "-")
            count[function] = count.get(function, 0) + 1
            yield f"{lesson_id}-{function}" + (f"-{count[function]}" if count[function] > 1 else ""), cell


def _picture(cell: NotebookNode) -> str:
    return next((o.data["image/png"] for o in cell.get("outputs", ()) if "image/png" in o.get("data", {})), "")


def _up_to_the_last(notebook: NotebookNode, wanted: dict[str, str], folder: Path) -> Iterator[NotebookNode]:
    """The cells that are needed, without checks, and one more after each wanted figure."""
    left = set(wanted)
    for cell in notebook.cells:
        if cell.cell_type != "code" or not left:
            continue
        if "check" not in cell.metadata.get("tags", ()):
            yield cell
        if cell.id in left:
            left.remove(cell.id)
            yield new_code_cell(AFTER_A_FIGURE.format(path=str(folder / f"{wanted[cell.id]}.svg")))


def _note(slides: Path, sources: dict[str, dict[str, str]]) -> None:
    """Add new figures to the record, with what ``write_svg`` left beside each of them."""
    record = read_record(slides)
    for name, source in sources.items():
        left_beside = slides / "figures" / f"{name}.json"
        record[name] = {**json.loads(left_beside.read_text("utf-8")), "source": source}
        left_beside.unlink()
    _write_record(slides, record)


def _write_record(slides: Path, record: dict) -> None:
    text = json.dumps(dict(sorted(record.items())), indent=2, ensure_ascii=False)
    (slides / "figures" / RECORD).write_text(text + "\n", "utf-8")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
