"""Exercise 02.3, ``causal_mask``: its cases, and what learners get wrong."""

import torch
from torch import Tensor

from gemini_workshop.exercises.core.battery.declaration import Battery, Call
from gemini_workshop.exercises.core.battery.other_device import OTHER
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Say
from gemini_workshop.models.masks import causal_mask


def _oracle(num_queries: int, num_keys: int) -> Tensor:
    position = num_keys - num_queries  # of the first query
    return torch.tensor([[s <= position + t for s in range(num_keys)] for t in range(num_queries)])


def _explain(function: Function, case: Arguments) -> str | None:
    got, expected = function(*case), _oracle(*case)
    for t, (row, needed) in enumerate(zip(got, expected, strict=True)):
        if not torch.equal(row, needed):
            call = f"causal_mask({case[0]}, {case[1]})"
            return f"Row {t} of {call} is `{_drawn(row)}`; `{_drawn(needed)}` is needed (# may attend, . may not)."
    return None


def _drawn(row: Tensor) -> str:
    return "".join("#" if may else "." for may in row.tolist())


def _triangle(num_queries: int, num_keys: int, shift: int = 0) -> Tensor:
    return torch.ones(num_queries, num_keys, dtype=torch.bool).tril(num_keys - num_queries + shift)


CAUSAL_MASK = Exercise(
    id="02.3",
    minutes=8,
    difficulty=3,
    importance=5,
    reference=causal_mask,
    oracle=_oracle,
    cases=lambda generator: [(3, 3), (1, 4), (2, 5), (5, 5)],
    explain=_explain,
    battery=Battery(
        kinds=lambda: [Call(3, 5), Call(3, 5, device=OTHER)],
        beyond=lambda generator: [(1, 520), (130, 520)],
    ),
    misconceptions={
        "hides itself": Say(
            "A token cannot see itself. The first token then sees nothing at all, and a softmax over nothing is nan. "
            "Which diagonal belongs to the token itself?"
        ).to(lambda T, S: _triangle(T, S, -1)),
        "sees the next token": Say(
            "Every token also sees the one after it, which is the very token it has to predict."
        ).to(lambda T, S: _triangle(T, S, +1)),
        "aligned at the first key": Say(
            "With more keys than queries the queries are taken for the first tokens. They are the last ones: the "
            "newest query may see every key."
        ).to(lambda T, S: torch.ones(T, S, dtype=torch.bool).tril()),
        "True means hidden": Say(
            "True marks where attention is forbidden. In this course, as in PyTorch, True means may attend."
        ).to(lambda T, S: ~_triangle(T, S)),
        "looks only ahead": Say("This is the other triangle: each token sees itself and what comes after it.").to(
            lambda T, S: ~_triangle(T, S, -1)
        ),
        "only itself": Say("Every query sees one key and no other: itself. What came before it is hidden, too.").to(
            lambda T, S: torch.eye(T, S, dtype=torch.bool)
        ),
        "all visible": Say("Nothing is hidden: every query may see every key, future ones too.").to(
            lambda T, S: torch.ones(T, S, dtype=torch.bool)
        ),
    },
    hints=(
        "Draw it for three tokens: one row per query, one column per key. Which cells may be True? Which triangle is "
        "it?",
        "`tril` keeps the lower triangle. Its argument shifts the diagonal: 0 goes through the top left corner, but "
        "the last query must reach the last key.",
        "`torch.ones(num_queries, num_keys, dtype=torch.bool, device=device)` is all True; keep what lies on or below "
        "the diagonal number `num_keys - num_queries`.",
    ),
)
