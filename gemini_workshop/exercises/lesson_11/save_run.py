"""Exercise 11.8, ``save_run``: its cases, and what learners get wrong."""

import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gemini_workshop.exercises.core.attempt import UnfitAnswer
from gemini_workshop.exercises.core.comparison import same
from gemini_workshop.exercises.core.exercise import Arguments, Function, Say
from gemini_workshop.exercises.core.tools import drawing, vector
from gemini_workshop.exercises.lesson_11.tools import (
    AFTER_INTERRUPTION,
    StateExercise,
    after_interruptions,
    copy_and_remove,
    remove_and_rename,
    remove_and_write,
    write,
    write_and_copy,
)
from gemini_workshop.training.plain_loop import load_run, save_run

KEYS = ("step", "model", "optimizer", "random")
RATE = 0.1


class _Noisy(nn.Module):
    """Needs all that a run must save: weights, a buffer that training changes, and random numbers (dropout)."""

    calls: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.clone())
        self.register_buffer("calls", torch.zeros(()))

    def forward(self) -> Tensor:
        self.calls += 1
        return F.dropout(self.weight, 0.5).square().sum() * (1 + 1 / self.calls)


def _begin(weight: Tensor) -> tuple[_Noisy, torch.optim.Optimizer]:
    model = _Noisy(weight)
    return model, torch.optim.AdamW(model.parameters(), lr=RATE)


def _continue(model: _Noisy, optimizer: torch.optim.Optimizer, steps: int) -> Tensor:
    for _ in range(steps):
        optimizer.zero_grad()
        model().backward()
        optimizer.step()
    return model.weight.detach().clone()


def _run(answer: Function, name: str, weight: Tensor, seed: int, step: int) -> list[Any]:
    """Save after some steps, then take two more, and two more from the file; then interrupt the next saving.

    Returns:
        The step that was loaded; the weights of the run that went on, and of the one that was resumed; the names of the
        files beside it; what became of the file after an interruption.
    """
    with tempfile.TemporaryDirectory() as folder, torch.random.fork_rng(devices=[]):
        path = Path(folder) / name
        model, optimizer = _begin(weight)
        torch.manual_seed(seed)
        _continue(model, optimizer, step)
        answer(path, model, optimizer, step)
        files = sorted(each.name for each in Path(folder).iterdir())
        _check_keys(path, files)
        went_on = _continue(model, optimizer, 2)
        torch.manual_seed(seed + 1)
        resumed, its_optimizer = _begin(torch.zeros_like(weight))
        loaded = _load(path, resumed, its_optimizer)
        return [
            loaded,
            went_on,
            _continue(resumed, its_optimizer, 2),
            files,
            after_interruptions(answer, path, model, optimizer, set(KEYS)),
        ]


def _check_keys(path: Path, files: list[str]) -> None:
    if path.name not in files:
        others = f" It wrote {', '.join(files)}." if files else ""
        raise UnfitAnswer(
            f"It returned nothing and wrote no file `{path.name}`.{others} A file under the name `path` is needed."
        )
    try:
        everything = torch.load(path)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise UnfitAnswer(
            f"The file cannot be loaded again ({type(error).__name__}). `torch.save` of a dictionary of tensors, "
            "numbers and `state_dict()`s is needed; a whole model or optimizer is refused, because its class would run "
            "as code."
        ) from None
    if not isinstance(everything, dict):
        raise UnfitAnswer(f"The file holds a {type(everything).__name__}; a dictionary is needed.")
    for key in KEYS:
        if key not in everything:
            raise UnfitAnswer(f'The dictionary has no "{key}"; {_WHY[key]}. It is needed.')


_WHY = {
    "step": "without it the schedule and the order of the data begin again at 0",
    "model": "without it the weights are lost",
    "optimizer": "without it AdamW's running means begin at zero again, and the first steps go astray",
    "random": "without it dropout, or whatever else is random, differs from that of a run that was not stopped",
}


def _load(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    try:
        return load_run(path, model, optimizer)
    except (RuntimeError, TypeError, KeyError, ValueError, AttributeError) as error:
        raise UnfitAnswer(
            f"What was saved cannot be loaded: {str(error).splitlines()[0][:200]} `state_dict()` of model and "
            f"optimizer, "
            "and `torch.get_rng_state()`, are needed."
        ) from None


def _cases(generator: torch.Generator) -> list[Arguments]:
    draw = drawing(generator)
    return [("run.pt", draw(3), 1, 2), ("checkpoint.pt", draw(2, 5), 2, 7)]


def _oracle(name: str, weight: Tensor, seed: int, step: int) -> list[Any]:
    """A run that is never stopped."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        end = _continue(*_begin(weight), step + 2)
    return [step, end, end, [name], "whole"]


def _explain(function: Function, case: Arguments) -> str | None:
    got, needed = function(*case), _oracle(*case)
    if not same(got[0], needed[0]):
        return f"{case[3]} steps were taken; the file says {got[0]}, and {needed[0]} is needed."
    for i, what in ((1, "The run itself went on differently after it was saved"), (2, "The resumed run differs")):
        if not same(got[i], needed[i]):
            return (
                f"{what}: two steps later the weights begin with {vector(got[i].flatten()[:3])}; "
                f"{vector(needed[i].flatten()[:3])} is needed."
            )
    if got[3] != needed[3]:
        return f"Files in the folder: {', '.join(got[3])}; only {case[0]} is needed."
    return AFTER_INTERRUPTION[got[4]]


def _everything(model: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> dict[str, Any]:
    return {
        "step": step,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "random": torch.get_rng_state(),
    }


def _save(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    step: int,
    *,
    change: Callable[[dict[str, Any], nn.Module, torch.optim.Optimizer], None] = lambda everything, *rest: None,
    write: Callable[[dict[str, Any], Path], None] = write,
) -> None:
    """Right but for the steps."""
    everything = _everything(model, optimizer, step)
    change(everything, model, optimizer)
    write(everything, path)


def _changed(key: str, value: Callable[[Any, nn.Module, torch.optim.Optimizer], Any]) -> Callable[..., None]:
    def change(everything: dict[str, Any], model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        everything[key] = value(everything[key], model, optimizer)

    return change


def _without(key: str) -> Callable[..., None]:
    return lambda everything, *rest: everything.pop(key)


def _fresh(model: nn.Module) -> dict[str, Any]:
    return torch.optim.AdamW(model.parameters(), lr=RATE).state_dict()


SAVE_RUN = StateExercise(
    id="11.8",
    minutes=10,
    difficulty=3,
    importance=4,
    reference=save_run,
    oracle=_oracle,
    cases=_cases,
    run=_run,
    explain=_explain,
    misconceptions={
        "written in place": Say(
            "The file is overwritten in place. A run that is killed while it saves has destroyed its old checkpoint "
            "and not finished the new one. Write under another name, then `os.replace` it: that is one indivisible "
            "step."
        ).to(_save, write=lambda everything, path: torch.save(everything, path)),
        "old file removed first": Say(
            "The old file is removed before the new one is written. Killed in between, a run has neither. `os.replace` "
            "puts the new file in the place of the old one in one indivisible step."
        ).to(_save, write=remove_and_write),
        "old file removed before the new one is renamed": Say(
            "The new file is finished, and then the old one is removed or renamed before the new one gets its name. "
            "Killed in between, a run has no file of this name. `os.replace` does both in one indivisible step: "
            "nothing has to be removed first."
        ).to(_save, write=remove_and_rename),
        "copied over the old file": Say(
            "The new file is copied over the old one. A run that is killed while it copies has half a file under this "
            "name. Rename with `os.replace`: that is one indivisible step."
        ).to(_save, write=copy_and_remove),
        "unfinished file left": Say(
            "The file under the temporary name is still there: it was copied. A copy can be interrupted as well. "
            "Rename it with `os.replace`."
        ).to(_save, write=write_and_copy),
        "no optimizer": Say(
            "The optimizer is not saved. AdamW's two running means per weight are needed as well: without them the "
            "resumed run takes other steps."
        ).to(_save, change=_without("optimizer")),
        "a new optimizer": Say(
            "What is saved of the optimizer has no running means: it is a new one, or its settings alone. The whole "
            "`state_dict()` of the one that trains is needed."
        ).to(_save, change=_changed("optimizer", lambda state, model, optimizer: _fresh(model))),
        "no random state": Say(
            "The state of the random numbers is not saved. Dropout would throw away other channels than in a run that "
            "was not stopped. `torch.get_rng_state()` is needed."
        ).to(_save, change=_without("random")),
        "the seed instead of the state": Say(
            "The random numbers are saved as they were at the beginning. Since then many have been drawn: "
            "`torch.get_rng_state()` is where they are now."
        ).to(
            _save,
            change=_changed("random", lambda *rest: torch.Generator().manual_seed(torch.initial_seed()).get_state()),
        ),
        "no step": Say(
            "The number of steps is not saved. Without it the schedule would begin with a warm-up again, and the data "
            "from the front. It is needed."
        ).to(_save, change=_without("step")),
        "one step more": Say(
            "The step saved is one more than were taken. Save the number as it was given; a resumed run would skip a "
            "batch."
        ).to(_save, change=_changed("step", lambda step, *rest: step + 1)),
        "no model": Say("The weights of the model are not saved.").to(_save, change=_without("model")),
        "half precision": Say(
            "The weights are rounded to 16 bits. The file is smaller; the resumed run is another one. Save them as is."
        ).to(
            _save,
            change=_changed("model", lambda state, *rest: {name: value.half() for name, value in state.items()}),
        ),
        "parameters without buffers": Say(
            "Parameters are saved, buffers are not: tensors that belong to a model without being trained, such as "
            "running statistics. `model.state_dict()` has both, and is needed."
        ).to(
            _save,
            change=_changed("model", lambda state, model, _: {n: p.detach() for n, p in model.named_parameters()}),
        ),
        "whole objects": Say(
            "The model itself is saved, as an object. Such a file needs your class to be loaded, and could run any "
            "code, so `torch.load` refuses it. Its `state_dict()` is needed."
        ).to(_save, change=_changed("model", lambda state, model, _: model)),
    },
    imports=("torch._dynamo",),  # as in train_step
    hints=(
        "What changes while a run goes on? All of that, and nothing else, has to be in the file.",
        "A dictionary with four entries: two come from `state_dict()`, one is `step`, one is `torch.get_rng_state()`. "
        'Save it under another name in the same folder, such as `path.with_suffix(".unfinished")`.',
        "`torch.save(everything, unfinished)`, then `os.replace(unfinished, path)`.",
    ),
)
