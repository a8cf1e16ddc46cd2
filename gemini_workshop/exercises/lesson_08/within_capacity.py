"""Exercise 08.8, ``within_capacity``: its cases, and what learners get wrong."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from gemini_workshop.exercises.core.comparison import same
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Say
from gemini_workshop.exercises.lesson_08.tools import drawn_choices
from gemini_workshop.models.routing import within_capacity

Order = Callable[[int, int], Iterable[tuple[int, int]]]


def _cases(generator: torch.Generator) -> list[Arguments]:
    return [
        (torch.tensor([[0, 1], [1, 0], [0, 2]]), 1),
        (torch.tensor([[1], [1], [0], [1]]), 2),
        (torch.tensor([[0, 1], [0, 2], [2, 0], [1, 0]]), 2),
        (drawn_choices(generator, 6, 3, 2), 3),
        (drawn_choices(generator, 5, 4, 3), 2),
        (drawn_choices(generator, 9, 4, 2), 2),
        (drawn_choices(generator, 7, 5, 2), 7),
        (drawn_choices(generator, 7, 12, 2), 1),
    ]


def _oracle(experts: Tensor, capacity: int) -> Tensor:
    """For each choice, how many of the same expert come before it: all of earlier rounds, and this round's so far."""
    columns = experts.T.tolist()
    kept = [
        [sum(column.count(e) for column in columns[:a]) + columns[a][:n].count(e) < capacity for a, e in enumerate(row)]
        for n, row in enumerate(experts.tolist())
    ]
    return torch.tensor(kept)


def _explain(function: Function, case: Arguments) -> str | None:
    experts, capacity = case
    got, expected = function(*case), _oracle(*case)
    for a in range(experts.shape[1]):
        for n in range(len(experts)):
            if not same(got[n, a], expected[n, a]):
                choice = f"Choice {a} of token {n} is expert {int(experts[n, a])}, which takes {capacity}"
                words = {True: "finds room", False: "is dropped"}
                return (
                    f"{choice}: here it {words[bool(got[n, a])]}; it should be "
                    f"{'kept' if expected[n, a] else 'dropped'} (experts: {experts.tolist()})."
                )
    return None


def _rounds(N: int, A: int) -> list[tuple[int, int]]:
    return [(n, a) for a in range(A) for n in range(N)]


def _queue(
    experts: Tensor,
    capacity: int,
    *,
    order: Order = _rounds,
    line: Callable[[int, int], int] = lambda e, a: e,
    limit: Callable[[int], int] = lambda capacity: capacity,
    finish: Callable[[Tensor], Tensor] = lambda kept: kept,
) -> Tensor:
    """Right but for the steps: who comes first, in which line one waits, how many it takes, what is returned."""
    kept = torch.zeros_like(experts, dtype=torch.bool)
    taken: dict[int, int] = {}
    for n, a in order(*experts.shape):
        waits = line(int(experts[n, a]), a)
        kept[n, a] = taken.get(waits, 0) < limit(capacity)
        taken[waits] = taken.get(waits, 0) + 1
    return finish(kept)


WITHIN_CAPACITY = Exercise(
    id="08.8",
    minutes=12,
    difficulty=4,
    importance=3,
    reference=within_capacity,
    oracle=_oracle,
    cases=_cases,
    explain=_explain,
    misconceptions={
        "one too many": Say(
            "Each expert takes one token more than its capacity. The place in the line counts from 0: it has to be "
            "*below* the capacity."
        ).to(_queue, limit=lambda capacity: capacity + 1),
        "one too few": Say("Each expert takes one token less than its capacity.").to(
            _queue, limit=lambda capacity: capacity - 1
        ),
        "token by token": Say(
            "The tokens are served one after the other, with all of their choices. An early token's second choice then "
            "takes the room of a later token's first choice. First choices of all tokens come first."
        ).to(_queue, order=lambda N, A: [(n, a) for n in range(N) for a in range(A)]),
        "a capacity for each round": Say(
            "First and second choices are counted separately, so an expert may get twice its capacity. One expert has "
            "one capacity for all of them."
        ).to(_queue, line=lambda e, a: 1000 * a + e),
        "last choices first": Say("The last choices are served first. First choices come first.").to(
            _queue, order=lambda N, A: [(n, a) for a in reversed(range(A)) for n in range(N)]
        ),
        "late tokens first": Say(
            "Within a round, the last tokens of the text are served first. The order is that of the text."
        ).to(_queue, order=lambda N, A: [(n, a) for a in range(A) for n in reversed(range(N))]),
        "True where dropped": Say("True marks the choices that are dropped. It should mark those that are kept.").to(
            _queue, finish=torch.logical_not
        ),
        "nothing dropped": Say("Every choice is kept. An expert that is full takes no more.").to(
            _queue, limit=lambda capacity: 10**6
        ),
        "one line for all experts": Say(
            "All choices wait in one line, whatever their expert. Each expert has a line of its own."
        ).to(_queue, line=lambda e, a: 0),
        "whole tokens dropped": Say(
            "A token that finds one of its experts full is dropped altogether. Its other choices still count."
        ).to(_queue, finish=lambda kept: kept.all(-1, keepdim=True).expand(kept.shape).clone()),
        "never turned back": Say(
            "The result is still in the order of the line: all first choices, then all second ones. It needs a row per "
            "token: view it as (A, N) and transpose."
        ).to(_queue, finish=lambda kept: kept.T.reshape(kept.shape)),
        "whole tokens kept": Say(
            "A token that finds room at one expert is let in at all of them. Each choice is judged by itself."
        ).to(_queue, finish=lambda kept: kept.any(-1, keepdim=True).expand(kept.shape).clone()),
        "first choices always kept": Say(
            "First choices are always kept. They come first, but an expert that is full takes no more of them either."
        ).to(
            _queue,
            finish=lambda kept: kept | (torch.arange(kept.shape[1]) == 0).expand(kept.shape),
        ),
        "full experts empty": Say(
            "An expert that is chosen too often loses all of its tokens. It keeps the first ones, up to its capacity."
        ).to(
            lambda experts, capacity: experts.flatten().bincount()[experts] <= capacity,
        ),
    },
    hints=(
        "Think of a line in front of each expert. In which order do the choices join it, and who finds room?",
        "`experts.T.flatten()` is the order in which they join: all first choices, then all second ones. A choice's "
        "place is the number of equal ones before it. A loop with a counter per expert is fine.",
        "A place without a loop: `one_hot(queue, num_experts).cumsum(0)` counts how many have come to each expert so "
        "far, and `gather` picks each choice's own. Then `.view(A, N).T` goes back to one row per token.",
    ),
)
