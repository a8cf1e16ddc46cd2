"""What the exercises of lesson 11 share: answers that change something, a very small model, runs that are killed."""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gemini_workshop.data.batches.batch import IGNORE_INDEX
from gemini_workshop.exercises.core.exercise import Exercise, Function

GRADIENTS_BY_HAND = ("torch.fx.experimental.symbolic_shapes",)  # torch imports it for `backward(gradient=...)`
Parts = Sequence[tuple[Tensor, Tensor]]


@dataclass(frozen=True, kw_only=True)
class StateExercise(Exercise):
    """A function that changes what it is given: it is judged by what is there afterwards.

    Args:
        run: calls the answer with what the arguments of a case stand for, and returns what came of it.
    """

    run: Callable[..., Any]

    def as_function(self, answer: Any) -> Callable[..., Any]:  # noqa: D102 (as in Exercise)
        return partial(self.run, answer)


class PairScores(nn.Module):
    """The smallest language model: a table with a row of logits for each token, and a bias for all of them."""

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.table = nn.Parameter(table.clone())
        self.bias = nn.Parameter(torch.linspace(-0.5, 0.5, table.shape[1], dtype=table.dtype))

    def forward(self, token_ids: Tensor) -> Tensor:
        """Logits for the token after each of these."""
        return self.table[token_ids] + self.bias


def loss_and_gradients(table: Tensor, bias: Tensor, parts: Parts) -> tuple[Tensor, list[Tensor]]:
    """The mean loss over all targets of all parts, and its gradients, from all parts at once in float64."""
    table, bias = (x.detach().double().requires_grad_() for x in (table, bias))
    inputs, targets = (torch.cat([part[i].flatten() for part in parts]) for i in (0, 1))
    loss = F.cross_entropy(table[inputs] + bias, targets, ignore_index=IGNORE_INDEX)
    return loss.detach(), list(torch.autograd.grad(loss, [table, bias]))


def unequal_parts(generator: torch.Generator, V: int, shapes: Sequence[tuple[int, int]], ignored: int) -> Parts:
    """Parts of these shapes; in the first, so many targets do not count."""
    parts = []
    for B, T in shapes:
        ids = torch.randint(V, (B, T + 1), generator=generator)
        parts.append((ids[:, :-1].clone(), ids[:, 1:].clone()))
    parts[0][1].view(-1)[:ignored] = IGNORE_INDEX
    return parts


NEVER_TAKEN = 99  # a number of steps that only the interrupted saving is given

_NEEDED = "An old file that stays whole until the new one takes its name is needed."
AFTER_INTERRUPTION = {
    "gone": f"Saving was interrupted while a good file was there, and now that is gone. {_NEEDED}",
    "broken": f"Saving was interrupted while a good file was there, and now that is broken. {_NEEDED}",
    "lost": f"A run was killed just before its new file got its name, and no file has that name now. {_NEEDED}",
    "written over": f"The new contents were written into the old file itself. {_NEEDED}",
}


class Killed(BaseException):
    """No ``except Exception`` of an answer goes on after this."""


def after_interruptions(
    answer: Function, path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, keys: set[str]
) -> str:
    """What became of a good file when the next saving was killed: while it wrote, or before the new file got its name.

    Returns:
        "whole" if all is well; "gone" or "broken" after a kill while it wrote; "lost" if at the end no file has the
        name; "written over" if the old file itself got the new contents.
    """
    settings = optimizer.param_groups[0]
    settings["cannot be saved"] = lambda: None
    with contextlib.suppress(Exception):
        answer(path, model, optimizer, NEVER_TAKEN)
    del settings["cannot be saved"]
    if not path.exists():
        return "gone"
    if not keys <= set(_contents(path)):
        return "broken"
    file = path.stat().st_ino
    with contextlib.suppress(Exception, Killed), _no_file_gets(path):
        answer(path, model, optimizer, NEVER_TAKEN)
    if not path.exists():
        return "lost"
    is_new = _contents(path).get("step") == NEVER_TAKEN
    return "written over" if is_new and path.stat().st_ino == file else "whole"


def _contents(path: Path) -> dict[str, Any]:
    try:
        return dict(torch.load(path))
    except Exception:  # half a file
        return {}


@contextlib.contextmanager
def _no_file_gets(path: Path) -> Iterator[None]:
    """Kill whoever gives a file this name."""

    def deadly(rename: Callable[..., None]) -> Callable[..., None]:
        def renamed(source: Any, target: Any, **rest: Any) -> None:
            if Path(os.fsdecode(target)) == path:
                raise Killed
            rename(source, target, **rest)

        return renamed

    with mock.patch.multiple(os, rename=deadly(os.rename), replace=deadly(os.replace)):
        yield


def write(everything: dict[str, Any], path: Path) -> None:
    """To another name, then renamed: the old file is whole until the new one is."""
    unfinished = path.with_suffix(".unfinished")
    torch.save(everything, unfinished)
    os.replace(unfinished, path)


def write_and_copy(everything: dict[str, Any], path: Path) -> None:
    """To another name, then copied; the other file stays."""
    unfinished = path.with_suffix(".unfinished")
    torch.save(everything, unfinished)
    path.write_bytes(unfinished.read_bytes())


def remove_and_write(everything: dict[str, Any], path: Path) -> None:
    """The old file goes before the new one is there."""
    path.unlink(missing_ok=True)
    write(everything, path)


def remove_and_rename(everything: dict[str, Any], path: Path) -> None:
    """The old file goes when the new one is finished, and before that has its name."""
    unfinished = path.with_suffix(".unfinished")
    torch.save(everything, unfinished)
    path.unlink(missing_ok=True)
    os.rename(unfinished, path)


def copy_and_remove(everything: dict[str, Any], path: Path) -> None:
    """Copied over the old file, which a kill can leave half new."""
    write_and_copy(everything, path)
    path.with_suffix(".unfinished").unlink()
