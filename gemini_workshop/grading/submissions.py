"""Which notebooks a folder holds, whose they are, and which lesson they answer."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from nbformat import NotebookNode

from gemini_workshop.errors import WorkshopError
from gemini_workshop.exercises.core.catalogue import all_exercises
from gemini_workshop.exercises.core.plain import shown
from gemini_workshop.grading.cells import Cell, checks_in, code_cells
from gemini_workshop.lessons.cells import read_notebook
from gemini_workshop.paths import notebooks_folder

LARGEST_BYTES = 50 * 2**20
LISTED = 5
MOODLE = re.compile(r"(?P<name>.+?)_(?P<id>\d+)_assignsubmission_(?:file|onlinetext)_?")
CANVAS = re.compile(r"(?P<name>[^_]+)_(?:LATE_)?(?P<id>\d{2,})_\d{2,}_")
COPY = re.compile(r"(?:[ _-]*\(\d+\)|[ _-]copy\d*|-checkpoint)$", re.IGNORECASE)
CELL_ID = re.compile(r"(\d\d)-(?:\d{3}|welcome)")
NAME_CHARACTERS = 80


@dataclass(frozen=True, kw_only=True)
class Submission:
    """One notebook that was handed in.

    Args:
        learner: from the name of the folder or file.
        number: the learner's, as Moodle and Canvas write it into names; empty otherwise.
        lesson: two digits; empty if nothing in it says.
        problem: why it cannot be graded; otherwise empty.
        kernel: the language that it was saved with.
    """

    learner: str
    number: str
    path: Path
    lesson: str = ""
    cells: list[Cell] = field(default_factory=list)
    problem: str = ""
    kernel: str = "python"


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a folder holds.

    Args:
        ignored: what is not a notebook, each with the reason.
    """

    submissions: list[Submission]
    ignored: list[str]


def find_submissions(folder: Path, newest: bool = False) -> Found:
    """Every notebook in a folder, with its learner and its lesson.

    Args:
        newest: of two notebooks of one learner for one lesson, take the one that was changed last.

    Raises:
        WorkshopError: there is none, or a learner has handed in two for one lesson.
    """
    if not folder.exists():
        raise WorkshopError(f"There is no folder {folder}. Name the one with the notebooks that were handed in.")
    top = folder if folder.is_dir() else folder.parent
    files = sorted(_files(folder))
    notebooks = [path for path in files if path.suffix == ".ipynb" and not path.is_symlink()]
    ignored = [f"{path.relative_to(top)}: {_why_ignored(path)}" for path in files if path not in notebooks]
    if not notebooks:
        raise WorkshopError(_nothing_in(folder, ignored))
    found = [_submission(path, top) for path in notebooks]
    return Found(submissions=_one_for_each_lesson(found, top, newest), ignored=ignored)


def learner_of(path: Path) -> tuple[str, str]:
    """Name and number of a learner, from a path below the folder.

    Example:
        >>> learner_of(Path("ada/02_attention_mechanism_starter.ipynb"))
        ('ada', '')
        >>> learner_of(Path("Ada L_4711_assignsubmission_file_/02.ipynb"))
        ('Ada L', '4711')
        >>> learner_of(Path("lovelaceada_LATE_4711_99_02_attention_mechanism_starter.ipynb"))
        ('lovelaceada', '4711')
    """
    name = path.parts[0] if len(path.parts) > 1 else path.stem
    for pattern in (MOODLE, CANVAS):
        if match := pattern.match(name):
            return _clean(match["name"]), match["id"]
    return _clean(name if len(path.parts) > 1 else _without_lesson(name)), ""


def _files(folder: Path) -> Iterable[Path]:
    """Every file, but what is hidden: editors keep copies there."""
    if not folder.is_dir():
        return [folder]
    every = (path for path in folder.rglob("*") if path.is_symlink() or path.is_file())
    return [path for path in every if not any(part.startswith((".", "__MACOSX")) for part in _below(path, folder))]


def _below(path: Path, folder: Path) -> tuple[str, ...]:
    return path.relative_to(folder).parts


def _why_ignored(path: Path) -> str:
    if path.is_symlink():
        return "a link; what it points to was not handed in"
    if path.suffix.lower() in (".zip", ".gz", ".tar", ".7z", ".rar"):
        return "an archive; unpack it first"
    return "not a notebook (its name does not end in .ipynb)"


def _nothing_in(folder: Path, ignored: list[str]) -> str:
    if not ignored:
        return f"{folder} is empty. Put the notebooks that were handed in there, or a folder for each learner."
    more = f", and {len(ignored) - LISTED} more" if len(ignored) > LISTED else ""
    listed = "; ".join(shown(each, 200) for each in ignored[:LISTED])
    return f"No notebooks in {folder}. Found: {listed}{more}. Files that end in .ipynb are needed."


def _without_lesson(stem: str) -> str:
    """A file's name without that of the lesson: ``ada_02_attention_mechanism_starter`` is ada's."""
    stem = COPY.sub("", stem)
    names = {path.stem for path in notebooks_folder().rglob("[0-9][0-9]_*.ipynb")}
    names |= {name.removesuffix("_starter").removesuffix("_solution") for name in names}
    lesson = next((name for name in sorted(names, key=len, reverse=True) if name in stem), "")
    return (stem.replace(lesson, "").strip(" _-.") or stem) if lesson else stem


def _clean(name: str) -> str:
    return shown(" ".join(COPY.sub("", name).split()), NAME_CHARACTERS) or "nameless"


def _submission(path: Path, top: Path) -> Submission:
    learner, number = learner_of(path.relative_to(top))
    known = Submission(learner=learner, number=number, path=path)
    size = path.stat().st_size
    if size > LARGEST_BYTES:
        return replace(known, problem=f"It has {size / 2**20:,.0f} MiB; notebooks of up to 50 MiB are read.")
    if not path.read_bytes().strip():
        return replace(known, problem="The file is empty.")
    try:
        notebook = read_notebook(path)
    except WorkshopError:
        return replace(known, problem="It cannot be read as a notebook: it is damaged, or of another kind.")
    cells = code_cells(notebook)
    lesson = _lesson(cells, path)
    problem = "" if lesson else "Nothing in it belongs to an exercise of the workshop."
    return replace(known, lesson=lesson, cells=cells, problem=problem, kernel=_language(notebook))


def _language(notebook: NotebookNode) -> str:
    """The language of the kernel that a notebook was saved with; Python, where nothing says."""
    for place, name in (("kernelspec", "language"), ("language_info", "name")):
        section = notebook.metadata.get(place)
        if isinstance(section, dict) and section.get(name):
            return shown(str(section[name]), 40)
    return "python"


def _lesson(cells: list[Cell], path: Path) -> str:
    """By what most of its checks, cells and definitions belong to; else by the file's name."""
    known = all_exercises()
    titles = {each.title: each.lesson for each in known.values()}
    checks = [each for cell in cells for each, _ in checks_in(cell) if each in known]
    found = Counter(each.split(".")[0] for each in checks)
    found.update(match[1] for cell in cells if (match := CELL_ID.fullmatch(cell.id)))
    found.update(titles[name] for cell in cells for name in _defined(cell) if name in titles)
    lessons = {each.lesson for each in known.values()}
    likely = [lesson for lesson, _ in found.most_common() if lesson in lessons]
    named = re.match(r"(\d\d)_", path.name)
    return likely[0] if likely else named[1] if named and named[1] in lessons else ""


def _defined(cell: Cell) -> list[str]:
    return [*cell.broken_names, *(str(node.name) for node in cell.tree.body if hasattr(node, "name"))]


def _one_for_each_lesson(found: list[Submission], top: Path, newest: bool) -> list[Submission]:
    kept: dict[tuple[str, str], Submission] = {}
    twice = []
    for each in found:
        key = (each.learner, each.lesson)
        other = kept.get(key)
        if other is not None and not newest:
            twice.append(f"{each.learner}: {other.path.relative_to(top)} and {each.path.relative_to(top)}")
        if other is None or each.path.stat().st_mtime >= other.path.stat().st_mtime:
            kept[key] = each
    if twice:
        more = f", and {len(twice) - LISTED} more" if len(twice) > LISTED else ""
        raise WorkshopError(
            f"Two notebooks of one learner for one lesson ({'; '.join(twice[:LISTED])}{more}). Delete one of each, or "
            "pass --newest to grade the one that was changed last."
        )
    return list(kept.values())
