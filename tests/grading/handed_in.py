"""What a room may hand in, from all right to hostile, with what the grader has to say about each."""

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gemini_workshop.lessons.folder import copies
from gemini_workshop.paths import notebooks_folder
from tests.grading import answers as given
from tests.grading.answers import HEADS, RIGHT, does_first
from tests.grading.editors import EDITORS, lab

TITLES = tuple(RIGHT)
P, W, E, N, Y = "passed", "wrong answer", "error in your code", "not started", "not yours yet"


@dataclass(frozen=True, kw_only=True)
class HandedIn:
    """A submission and what is right to say about it.

    Args:
        outcomes: of the four exercises; empty if the file cannot be graded.
        mistakes: by exercise, a part of the name of the mistake.
        says: parts of what its learner reads.
        signs: parts of what the instructor reads.
    """

    content: bytes
    outcomes: tuple[str, ...]
    mistakes: dict[str, str] = field(default_factory=dict)
    says: tuple[str, ...] = ()
    signs: tuple[str, ...] = ()


def starter() -> dict[str, Any]:
    """The starter of lesson 02."""
    return dict(json.loads(copies(notebooks_folder())["02"].shipped.read_bytes()))


def filled(answers: dict[str, str], change: Callable[[dict[str, Any]], None] = lambda _: None) -> dict[str, Any]:
    """The starter with these answers in place of its gaps, and then changed."""
    notebook = copy.deepcopy(starter())
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        for title, answer in answers.items():
            if cell["cell_type"] == "code" and text.startswith(f"def {title}("):
                cell["source"] = answer.strip()
    change(notebook)
    return notebook


def but(**answers: str) -> dict[str, str]:
    """All right but for these."""
    return RIGHT | answers


def in_one(title: str, answer: str, outcome: str, change: Any = None, **expected: Any) -> HandedIn:
    """All right but for one exercise."""
    outcomes = tuple(outcome if each == title else P for each in TITLES)
    return HandedIn(
        content=lab(filled(but(**{title: answer}), change or (lambda _: None))), outcomes=outcomes, **expected
    )


def all_right(content: bytes | None = None, **expected: Any) -> HandedIn:
    """All right, but perhaps odd."""
    return HandedIn(content=lab(filled(RIGHT)) if content is None else content, outcomes=(P, P, P, P), **expected)


def cell_before(title: str, source: str) -> Callable[[dict[str, Any]], None]:
    """Add a cell above the definition of an exercise."""

    def change(notebook: dict[str, Any]) -> None:
        places = [i for i, cell in enumerate(notebook["cells"]) if f"def {title}(" in "".join(cell["source"])]
        cell = {"cell_type": "code", "execution_count": None, "id": "added", "metadata": {}, "outputs": []}
        notebook["cells"].insert(places[0], cell | {"source": source})

    return change


def replaced(old: str, new: str) -> Callable[[dict[str, Any]], None]:
    """Change a text wherever it is in the cells."""

    def change(notebook: dict[str, Any]) -> None:
        for cell in notebook["cells"]:
            cell["source"] = "".join(cell["source"]).replace(old, new)

    return change


def with_output(text: str) -> Callable[[dict[str, Any]], None]:
    """Let the first check's stored output say this."""

    def change(notebook: dict[str, Any]) -> None:
        for cell in notebook["cells"]:
            if 'check("02.1"' in "".join(cell["source"]):
                cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": [text]}]

    return change


def saved_as(editor: str) -> HandedIn:
    """All right, saved by an editor."""
    return all_right(EDITORS[editor](filled(RIGHT)))


def quick() -> dict[str, HandedIn]:
    """A few of each kind, several in one notebook, which take seconds; "" is an answer whose cell was emptied."""
    stub = HEADS["softmax"] + '    raise NotImplementedError("02.1 softmax: your turn")\n'
    imported = "from gemini_workshop.models.masks import additive_mask as theirs\n\nadditive_mask = theirs"
    broken = given.ADDITIVE.replace("float32):", "float32:")
    bomb = does_first("causal_mask", "import os\nwhile True:\n    os.fork()")
    hungry = does_first("additive_mask", "hoard = []\nwhile True:\n    hoard.append(torch.ones(4_000_000))")
    tampered = dict(zip(TITLES, (_forging(), "", _looked_up(), imported), strict=True))
    mistaken = dict(zip(TITLES, (stub, given.NOT_SCALED, "", broken), strict=True))
    hostile = dict(zip(TITLES, ("", "", bomb, hungry), strict=True))
    return {
        "saved_by_colab": saved_as("colab"),
        "tampered": HandedIn(
            content=lab(filled(tampered)),
            outcomes=(W, N, W, Y),
            mistakes={"02.1": "forged verdict", "02.3": "right for the known numbers only"},
            signs=("imports from the package",),
        ),
        "mistaken": HandedIn(
            content=lab(filled(mistaken, with_output("✓ 02.1 softmax · passed"))),
            outcomes=(N, W, N, E),
            mistakes={"02.2": "not scaled"},
            says=("SyntaxError", "No cell defines"),
            signs=("stored output says that 02.1",),
        ),
        "<img src=x onerror=alert(1)>": HandedIn(content=lab(filled(hostile)), outcomes=(N, N, E, E), says=("MiB",)),
        "damaged": HandedIn(content=b'{"cells": [', outcomes=(), signs=("cannot be read as a notebook",)),
    }


def everything(folder: Path) -> dict[str, HandedIn]:
    """All of them, by the name of the learner.

    Args:
        folder: where a hostile one tries to write.
    """
    return dict(_everything(folder))


def write(handed_in: dict[str, HandedIn], folder: Path) -> None:
    """One file for each."""
    folder.mkdir(parents=True)
    for name, each in handed_in.items():
        (folder / f"{name}.ipynb").write_bytes(each.content)


def _everything(folder: Path) -> Iterator[tuple[str, HandedIn]]:
    yield "all_right", all_right()
    yield "copied", all_right(signs=("same to the letter",))
    for editor in EDITORS:
        yield f"saved_by_{editor}", saved_as(editor)
    yield "annotated", in_one("softmax", given.ANNOTATED, P)
    yield from _wrong()
    yield from _odd()
    yield from _hostile(folder)
    yield from _tampered()


def _wrong() -> Iterator[tuple[str, HandedIn]]:
    sdpa = "scaled_dot_product_attention"
    yield "untouched", HandedIn(content=lab(starter()), outcomes=(N, N, N, N))
    yield "wrong_softmax", in_one("softmax", given.NO_EXP, W, mistakes={"02.1": "no exponential"})
    yield "wrong_overflow", in_one("softmax", given.OVERFLOWS, W, mistakes={"02.1": "overflows"})
    yield "wrong_scale", in_one(sdpa, given.NOT_SCALED, W, mistakes={"02.2": "not scaled"}, says=("√head_dim",))
    yield "wrong_mask", in_one(sdpa, given.UPSIDE_DOWN, W, mistakes={"02.2": "mask upside down"})
    yield "wrong_triangle", in_one("causal_mask", given.SEES_NEXT, W, mistakes={"02.3": "sees the next token"})
    yield "wrong_sign", in_one("causal_mask", given.HIDDEN, W, mistakes={"02.3": "True means hidden"})
    yield "wrong_infinity", in_one("additive_mask", given.ZERO_TIMES, W, mistakes={"02.4": "zero times infinity"})
    yield "wrong_gradient", in_one("softmax", given.DETACHED, W, says=("gradient",))
    yield "returns_nothing", in_one("softmax", given.NOTHING, W, says=("return",))
    yield "crashes", in_one(sdpa, given.CRASHES, E, says=("Line 2", "RuntimeError"))


def _odd() -> Iterator[tuple[str, HandedIn]]:
    broken = given.SOFTMAX.replace("dim=-1):", "dim=-1:")
    yield "syntax_error", in_one("softmax", broken, E, says=("Line 1", "SyntaxError"))
    yield "empty_file", HandedIn(content=b"", outcomes=(), signs=("is empty",))
    yield "damaged", HandedIn(content=b'{"cells": [', outcomes=(), signs=("cannot be read as a notebook",))
    nothing = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    yield "no_cells", HandedIn(content=lab(nothing), outcomes=(), signs=("Nothing in it belongs",))
    yield "other_kernel", all_right(_with_kernel(RIGHT, "R", "ir"), signs=("kernel of 'R'",))
    julia = dict.fromkeys(RIGHT, "softmax(x) = exp.(x) ./ sum(exp.(x))\nend")
    yield (
        "other_language",
        HandedIn(content=_with_kernel(julia, "julia", "julia-1.10"), outcomes=(N, N, N, N), signs=("kernel",)),
    )
    path = does_first("softmax", 'open("/home/learner/project/weights.txt").read()')
    yield "absolute_path", in_one("softmax", path, E, says=("FileNotFoundError", "/home/learner/project"))
    yield "huge_stored_output", all_right(lab(filled(RIGHT, with_output("x" * 20_000_000))))
    yield "magics", all_right(lab(filled(RIGHT, cell_before("softmax", "%matplotlib inline\n!ls\nimport math"))))


def _with_kernel(answers: dict[str, str], language: str, name: str) -> bytes:
    notebook = filled(answers)
    notebook["metadata"] = {"kernelspec": {"display_name": language, "language": language, "name": name}}
    return lab(notebook)


def _hostile(folder: Path) -> Iterator[tuple[str, HandedIn]]:
    loop = HEADS["softmax"] + "    while True:\n        pass\n"
    yield "hangs", in_one("softmax", loop, E, says=("did not come back", "Line "))
    needed = does_first("softmax", "return ENDLESS")
    hanging = cell_before("softmax", "import time\nENDLESS = time.sleep(1e6)")
    yield "hangs_in_a_cell", in_one("softmax", needed, E, hanging, says=("not done within", "Line 2"))
    hungry = "hoard = []\nwhile True:\n    hoard.append(torch.ones(4_000_000))"
    yield "eats_memory", in_one("softmax", does_first("softmax", hungry), E, says=("MiB",))
    bomb = "import os\nwhile True:\n    os.fork()"
    yield "fork_bomb", in_one("softmax", does_first("softmax", bomb), E)
    threads = "import threading\nwhile True:\n    threading.Thread(target=print).start()"
    yield "thread_bomb", in_one("softmax", does_first("softmax", "try:\n    pass\nfinally:\n    pass\n" + threads), E)
    flood = 'import os\nwhile True:\n    print("x" * 1_000_000)\n    os.write(1, b"x" * 1_000_000)'
    yield "floods_output", in_one("softmax", does_first("softmax", flood), E)
    network = 'import socket\nsocket.create_connection(("192.0.2.1", 80), 1)'
    yield "uses_network", in_one("softmax", does_first("softmax", network), E, says=("OSError",))
    kills = "import os, signal\nos.kill(-1, signal.SIGKILL)"
    yield "kills_everything", in_one("softmax", does_first("softmax", kills), E)
    writes = f"from pathlib import Path\nPath({str(folder)!r}, 'mine').write_text('mine')"
    yield "writes_elsewhere", in_one("softmax", does_first("softmax", writes), E, says=("Error",))
    leaves = "import os\nos._exit(0)"
    yield "leaves", in_one("softmax", does_first("softmax", leaves), E, says=("os._exit",))
    fills = 'with open("big", "wb") as file:\n    while True:\n        file.write(bytes(1_000_000))'
    yield "fills_the_disk", in_one("softmax", does_first("softmax", fills), E)


def _tampered() -> Iterator[tuple[str, HandedIn]]:
    stub = HEADS["softmax"] + '    raise NotImplementedError("02.1 softmax: your turn")\n'
    anew = cell_before("softmax", 'def check(name, function):\n    print(f"✓ {name} softmax · passed")')
    yield "tampered_check", in_one("softmax", stub, N, anew, signs=("`check` was defined again",))
    edited = replaced('check("02.1", softmax)', 'check("02.1", torch.softmax)')
    yield "tampered_call", in_one("softmax", stub, N, edited, signs=("the check of 02.1 was edited",))
    output = with_output("✓ 02.1 softmax · passed\n")
    yield "tampered_output", in_one("softmax", stub, N, output, signs=("stored output says that 02.1",))
    yield (
        "tampered_hard_coded",
        in_one("causal_mask", _looked_up(), W, mistakes={"02.3": "right for the known numbers only"}),
    )
    imported = "from gemini_workshop.models.attention import softmax as theirs\n\nsoftmax = theirs"
    yield (
        "tampered_import",
        in_one("softmax", imported, Y, says=("package's own",), signs=("imports from the package",)),
    )
    wrapped = (
        HEADS["softmax"]
        + "    from gemini_workshop.models import attention\n    return attention.softmax(scores, dim)\n"
    )
    yield "tampered_wrapped", in_one("softmax", wrapped, Y, signs=("imports from the package",))
    oracle = (
        "from gemini_workshop.exercises.core.catalogue import find\n\n"
        "def softmax(scores, dim=-1):\n    return find('02.1').oracle(scores, dim).to(scores.dtype)\n"
    )
    yield (
        "tampered_oracle",
        HandedIn(content=lab(filled(but(softmax=oracle))), outcomes=(Y, P, P, P), signs=("imports from the package",)),
    )
    yield (
        "tampered_forged_verdict",
        in_one("softmax", _forging(), W, mistakes={"02.1": "forged verdict"}, signs=("imports from the package",)),
    )
    patch = cell_before("softmax", "torch.allclose = lambda *_, **__: True\ntorch.Tensor.sum = torch.Tensor.mean")
    yield (
        "tampered_torch",
        in_one("softmax", given.NO_EXP, W, patch, signs=("changes what was imported: `torch.allclose`",)),
    )
    theirs = cell_before(
        "softmax",
        "import gemini_workshop.models.attention as package\npackage.softmax = lambda scores, dim=-1: scores * 0",
    )
    yield (
        "tampered_reference",
        all_right(lab(filled(RIGHT, theirs)), signs=("changes what was imported: `package.softmax`",)),
    )
    source = (
        "import inspect\nfrom gemini_workshop.models import attention\n\n"
        "def softmax(scores, dim=-1):\n    space = dict(vars(attention))\n"
        "    exec(inspect.getsource(attention.softmax), space)\n    return space['softmax'](scores, dim)\n"
    )
    yield (
        "tampered_source",
        HandedIn(content=lab(filled(but(softmax=source))), outcomes=(Y, P, P, P), signs=("reads the source",)),
    )


def _looked_up() -> str:
    """The cases of the check, and what the oracle gives for them, as a table."""
    from gemini_workshop.exercises.core.catalogue import find
    from gemini_workshop.grading.fresh import drawn_cases

    exercise = find("02.3")
    table = {case: exercise.oracle(*case).tolist() for case in drawn_cases(exercise, 0)}
    return (
        f"TABLE = {table!r}\n\n{HEADS['causal_mask']}"
        "    rows = TABLE.get((num_queries, num_keys))\n"
        "    if rows is None:\n        rows = [[True] * num_keys] * num_queries\n"
        "    return torch.tensor(rows, device=device)\n"
    )


def _forging() -> str:
    """A wrong answer that replaces the check, in the process in which that runs, by one that passes everything."""
    return """
import gemini_workshop.exercises.core.judge as checks
from gemini_workshop.exercises.core.verdict import Outcome, Verdict


def _take_over():
    forged = Verdict(exercise_id="02.1", title="softmax", outcome=Outcome.PASSED)
    checks.judge = lambda *args, **options: forged
    return 1.0


FACTOR = _take_over()


def softmax(scores, dim=-1):
    return FACTOR * scores
"""
