"""Exercise 07.3, ``sliding_window_mask``: its cases, and what learners get wrong."""

from collections.abc import Callable

import torch
from torch import Tensor

from gemini_workshop.exercises.core.battery.declaration import Battery, Call
from gemini_workshop.exercises.core.battery.other_device import OTHER
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Say
from gemini_workshop.exercises.lesson_02.causal_mask import CAUSAL_MASK
from gemini_workshop.models.masks import sliding_window_mask


def _oracle(num_queries: int, num_keys: int, window_tokens: int) -> Tensor:
    rows = []
    for place in range(num_keys - num_queries, num_keys):
        seen = range(max(0, place + 1 - window_tokens), place + 1)
        rows.append([s in seen for s in range(num_keys)])
    return torch.tensor(rows)


def _explain(function: Function, case: Arguments) -> str | None:
    got, expected = function(*case), _oracle(*case)
    for t, (row, needed) in enumerate(zip(got, expected, strict=True)):
        if not torch.equal(row, needed):
            call = f"sliding_window_mask{case}"
            return f"Row {t} of {call} is `{_drawn(row)}`, but `{_drawn(needed)}` is needed (# may attend, . may not)."
    return None


def _drawn(row: Tensor) -> str:
    return "".join("#" if may else "." for may in row.tolist())


def _by_distance(
    num_queries: int,
    num_keys: int,
    window_tokens: int,
    *,
    sees: Callable[[Tensor, int], Tensor],
    shift: Callable[[int], int] = lambda earlier: earlier,
) -> Tensor:
    """A mask by how many tokens each key lies before the query; each misconception has a rule of its own."""
    queries = torch.arange(num_queries)[:, None] + shift(num_keys - num_queries)
    return sees(queries - torch.arange(num_keys), window_tokens)


def _chunks(num_queries: int, num_keys: int, window_tokens: int) -> Tensor:
    queries, keys = torch.arange(num_keys - num_queries, num_keys)[:, None], torch.arange(num_keys)
    return (keys <= queries) & (keys // window_tokens == queries // window_tokens)


SLIDING_WINDOW_MASK = Exercise(
    id="07.3",
    minutes=6,
    difficulty=3,
    importance=4,
    reference=sliding_window_mask,
    oracle=_oracle,
    cases=lambda generator: [(3, 3, 1), (5, 5, 2), (6, 6, 3), (3, 7, 4), (4, 9, 3), (1, 6, 4), (5, 5, 8)],
    explain=_explain,
    battery=Battery(kinds=lambda: [Call(3, 5, 2), Call(3, 5, 2, device=OTHER)]),
    misconceptions={
        "window one too wide": Say(
            "The window is one token too wide: with a window of 1, a token should see itself and nothing else. The "
            "window counts the query's own key."
        ).to(_by_distance, sees=lambda d, W: (d >= 0) & (d <= W)),
        "window one too narrow": Say(
            "The window is one token too narrow. It counts the query's own key, so a window of 1 is the token itself."
        ).to(_by_distance, sees=lambda d, W: (d >= 0) & (d < W - 1)),
        "hides itself": Say(
            "A token cannot see itself: the window lies wholly before it. The window includes the query's own key."
        ).to(_by_distance, sees=lambda d, W: (d >= 1) & (d <= W)),
        "hides itself, and one too few": Say(
            "A token cannot see itself. The window counts the query's own key: of a window of 1 it is all."
        ).to(_by_distance, sees=lambda d, W: (d > 0) & (d < W)),
        "into the future": Say(
            "The window lies ahead: a token sees itself and later ones. Which is subtracted from which, the place of "
            "the key or that of the query?"
        ).to(_by_distance, sees=lambda d, W: (d <= 0) & (d > -W)),
        "future visible": Say(
            "The window reaches in both directions: a token sees later ones, too. It must be causal as well."
        ).to(_by_distance, sees=lambda d, W: d.abs() < W),
        "only ahead": Say(
            "Later tokens are all visible; only the past is cut off. Both ends are needed: not ahead, and not too far "
            "back."
        ).to(_by_distance, sees=lambda d, W: d < W),
        "no window": Say(
            "This is the causal mask: every earlier token is visible, however far back. Where does the window enter?"
        ).to(_by_distance, sees=lambda d, W: d >= 0),
        "chunks": Say(
            "The text is cut into chunks, and a token sees only its own chunk. A sliding window moves along with each "
            "token."
        ).to(_chunks),
        "half the window on each side": Say(
            "The window is centered on the token. A decoder's window lies behind: the token itself and those before it."
        ).to(_by_distance, sees=lambda d, W: d.abs() <= W // 2),
        "beyond the window": Say(
            "This is what the window hides: the tokens that are too far back. True means may attend."
        ).to(_by_distance, sees=lambda d, W: d >= W),
        "True means hidden": Say(
            "True marks where attention is forbidden. In this course, as in PyTorch, True means may attend."
        ).to(_by_distance, sees=lambda d, W: (d < 0) | (d >= W)),
        "aligned at the first key": Say(
            "With more keys than queries, the queries are taken for the first tokens. They are the last ones: the "
            "newest query sees the newest keys."
        ).to(_by_distance, sees=lambda d, W: (d >= 0) & (d < W), shift=lambda earlier: 0),
        "window as a stride": Say(
            "Every W-th earlier token is visible. That is a strided pattern; a window is the last W tokens in a row."
        ).to(_by_distance, sees=lambda d, W: (d >= 0) & (d % W == 0)),
    },
    parts=(CAUSAL_MASK,),
    hints=(
        "Two conditions, both needed: the key is not after the query, and it is not too far before it. How far is too "
        "far if the window is 1?",
        "Number the tokens. The queries are the last ones: query t is token num_keys - num_queries + t. Its distance "
        "to key s must be at least 0 and less than the window.",
        "Start from `causal_mask(num_queries, num_keys)` and cut off a second triangle with `triu`. Its diagonal is "
        "`num_keys - num_queries - window_tokens + 1`.",
    ),
)
