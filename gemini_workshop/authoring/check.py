"""Whether the committed notebooks are what their sources give, and if not, where they differ."""

import base64
import difflib
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from gemini_workshop.authoring.build import run_solution, with_starter
from gemini_workshop.authoring.outputs import disagreements, png_size
from gemini_workshop.authoring.source import Lesson


def differences(
    lesson: Lesson, notebooks: Path, *, execute: bool, on_cell: Callable[[], object] = int
) -> Iterator[str]:
    """What differs between a lesson's committed notebooks and its rebuilt ones, a few lines each.

    Everything is compared exactly but the outputs of a solution that was run again: see ``authoring.outputs``.
    """
    solution = run_solution(lesson, notebooks, execute=execute, on_cell=on_cell)
    path = notebooks / lesson.files["solution"]
    if execute and path.is_file():
        settle(solution, nbformat.read(path, as_version=4))
    for name, rebuilt in with_starter(lesson, solution).items():
        if not (notebooks / name).is_file():
            yield f"{name} is missing. Run: gemini-workshop notebooks build {lesson.id}"
            continue
        committed = nbformat.read(notebooks / name, as_version=4)
        yield from (f"{name} · {line}" for line in compare(committed, rebuilt))
        if not execute and name == lesson.files["solution"]:
            for cell in _cells_never_run(rebuilt):
                yield f"{name} · {cell.id} was never run. Run: gemini-workshop notebooks build {lesson.id}"


def orphans(lessons: Iterable[Lesson], notebooks: Path) -> list[str]:
    """Notebooks that no source gives."""
    built = {name for lesson in lessons for name in lesson.files.values()}
    there = (path.relative_to(notebooks) for path in sorted(notebooks.rglob("*.ipynb")))
    return [
        str(path.as_posix())
        for path in there
        if ".ipynb_checkpoints" not in path.parts and path.as_posix() not in built
    ]


def compare(committed: NotebookNode, rebuilt: NotebookNode) -> list[str]:
    """Where two notebooks differ: by lines if their texts do, else by cells."""
    old, new = _lines(committed), _lines(rebuilt)
    changed: dict[str, list[str]] = {}
    matcher = difflib.SequenceMatcher(a=[line for _, line in old], b=[line for _, line in new], autojunk=False)
    for operation, a, a_end, b, b_end in matcher.get_opcodes():
        if operation != "equal":
            cell_id = (new[b] if b < b_end else old[a])[0]
            lines = [f"  - {line}" for _, line in old[a:a_end]] + [f"  + {line}" for _, line in new[b:b_end]]
            changed.setdefault(cell_id, []).extend(lines)
    found = ["\n".join([f"cell {key} (- committed, + rebuilt)", *lines]) for key, lines in changed.items()]
    if found:
        return found
    for before, after in zip(committed.cells, rebuilt.cells, strict=True):
        if _images(before) != _images(after):
            found.append(f"cell {after.id}: the image is {_sizes(before)}, rebuilt {_sizes(after)}")
        elif _without_images(before) != _without_images(after):
            found.append(f"cell {after.id}: the id, the tags or other metadata differ")
    if committed.metadata != rebuilt.metadata:
        found.append("the notebook's metadata differ")
    return found


def settle(fresh: NotebookNode, stored: NotebookNode) -> None:
    """Give every cell the outputs that are stored for it, if those that it shows now agree with them."""
    had = {cell.id: cell for cell in stored.cells if cell.cell_type == "code"}
    for cell in fresh.cells:
        if cell.cell_type == "code" and (before := had.get(cell.id)) and before.source == cell.source:
            rounded = "rounded" in cell.metadata.get("tags", ())
            if not disagreements(before.outputs, cell.outputs, rounded=rounded):
                cell.outputs = before.outputs


def _cells_never_run(notebook: NotebookNode) -> list[NotebookNode]:
    return [
        cell
        for cell in notebook.cells
        if cell.cell_type == "code" and not cell.execution_count and "gpu" not in cell.metadata.get("tags", ())
    ]


def _lines(notebook: NotebookNode) -> list[tuple[str, str]]:
    """All text of a notebook, each line with the id of its cell."""
    lines = []
    for cell in notebook.cells:
        text = [f"[{cell.cell_type}]", *cell.source.splitlines()]
        for output in cell.get("outputs", ()):
            text.append(f"[{output.output_type}]")
            text += output.get("text", "").splitlines()
            for mime, value in sorted(output.get("data", {}).items()):
                text.append(f"[{mime}]")
                text += str(value).splitlines() if not mime.startswith("image/") else []
        text += [f"[attachment {name}]" for name in cell.get("attachments", ())]
        lines += [(cell.get("id", "without id"), line) for line in text]
    return lines


def _images(cell: NotebookNode) -> list[bytes]:
    bundles = [output.get("data", {}) for output in cell.get("outputs", ())]
    bundles += cell.get("attachments", {}).values()
    return [base64.b64decode(bundle["image/png"]) for bundle in bundles if "image/png" in bundle]


def _sizes(cell: NotebookNode) -> str:
    found = [("{}x{}".format(*png_size(image)), hashlib.sha256(image).hexdigest()[:8]) for image in _images(cell)]
    return ", ".join(f"{size} ({key})" for size, key in found) or "absent"


def _without_images(cell: NotebookNode) -> str:
    bare = nbformat.from_dict(cell)
    for bundle in [*(o.get("data", {}) for o in bare.get("outputs", ())), *bare.get("attachments", {}).values()]:
        bundle.pop("image/png", None)
    return json.dumps(bare, sort_keys=True)
