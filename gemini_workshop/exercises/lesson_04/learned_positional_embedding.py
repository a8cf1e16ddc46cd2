"""Exercise 04.2, ``LearnedPositionalEmbedding``: its cases, and what learners get wrong."""

from typing import Any

import torch
from torch import Tensor, nn

from gemini_workshop.exercises.core.battery.declaration import Battery
from gemini_workshop.exercises.core.comparison import number, same
from gemini_workshop.exercises.core.exercise import Arguments, Function, Invariant, Say
from gemini_workshop.exercises.core.modules import Build, ModuleExercise, drawn_weights
from gemini_workshop.exercises.core.tools import first_wrong_row, vector
from gemini_workshop.models.embeddings import LearnedPositionalEmbedding


def _cases(generator: torch.Generator) -> list[Arguments]:
    return [
        (Build(num_positions=4, embed_dim=3), torch.tensor([0, 1])),
        (Build(num_positions=5, embed_dim=2), torch.tensor([3])),
        (Build(num_positions=7, embed_dim=4), torch.tensor([6, 0, 2])),
        (Build(num_positions=9, embed_dim=5), torch.randint(9, (2, 3), generator=generator)),
    ]


def _oracle(build: Build, positions: Tensor) -> Tensor:
    """The table's rows picked by a matrix of ones and zeros."""
    table = drawn_weights(LearnedPositionalEmbedding, build)["weight"]
    is_here = positions[..., None] == torch.arange(len(table))
    return is_here.float() @ table


def _explain(function: Function, case: Arguments) -> str | None:
    _, positions = case
    wrong = first_wrong_row(positions, function(*case), _oracle(*case))
    if wrong is None:
        return None
    position, row, needed = int(wrong[0]), vector(wrong[1]), vector(wrong[2])
    return f"Position {position} gave {row}; the table's row {position}, {needed}, is needed."


def _starts_large(function: Function) -> str | None:
    build = Build(starts_as_it_is=True, num_positions=300, embed_dim=20)
    spread = float(function(build, torch.arange(300)).detach().std())
    if spread > 0.1:
        return (
            f"Its vectors start with a standard deviation of {number(spread)}; 0.02 is needed. Added to the token's "
            "own vector, large random numbers drown it."
        )
    return None


def _goes_on_past_the_end(function: Function) -> str | None:
    try:
        got = function(Build(num_positions=4, embed_dim=3), torch.tensor([4]))
    except Exception:  # what error it is does not matter
        return None
    return (
        f"A table for 4 positions was asked for position 4, which it does not have, and it answered {vector(got[0])}. "
        "An error is needed here: a wrong answer would never be noticed."
    )


def _learns_nothing(function: Function) -> str | None:
    if function(Build(num_positions=4, embed_dim=3), torch.tensor([1])).requires_grad:
        return None
    return (
        "No gradient reaches the table from the vectors that came back: it would stay as it is. Is it detached, "
        "or was `requires_grad` switched off?"
    )


def _draws_elsewhere(function: Function) -> str | None:
    def drawn() -> Tensor:
        generator = torch.Generator().manual_seed(1)
        build = Build(starts_as_it_is=True, num_positions=4, embed_dim=3, generator=generator)
        return function(build, torch.arange(4)).detach()

    if same(drawn(), drawn()):
        return None
    return "Two tables of one seed start differently: the random numbers have to come from `generator`."


class _Table(nn.Module):
    """A table of positions with a place to go wrong: the misconceptions fill it in."""

    def __init__(self, num_positions: int, embed_dim: int, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.weight: Any = self.start(0.02 * torch.randn(num_positions, embed_dim, generator=generator))

    def start(self, table: Tensor) -> Tensor:
        return nn.Parameter(table)

    def forward(self, positions: Tensor) -> Tensor:
        return self.weight[positions]


LEARNED = ModuleExercise(
    id="04.2",
    minutes=6,
    difficulty=2,
    importance=2,
    reference=LearnedPositionalEmbedding,
    oracle=_oracle,
    cases=_cases,
    explain=_explain,
    invariants=(
        Invariant(name="starts small", broken=_starts_large),
        Invariant(name="learns", broken=_learns_nothing),
        Invariant(name="draws from the generator", broken=_draws_elsewhere),
        Invariant(name="ends where the table ends", broken=_goes_on_past_the_end),
    ),
    battery=Battery(
        beyond=lambda generator: [(Build(num_positions=600, embed_dim=70), torch.tensor([[[599, 512, 3]]]))],
    ),
    misconceptions={
        "first rows": Say(
            "It takes the first rows of the table, whatever `positions` says. A model that generates text asks for "
            "one new token at position 57, and would get the vector of position 0."
        ).to(_Table, forward=lambda self, positions: self.weight[: positions.shape[-1]].expand(*positions.shape, -1)),
        "no parameter": Say(
            "The module has no parameter: without a table, or with a plain tensor for one, no optimizer finds "
            "anything to learn. What has to be put around a tensor, as the very last step?"
        ).to(_Table, start=lambda self, table: table),
        "transposed": Say(
            "The table is transposed: it has one column per position. It should have one row per position, as "
            "embedding tables do, so that `weight[positions]` picks rows."
        ).to(
            _Table,
            start=lambda self, table: nn.Parameter(table.T.clone()),
            forward=lambda self, positions: self.weight[:, positions].movedim(0, -1),
        ),
        "counts from one": Say("Every position gets the row of the next one. The first token is at position 0.").to(
            _Table, forward=lambda self, positions: self.weight[(positions + 1) % len(self.weight)]
        ),
        "row before": Say(
            "Every position gets the row of the one before, and position 0, by Python's negative index, the very last "
            "row. The first token is at position 0."
        ).to(_Table, forward=lambda self, positions: self.weight[positions - 1]),
        "scaled": Say(
            "The vectors are multiplied by the root of the width. Some models do that to token embeddings; a learned "
            "position is used unchanged."
        ).to(_Table, forward=lambda self, positions: self.weight[positions] * self.weight.shape[1] ** 0.5),
        "one for all": Say("All tokens of a sequence get the same vector. Then none of them knows where it is.").to(
            _Table,
            forward=lambda self, positions: self.weight[positions].mean(-2, keepdim=True).expand(*positions.shape, -1),
        ),
    },
    hints=(
        "A table with one row per position. `__init__` makes it, `forward` picks rows from it.",
        "`nn.Parameter(tensor)` is a tensor that training changes. Indexing it with a tensor of whole numbers picks a "
        "row for each of them, whatever the shape.",
        "`self.weight = nn.Parameter(0.02 * torch.randn(num_positions, embed_dim, generator=generator))`; then "
        "`self.weight[...]` in forward.",
    ),
)
