"""Exercise 07.4, ``sliding_window_attention``: its cases, and what learners get wrong."""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from gemini_workshop.evaluation.traffic import MemoryTraffic
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Invariant, Say
from gemini_workshop.exercises.core.tools import drawing
from gemini_workshop.exercises.lesson_02.scaled_dot_product_attention import ATTENTION
from gemini_workshop.exercises.lesson_07.sliding_window_mask import SLIDING_WINDOW_MASK
from gemini_workshop.exercises.lesson_07.tools import attention_by_rows, differing_weight
from gemini_workshop.models.sliding_window import sliding_window_attention


def _cases(generator: torch.Generator) -> list[Arguments]:
    draw = drawing(generator)
    return [
        (draw(6, 3), draw(6, 3), draw(6, 2), 2, 3),
        (draw(11, 4), draw(11, 4), draw(11, 7), 4, 3),
        (draw(2, 7, 3), draw(2, 12, 3), draw(2, 12, 4), 5, 2),
        (draw(3, 2, 5, 4), draw(3, 2, 5, 4), draw(3, 2, 5, 6), 3, 8),
        (draw(9, 3), draw(10, 3), draw(10, 5), 20, 4),
        (draw(10, 3), draw(10, 3), draw(10, 4), 1, 4),
    ]


def _oracle(query: Tensor, key: Tensor, value: Tensor, window_tokens: int, chunk_tokens: int) -> Tensor:
    return attention_by_rows(query, key, value, lambda t, s: t - window_tokens < s <= t)


def _explain(function: Function, case: Arguments) -> str | None:
    *tensors, window, chunk = case
    call = partial(_call, window=window, chunk=chunk)
    sentence = differing_weight(partial(call, function), partial(call, _oracle), *tensors)
    return sentence and f"{sentence[:-2]}; window {window}, chunks of {chunk})."


def _call(function: Function, query: Tensor, key: Tensor, value: Tensor, window: int, chunk: int) -> Tensor:
    return function(query, key, value, window, chunk)


def _work_is_quadratic(function: Function) -> str | None:
    draw, made = drawing(torch.Generator().manual_seed(1)), []
    for num_tokens in (96, 192):
        query, key, value = draw(3, num_tokens, 4)
        with MemoryTraffic(fast_numbers=0) as memory:
            function(query, key, value, 4, 8)
        made.append(memory.numbers_made)
    if made[0] == 0 or made[1] < 2.6 * made[0]:
        return None
    return (
        f"With a window of 4, a text of 96 tokens makes it compute {made[0]:,} numbers on the way, and one of 192 "
        f"tokens {made[1]:,}: {made[1] / made[0]:.1f} times as many. The window does not grow, so twice should be "
        "enough: give each chunk of queries only the keys that at least one of them sees."
    )


def _banded(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    window_tokens: int,
    chunk_tokens: int,
    *,
    earlier: Callable[[int, int], int] = lambda T, S: S - T,
    first: Callable[[int, int, int], int] = lambda start, stop, W: start - W + 1,
    hide: Callable[[Tensor, int], Tensor] = lambda distance, W: (distance < 0) | (distance >= W),
    num_chunks: Callable[[int, int], int] = lambda T, chunk: -(-T // chunk),
    scale: Callable[[Tensor, Tensor], float] = lambda query, keys: query.shape[-1] ** -0.5,
) -> Tensor:
    """Banded attention with a place to go wrong at each of its steps: the misconceptions below fill them in."""
    T, S = query.shape[-2], key.shape[-2]
    outputs = []
    for chunk in range(num_chunks(T, chunk_tokens)):
        queries = torch.arange(chunk * chunk_tokens, min((chunk + 1) * chunk_tokens, T))
        places = queries + earlier(T, S)
        low = max(0, first(int(places[0]), int(places[-1]) + 1, window_tokens))
        keys = torch.arange(low, int(places[-1]) + 1)
        scores = query[..., queries, :] @ key[..., keys, :].mT * scale(query, key[..., keys, :])
        hidden = hide(places[:, None] - keys, window_tokens)
        outputs.append(scores.masked_fill(hidden, -math.inf).softmax(-1).nan_to_num() @ value[..., keys, :])
    return torch.cat(outputs, dim=-2)


SLIDING_WINDOW_ATTENTION = Exercise(
    id="07.4",
    minutes=12,
    difficulty=4,
    importance=4,
    reference=sliding_window_attention,
    oracle=_oracle,
    cases=_cases,
    explain=_explain,
    invariants=(Invariant(name="work grows with the window", broken=_work_is_quadratic),),
    misconceptions={
        "corners not masked": Say(
            "All queries of a chunk see the whole slice of keys. The slice is longer than the window: mask its two "
            "corners, the future and what lies too far back for the later queries."
        ).to(_banded, hide=lambda distance, W: distance > 10**6),
        "future corner visible": Say(
            "Inside a chunk the future is visible: a query sees later tokens of its own chunk. The window's mask is "
            "causal, too."
        ).to(_banded, hide=lambda distance, W: distance >= W),
        "far corner visible": Say(
            "The later queries of a chunk see too far back: they get all keys of the slice, which begins where the "
            "chunk's first query needs it. Each query has a window of its own."
        ).to(_banded, hide=lambda distance, W: distance < 0),
        "no window": Say(
            "Every query sees all earlier keys. That is causal attention without a window; where does the slice of "
            "keys begin?"
        ).to(_banded, first=lambda start, stop, W: 0, hide=lambda distance, W: distance < 0),
        "slice begins one key late": Say(
            "The slice of keys begins one too late: the chunk's first query misses the oldest key of its window. The "
            "window counts the query's own key."
        ).to(_banded, first=lambda start, stop, W: min(start, start - W + 2)),
        "slice fits the last query": Say(
            "The slice of keys fits the last query of the chunk. The first one looks further back: begin with what it "
            "needs."
        ).to(_banded, first=lambda start, stop, W: min(start, stop - W)),
        "own chunk only": Say(
            "A chunk sees only its own keys. The first query of a chunk needs keys from before the chunk."
        ).to(_banded, first=lambda start, stop, W: start),
        "window one too wide": Say(
            "The window is one key too wide. It counts the query's own key: with a window of 1 a token sees itself "
            "only."
        ).to(_banded, first=lambda start, stop, W: start - W, hide=lambda distance, W: (distance < 0) | (distance > W)),
        "window one too narrow": Say(
            "The window is one key too narrow. It counts the query's own key: with a window of 1 a token sees itself."
        ).to(_banded, hide=lambda distance, W: (distance < 0) | (distance >= max(1, W - 1))),
        "queries taken for the first tokens": Say(
            "With more keys than queries, the queries are taken for the first tokens. They are the last T of the S "
            "tokens, so the slice lies S - T further on."
        ).to(_banded, earlier=lambda T, S: 0),
        "last chunk left out": Say(
            "A last chunk that is shorter than the others is left out, and its queries with it."
        ).to(_banded, num_chunks=lambda T, chunk: max(1, T // chunk)),
        "not scaled": Say("The scores are not divided by √C, the root of the number of channels.").to(
            _banded, scale=lambda query, keys: 1.0
        ),
        "scaled by the number of keys": Say(
            "The scores are divided by the root of the number of keys. A score is a sum over channels: how many terms "
            "does it have?"
        ).to(_banded, scale=lambda query, keys: keys.shape[-2] ** -0.5),
    },
    parts=(ATTENTION, SLIDING_WINDOW_MASK),
    hints=(
        "Take one chunk of queries. Which is the oldest key that its first query sees, and which the newest that its "
        "last one sees? Everything else can be left out.",
        "Query t is token S - T + t. The chunk from start to stop needs the keys from S - T + start - window + 1 (not "
        "below 0) up to S - T + stop. Inside this slice your `sliding_window_mask` fits: its queries are the last of "
        "its keys.",
        "`mask = sliding_window_mask(stop - start, last - first, window_tokens)`, then `scaled_dot_product_attention` "
        "of the slices `query[..., start:stop, :]`, `key[..., first:last, :]`, `value[..., first:last, :]` and "
        "the mask.",
    ),
)
