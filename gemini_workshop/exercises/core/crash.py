"""Say what broke in a learner's code: their own line, the error, and the shapes on that line."""

import ast
import difflib
import linecache
import sysconfig
import traceback
from functools import cache
from pathlib import Path
from types import CodeType, FrameType

from torch import Tensor

from gemini_workshop.exercises.core.plain import is_a, message_of, shown

_LIBRARIES = tuple({str(Path(sysconfig.get_path(name)).resolve()) for name in ("stdlib", "purelib", "platlib")})
_PACKAGE = str(Path(__file__).resolve().parents[2])
_GAP = "# TODO"  # how a starter's gap begins


def describe_crash(error: BaseException) -> tuple[str, ...]:
    """The learner's own line that led to an error, the error, and the shapes of the tensors on that line."""
    message = message_of(error)
    frames = [at for at in traceback.walk_tb(error.__traceback__) if not is_library(at[0].f_code.co_filename)]
    if not frames:
        return (message,)
    frame, number = frames[-1]
    lines = [own_line(frame, number), message]
    own = [at for at in frames if at[0].f_code.co_filename == frames[0][0].f_code.co_filename]
    if frame.f_code.co_filename != frames[0][0].f_code.co_filename:  # it broke in what another cell defines
        inner = f"There `{frame.f_code.co_name}`, of another cell, is called, and breaks at its "
        lines = [own_line(*own[-1]), inner + own_line(frame, number).replace("Line", "line", 1), message]
    if shapes := _shapes_on_line(frame, _source(frame, number)):
        lines.append(f"There: {shapes}")
    return tuple(lines)


def own_line(frame: FrameType, number: int) -> str:
    """Where in a cell that is."""
    source = _source(frame, number)
    return f"Line {number}: `{shown(source, 200)}`" if source else f"Line {number} of your cell"


def where_it_is(frame: FrameType | None, begin: CodeType | None = None) -> str:
    """The innermost line of the learner's own that is running there, called by ``begin``; empty if there is none."""
    while frame is not None and is_library(frame.f_code.co_filename):
        frame = frame.f_back if frame.f_code is not begin else None
    return own_line(frame, frame.f_lineno) if frame is not None else ""


def is_cell(filename: str) -> bool:
    """Whether that is what Jupyter, or Colab and IPython's own prompt, call the text of a cell."""
    return "ipykernel_" in filename or "ipython-input-" in filename


@cache
def is_library(filename: str) -> bool:
    """Whether a file was installed, rather than written by a learner. A cell of a notebook is a file, too."""
    if is_cell(filename):
        return False
    if filename.startswith("<"):
        return True
    path = Path(filename).resolve()
    installed = {"site-packages", "dist-packages"} & set(path.parts)
    return bool(installed) or str(path).startswith((_PACKAGE, *_LIBRARIES))


def gap_in(error: BaseException) -> str | None:
    """What the learner's own ``raise NotImplementedError`` says, if it is that; torch raises this error too."""
    if not is_a(error, NotImplementedError):
        return None
    frame, line = list(traceback.walk_tb(error.__traceback__))[-1]
    text = message_of(error)
    is_own = _source(frame, line).startswith("raise NotImplementedError") and not is_library(frame.f_code.co_filename)
    return text if is_own or text.endswith("your turn") else None


def left_below(error: BaseException) -> str | None:
    """A sentence if the ``raise`` of the gap is still there below or above code that has been written."""
    frame, number = list(traceback.walk_tb(error.__traceback__))[-1]
    gap = _gap_begins(frame, number)
    statements = _statements(frame)
    if any(node.lineno > number for node in statements):
        return (
            f"Line {number} is still the `raise NotImplementedError` of the gap: your code below never runs. Delete it."
        )
    written = [node for node in statements if gap < node.lineno < number and not _is_given(node)]
    if not written:
        return None
    returns = any(isinstance(inner, ast.Return) for node in written for inner in ast.walk(node))
    more = "" if returns or frame.f_code.co_name == "__init__" else " And let the last line `return` the result."
    return f"Line {number} is still the `raise NotImplementedError` of the gap, below your code. Delete it.{more}"


def missing_forward(error: BaseException) -> str | None:
    """A sentence if a module has no method ``forward``, perhaps because that is spelled otherwise."""
    if not is_a(error, NotImplementedError) or 'missing the required "forward"' not in message_of(error):
        return None
    frame = list(traceback.walk_tb(error.__traceback__))[-1][0]
    cls = type(frame.f_locals.get("self"))
    likely = difflib.get_close_matches("forward", vars(cls), n=1, cutoff=0.6)
    hint = f" It has `{likely[0]}`: is that a slip?" if likely else " Is it indented as a part of the class?"
    return f"`{cls.__name__}` has no method `forward`, which runs when a module is called.{hint}"


def _statements(frame: FrameType) -> list[ast.stmt]:
    """The statements of the function that a frame runs; empty if its source is not known."""
    try:
        tree = ast.parse("".join(linecache.getlines(frame.f_code.co_filename)))
    except (SyntaxError, ValueError):
        return []
    here = frame.f_code.co_firstlineno
    return next((f.body for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) and _first_line(f) == here), [])


def _first_line(function: ast.FunctionDef) -> int:
    return min([function.lineno, *(decorator.lineno for decorator in function.decorator_list)])


def _gap_begins(frame: FrameType, number: int) -> int:
    """The line of the gap's first comment, or of the function if the learner has deleted that."""
    first = frame.f_code.co_firstlineno
    lines = linecache.getlines(frame.f_code.co_filename)[first:number]
    return next((first + above for above, line in enumerate(lines, 1) if line.lstrip().startswith(_GAP)), first)


def _is_given(node: ast.stmt) -> bool:
    """Whether a starter has such a line above its gap: a docstring, ``super().__init__()``, ``self.eps = eps``."""
    text = ast.unparse(node)
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name):
        return text == f"self.{node.value.id} = {node.value.id}"
    return text.startswith("super().__init__(") or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def _source(frame: FrameType, number: int) -> str:
    return linecache.getline(frame.f_code.co_filename, number).strip()


def _shapes_on_line(frame: FrameType, source: str) -> str:
    tensors = {name: value for name, value in frame.f_locals.items() if is_a(value, Tensor) and name in source}
    return shown(" · ".join(f"{name} {tuple(Tensor.size(value))}" for name, value in tensors.items()))
