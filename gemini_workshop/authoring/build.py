"""From a lesson to its notebooks: the solution is run and keeps its outputs, the starter shows what to expect.

Built twice, a notebook is the same twice. Outputs that could not be (memory addresses, paths, warnings) are errors.
"""

import re
from collections.abc import Callable
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from gemini_workshop.authoring import kernel
from gemini_workshop.authoring.cells import Cell, Flavour
from gemini_workshop.authoring.kernel import BuildError
from gemini_workshop.authoring.source import Lesson
from gemini_workshop.files import write_atomically

KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
LANGUAGE_INFO = {
    "codemirror_mode": {"name": "ipython", "version": 3},
    "file_extension": ".py",
    "mimetype": "text/x-python",
    "name": "python",
    "nbconvert_exporter": "python",
    "pygments_lexer": "ipython3",
}
# What a tag of the source means to nbval, which has tags of its own.
NBVAL_TAGS = {"slow": "nbval-skip", "gpu": "nbval-skip", "check": "nbval-check-output"}
WIDGET = "application/vnd.jupyter.widget-view+json"
WIDGET_FALLBACK = "Run this cell: it shows something to move with the mouse."

# The cell after the first code cell of a starter: on another day it says where the learner stopped.
WELCOME = """\
from gemini_workshop.exercises import welcome_back

welcome_back("{}")  # on another day: what has passed, and how to continue"""

MEMORY_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}")
ABSOLUTE_PATH = re.compile(r"(?<![\w.:/~-])/(?:home|Users|root|tmp|var|opt|usr|mnt|work)/|\b[A-Za-z]:\\\w")

Notebooks = dict[str, NotebookNode]


def build(lesson: Lesson, notebooks: Path, *, execute: bool = True, on_cell: Callable[[], object] = int) -> Notebooks:
    """The notebooks of a lesson, by path below the notebooks folder. Nothing is written.

    Args:
        execute: run the solution; otherwise keep the stored outputs of every cell whose text is unchanged.
        on_cell: called after each cell that ran.

    Raises:
        BuildError: a cell fails, or prints what differs from one run or machine to the next.
    """
    return with_starter(lesson, run_solution(lesson, notebooks, execute=execute, on_cell=on_cell))


def run_solution(lesson: Lesson, notebooks: Path, *, execute: bool, on_cell: Callable[[], object]) -> NotebookNode:
    """The solution of a lesson with its outputs, new ones or those that are stored."""
    solution = assemble(lesson, "solution")
    path = notebooks / lesson.files["solution"]
    if execute:
        path.parent.mkdir(parents=True, exist_ok=True)
        kernel.run(solution, path.parent, on_cell=on_cell)
        _check_images(solution)
    elif path.is_file():
        _keep_outputs(solution, nbformat.read(path, as_version=4))
    _tidy(solution)
    return solution


def with_starter(lesson: Lesson, solution: NotebookNode) -> Notebooks:
    """The solution and, in a lesson that has one, the starter with its expectations."""
    built = {lesson.files["solution"]: solution}
    if "starter" in lesson.files:
        built[lesson.files["starter"]] = assemble(lesson, "starter", solution)
    return built


def write(built: Notebooks, notebooks: Path) -> list[str]:
    """Write notebooks whose content changed; return their paths."""
    changed = []
    for name, notebook in built.items():
        path = notebooks / name
        content = (nbformat.writes(notebook) + "\n").encode()
        if not path.is_file() or path.read_bytes() != content:
            write_atomically(path, content)
            changed.append(name)
    return changed


def assemble(lesson: Lesson, flavour: Flavour, solution: NotebookNode | None = None) -> NotebookNode:
    """One notebook without outputs; a starter gets its expectations from the built solution."""
    outputs = {cell.id: cell.outputs for cell in solution.cells if cell.cell_type == "code"} if solution else {}
    cells = []
    setup = next((cell for cell in lesson.cells if cell.kind == "code"), None)
    for cell in lesson.cells:
        if cell.belongs_to(flavour):
            cells.append(_new_cell(cell, lesson.text(cell, flavour)))
        if flavour == "starter" and cell is setup:
            cells.append(new_code_cell(WELCOME.format(lesson.id), id=f"{lesson.id}-welcome"))
        if flavour == "starter" and cell.has_expectation:
            cells.append(_expectation(cell, outputs.get(cell.id, [])))
    metadata = {"kernelspec": dict(KERNELSPEC), "language_info": dict(LANGUAGE_INFO)}
    return new_notebook(cells=cells, metadata=metadata, nbformat_minor=5)


def _new_cell(cell: Cell, text: str) -> NotebookNode:
    if cell.kind == "markdown":
        return new_markdown_cell(text, id=cell.id)
    tags = cell.tags - {"starter-only", "solution-only"}
    tags |= {NBVAL_TAGS[tag] for tag in tags if tag in NBVAL_TAGS}
    return new_code_cell(text, id=cell.id, metadata={"tags": sorted(tags)} if tags else {})


def _expectation(cell: Cell, outputs: list[NotebookNode]) -> NotebookNode:
    """A folded markdown cell that shows outputs: the blank lines around them make it render everywhere."""
    parts: list[str] = []
    attachments: dict[str, dict[str, str]] = {}
    for output in outputs:
        data = output.get("data", {})
        if "image/png" in data:
            name = f"{cell.id}-{len(attachments)}.png"
            attachments[name] = {"image/png": data["image/png"]}
            parts.append(f"![{_alt(output)}](attachment:{name})")
        elif "text/markdown" in data:
            parts.append(data["text/markdown"].strip())
        elif text := (output.get("text") or data.get("text/plain", "")).rstrip():
            fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
            parts.append(f"{fence}text\n{text}\n{fence}")
    body = "\n\n".join(parts)
    text = f"<details>\n<summary>You should see</summary>\n\n{body}\n\n</details>"
    extra = {"attachments": attachments} if attachments else {}
    return new_markdown_cell(text, id=f"{cell.id}-expected", **extra)


def _alt(output: NotebookNode) -> str:
    """The alternative text of an image, without the brackets that would end it in Markdown."""
    alt = output.get("metadata", {}).get("image/png", {}).get("alt", "")
    return re.sub(r"[\[\]]", "", " ".join(alt.split()))


def _keep_outputs(notebook: NotebookNode, stored: NotebookNode) -> None:
    """Give every code cell the outputs that a cell of the same text had before."""
    had: dict[str, list[NotebookNode]] = {}
    for cell in stored.cells:
        if cell.cell_type == "code":
            had.setdefault(cell.source, []).append(cell)
    for cell in notebook.cells:
        if cell.cell_type == "code" and had.get(cell.source):
            before = had[cell.source].pop(0)
            cell.outputs, cell.execution_count = before.outputs, before.execution_count


def _tidy(notebook: NotebookNode) -> None:
    """Make a notebook that ran the same as it will be next time."""
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNELSPEC, "language_info": LANGUAGE_INFO})
    count = 0
    for cell in notebook.cells:
        if cell.cell_type != "code" or "gpu" in cell.metadata.get("tags", ()):
            continue
        count += 1
        cell.outputs = tidy_outputs(cell, cell.outputs)
        cell.execution_count = count if cell.execution_count else None
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = count


def tidy_outputs(cell: NotebookNode, outputs: list[NotebookNode]) -> list[NotebookNode]:
    """What of a cell's outputs is stored.

    Raises:
        BuildError: one of them differs from one run or machine to the next.
    """
    return [tidy for output in _merge_streams(outputs) if (tidy := _tidy_output(cell, output))]


def _merge_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Join what was printed in one go but arrived in pieces."""
    merged: list[NotebookNode] = []
    for output in outputs:
        is_stream = output.output_type == "stream"
        if is_stream and merged and merged[-1].get("name") == output.name:
            merged[-1].text += output.text
        else:
            merged.append(output)
    return merged


def _check_images(notebook: NotebookNode) -> None:
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if "image/png" in output.get("data", {}) and not _alt(output):
                raise BuildError(
                    f"Cell {cell.id} shows an image without an alternative text. Call use_theme() first, and draw with "
                    "a function of gemini_workshop.visualization."
                )


def _tidy_output(cell: NotebookNode, output: NotebookNode) -> NotebookNode | None:
    if output.get("name") == "stderr":
        if "Warning: " in output.text:
            raise BuildError(
                f"Cell {cell.id} shows a warning. Fix its cause: learners would see it too.\n{output.text}"
            )
        return None
    data = output.get("data", {})
    if data.pop(WIDGET, None) and set(data) == {"text/plain"}:
        data["text/plain"] = WIDGET_FALLBACK
    texts = [output.get("text", ""), *(value for mime, value in data.items() if mime.startswith("text/"))]
    for text in texts:
        for what, pattern in (("a memory address", MEMORY_ADDRESS), ("an absolute path", ABSOLUTE_PATH)):
            if found := pattern.search(text):
                line = next(line for line in text.splitlines() if found[0] in line)
                raise BuildError(
                    f"Cell {cell.id} shows {what}, which differs from machine to machine: {line.strip()[:200]!r}. "
                    "End the cell with a semicolon, or print what you mean."
                )
    return output
