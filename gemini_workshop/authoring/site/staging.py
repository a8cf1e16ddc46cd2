"""Copy what the site shows into one folder, with links that fit: what Sphinx then builds from."""

from collections.abc import Iterable
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from gemini_workshop.authoring.site.gallery import PARTS, figures_of, gallery_page
from gemini_workshop.authoring.site.links import rewritten
from gemini_workshop.authoring.site.pages import CAPTIONS, lesson_page, written_pages
from gemini_workshop.authoring.site.reference import reference_pages
from gemini_workshop.authoring.source import Lesson, find_sources, read_lesson

LESSONS = """Each lesson is shown here as its **solution**, with everything that its cells print and draw. To take it,
open the **starter**, which has gaps to fill and checks behind them: see [how to take the course](/guides/course.md)."""

GALLERY = "Every figure of the lessons, by the part of the course. Each leads to the cell that draws it."

MODELS = "Two trained models come with the workshop. A card says what each was trained on, and what it can do."


class Stage:
    """The folder that Sphinx reads, and the clone that it is filled from."""

    def __init__(self, top: Path, folder: Path) -> None:
        self.top, self.folder, self.written = top, folder, set[Path]()
        self.lessons = [read_lesson(path) for path in find_sources(top / "notebooks")]

    def fill(self) -> None:
        """Write every page.

        Raises:
            DeadLink: a page links to a file that is not there.
        """
        for path, page in written_pages().items():
            text = self._linked((self.top / path).read_text("utf-8"), path)
            self._write(f"{page}.md", f"{text}\n{_sidebar()}" if page == "index" else text)
        for lesson in self.lessons:
            self._write(f"{lesson_page(lesson.path)}.ipynb", nbformat.writes(self._with_downloads(lesson)))
        for page, text in reference_pages().items():
            self._write(f"{page}.rst", text)
        self._write("lessons/index.md", self._table_of_lessons())
        self._write("models/index.md", _index("Models", MODELS, ["stories-small", "mini-gemini"]))
        self._write_galleries()
        for file in self.folder.rglob("*"):
            if file.is_file() and file not in self.written:
                file.unlink()

    def _stored(self, lesson: Lesson) -> NotebookNode:
        return nbformat.read(self.top / "notebooks" / lesson.files["solution"], as_version=4)

    def _with_downloads(self, lesson: Lesson) -> NotebookNode:
        """The solution, with links for the site and downloads below its title."""
        notebook = self._stored(lesson)
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = self._linked(cell.source, f"notebooks/{lesson.files['solution']}")
        title, _, below = notebook.cells[0].source.partition("\n")
        command = f"With the workshop installed: `gemini-workshop lab {lesson.id}`."
        notebook.cells[0].source = f"{title}\n\n*Download: {self._downloads(lesson)}.* {command}\n{below}"
        return notebook

    def _downloads(self, lesson: Lesson) -> str:
        """Links to the notebooks of a lesson, the starter first."""
        files = {flavour: f"notebooks/{file}" for flavour, file in reversed(lesson.files.items())}
        for path in files.values():
            self._copy(path)
        names = {"solution": "notebook"} if len(files) == 1 else {}
        return ", ".join(f"[{names.get(flavour, flavour)}](path:/files/{path})" for flavour, path in files.items())

    def _table_of_lessons(self) -> str:
        rows = [
            f"| [{lesson.id} {lesson.header.title}](/{lesson_page(lesson.path)}.ipynb) | {lesson.header.minutes} min "
            f"| {self._downloads(lesson)} |"
            for lesson in self.lessons
        ]
        table = "\n".join(["| lesson | time | download |", "|---|---|---|", *rows])
        return _index("Lessons", f"{LESSONS}\n\n{table}", [f"/{lesson_page(lesson.path)}" for lesson in self.lessons])

    def _write_galleries(self) -> None:
        parts = {part: [each for each in self.lessons if each.header.part == part] for part in PARTS}
        shown = {part: lessons for part, lessons in parts.items() if lessons}
        for part, lessons in shown.items():
            figures = [
                (lesson_page(each.path), f"{each.id} {each.header.title}", list(figures_of(self._stored(each))))
                for each in lessons
            ]
            self._write(f"gallery/{part}.md", gallery_page(part, figures))
        links = "\n".join(f"- [{PARTS[part]}](/gallery/{part}.md)" for part in shown)
        self._write("gallery/index.md", _index("Gallery", f"{GALLERY}\n\n{links}", shown))

    def _linked(self, text: str, page: str) -> str:
        return rewritten(text, page, self.top, self._copy)

    def _copy(self, path: str) -> None:
        self._put(f"files/{path}", (self.top / path).read_bytes())

    def _write(self, name: str, text: str) -> None:
        self._put(name, text.encode())

    def _put(self, name: str, content: bytes) -> None:
        """Write a file, unless it is there already: Sphinx reads again whatever is newer."""
        target = self.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.is_file() or target.read_bytes() != content:
            target.write_bytes(content)
        self.written.add(target)


def _index(title: str, text: str, entries: Iterable[str]) -> str:
    """A page above others: a title, a text, and the others for the sidebar."""
    return f"# {title}\n\n{text}\n\n{_toctree(entries)}"


def _sidebar() -> str:
    return "\n".join(_toctree((f"/{page}" for page in pages), caption) for caption, pages in CAPTIONS.items())


def _toctree(entries: Iterable[str], caption: str = "") -> str:
    options = [":hidden:", *([f":caption: {caption}"] if caption else [])]
    return "\n".join(["```{toctree}", *options, "", *entries, "```", ""])
