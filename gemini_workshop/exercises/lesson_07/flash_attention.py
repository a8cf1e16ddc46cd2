"""Exercise 07.2, ``flash_attention``: its cases, and what learners get wrong."""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from gemini_workshop.evaluation.traffic import MemoryTraffic
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Invariant, Say
from gemini_workshop.exercises.core.tools import drawing
from gemini_workshop.exercises.lesson_07.online_softmax import ONLINE_SOFTMAX
from gemini_workshop.exercises.lesson_07.tools import attention_by_rows, differing_weight
from gemini_workshop.models.flash_attention import flash_attention, online_softmax

Sums = tuple[Tensor, Tensor, Tensor]


def _cases(generator: torch.Generator) -> list[Arguments]:
    draw = drawing(generator)
    rising = torch.arange(7.0)[:, None] * torch.ones(7, 4)
    return [
        (draw(4, 3), draw(4, 3), draw(4, 3), 2),
        (draw(7, 4), draw(7, 4) + 0.4 * rising, draw(7, 5), 3),
        (draw(2, 4, 6), draw(2, 9, 6), draw(2, 9, 5), 3),
        (draw(3, 2, 5, 4), draw(3, 2, 5, 4), draw(3, 2, 5, 6), 8),
        (30 * draw(11, 3), 30 * draw(13, 3), draw(13, 2), 4),
    ]


def _oracle(query: Tensor, key: Tensor, value: Tensor, tile_tokens: int) -> Tensor:
    return attention_by_rows(query, key, value, lambda t, s: s <= t)


def _explain(function: Function, case: Arguments) -> str | None:
    *tensors, tile = case
    sentence = differing_weight(partial(_call, function, tile), partial(_call, _oracle, tile), *tensors)
    return sentence and f"{sentence[:-2]}; tiles of {tile})."


def _call(function: Function, tile: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return function(query, key, value, tile)


def _matrix_is_held(function: Function) -> str | None:
    draw = drawing(torch.Generator().manual_seed(1))
    query, key, value = draw(40, 4), draw(44, 4), draw(44, 4)
    with MemoryTraffic(fast_numbers=0) as memory:
        function(query, key, value, 8)
    if memory.largest_made < 40 * 44:
        return None
    return (
        f"With 40 queries, 44 keys and tiles of 8 it makes a tensor of {memory.largest_made:,} numbers. The matrix of "
        "all scores has 40 · 44 = 1,760, and the point is never to hold it: compute scores for one tile of queries and "
        "one tile of keys at a time."
    )


def _tiled(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    tile_tokens: int,
    *,
    scale: Callable[[int], float] = lambda C: C**-0.5,
    position: Callable[[int, int, int], int] = lambda first, T, S: S - T + first,
    last: Callable[[int, int], int] = lambda stop, size: stop,
    hide: Callable[[Tensor, Tensor], Tensor] = lambda queries, keys: keys > queries,
    update: Callable[..., tuple[Tensor, Tensor, Tensor]] = online_softmax,
    finish: Callable[[Tensor, Tensor], Tensor] = lambda mixed, total: mixed / total,
) -> Tensor:
    """Tiled attention with a place to go wrong at each of its steps: the misconceptions below fill them in."""
    (T, C), S = query.shape[-2:], key.shape[-2]
    outputs = []
    for first in range(0, T, tile_tokens):
        tile = query[..., first : first + tile_tokens, :] * scale(C)
        place = position(first, T, S)
        queries = torch.arange(place, place + tile.shape[-2])[:, None]
        largest = torch.full_like(tile[..., :1], -math.inf)
        total, mixed = torch.zeros_like(largest), torch.zeros(*tile.shape[:-1], value.shape[-1])
        for start in range(0, min(S, last(place + tile.shape[-2], tile_tokens)), tile_tokens):
            keys = torch.arange(start, min(start + tile_tokens, S))
            scores = (tile @ key[..., keys, :].mT).masked_fill(hide(queries, keys), -math.inf)
            largest, total, mixed = update(largest, total, mixed, scores, value[..., keys, :])
        outputs.append(finish(mixed, total))
    return torch.cat(outputs, dim=-2)


def _last_tile_only(largest: Tensor, total: Tensor, mixed: Tensor, scores: Tensor, value: Tensor) -> Sums:
    return online_softmax(torch.full_like(largest, -math.inf), 0 * total, 0 * mixed, scores, value)


def _not_shrunk(largest: Tensor, total: Tensor, mixed: Tensor, scores: Tensor, value: Tensor) -> Sums:
    new, _, _ = online_softmax(largest, total, mixed, scores, value)
    weights = (scores - new).exp()
    return new, total + weights.sum(-1, keepdim=True), mixed + weights @ value


def _divided(*sums_and_tile: Tensor) -> Sums:
    largest, total, mixed = online_softmax(*sums_and_tile)
    return largest, total, mixed / total


def _keys_end_among_the_queries(query: Tensor, key: Tensor, value: Tensor, tile_tokens: int) -> Tensor:
    earlier = key.shape[-2] - query.shape[-2]
    return _tiled(query, key, value, tile_tokens, last=lambda stop, size: stop - earlier)


def _average_of_tiles(query: Tensor, key: Tensor, value: Tensor, tile_tokens: int) -> Tensor:
    """Each tile of keys by itself, then the mean of the outputs in which a query sees anything."""
    S, rows = key.shape[-2], []
    for t in range(query.shape[-2]):
        place, outputs = S - query.shape[-2] + t, []
        for start in range(0, place + 1, tile_tokens):
            keys = slice(start, min(start + tile_tokens, place + 1))
            scores = query[..., t : t + 1, :] @ key[..., keys, :].mT / query.shape[-1] ** 0.5
            outputs.append(scores.softmax(-1) @ value[..., keys, :])
        rows.append(torch.stack(outputs).mean(0))
    return torch.cat(rows, dim=-2)


def _own_tile_only(query: Tensor, key: Tensor, value: Tensor, tile_tokens: int) -> Tensor:
    earlier = key.shape[-2] - query.shape[-2]
    return attention_by_rows(
        query, key, value, lambda t, s: s <= t and s >= (t - earlier) // tile_tokens * tile_tokens + earlier
    ).float()


FLASH_ATTENTION = Exercise(
    id="07.2",
    minutes=20,
    difficulty=5,
    importance=3,
    reference=flash_attention,
    oracle=_oracle,
    cases=_cases,
    explain=_explain,
    invariants=(Invariant(name="never holds all scores", broken=_matrix_is_held),),
    misconceptions={
        "not scaled": Say("The scores are not divided by √C, the root of the number of channels.").to(
            _tiled, scale=lambda C: 1.0
        ),
        "scaled twice": Say(
            "The scores are divided by √C twice. The tile of queries is scaled already when it is cut out."
        ).to(_tiled, scale=lambda C: 1.0 / C),
        "future visible": Say(
            "Inside a tile the future is visible: a query also gets weights for keys that come after it. Hide them "
            "before the update."
        ).to(_tiled, hide=lambda queries, keys: keys > queries.amax()),
        "everything visible": Say(
            "Every query sees every key, later ones too. A tile of keys that lies wholly in the future can be left "
            "out; in the others, hide what comes after the query."
        ).to(_tiled, last=lambda stop, size: 10**6, hide=lambda queries, keys: keys > 10**6),
        "hides itself": Say("A query does not see its own key. Hidden are only the keys that come after it.").to(
            _tiled, hide=lambda queries, keys: (keys >= queries) & (queries > 0)
        ),
        "sees the next token": Say("Each query also sees the key after its own, which is the future.").to(
            _tiled,
            hide=lambda queries, keys: keys > queries + 1,
            last=lambda stop, size: stop + 1,
        ),
        "queries taken for the first tokens": Say(
            "With more keys than queries, the queries are taken for the first tokens. They are the last T of the S "
            "tokens: query t is token S - T + t."
        ).to(_tiled, position=lambda first, T, S: first),
        "keys end at the place among the queries": Say(
            "With more keys than queries, the loop over keys ends too early: at the place of the tile among the "
            "queries. Query t is token S - T + t, so the last key that it sees lies S - T further on."
        ).to(_keys_end_among_the_queries),
        "positions counted inside the tile": Say(
            "Positions of queries are counted from the beginning of the tile. The second tile does not start at "
            "token 0."
        ).to(_tiled, position=lambda first, T, S: S - T),
        "last tile of keys left out": Say(
            "The tile of keys in which the queries themselves are is left out: the loop over keys ends too early."
        ).to(_tiled, last=lambda stop, size: max(size, stop - size)),
        "a shorter last tile left out": Say(
            "Where the number of keys is not a multiple of the tile, the last few keys are left out. A last tile may "
            "have fewer."
        ).to(_tiled, last=lambda stop, size: max(size, stop // size * size)),
        "only the last tile counts": Say(
            "Only the last tile of keys is in the result: the sums start again with every tile. They start before the "
            "loop over keys and go through it."
        ).to(_tiled, update=_last_tile_only),
        "own tile only": Say(
            "Each tile of queries sees the keys of its own tile only. All tiles of keys before it pass by, too."
        ).to(_own_tile_only),
        "old sums not shrunk": Say(
            "When a larger score turns up in a later tile, the sums so far are not shrunk. `online_softmax` does that."
        ).to(_tiled, update=_not_shrunk),
        "average of the tiles": Say(
            "Each tile of keys has a softmax of its own, and the outputs are averaged. A tile with low scores then "
            "counts as much as one with high scores."
        ).to(_average_of_tiles),
        "divided after every tile": Say(
            "The values are divided by `total` after every tile of keys. The next tile is then added to an average, "
            "not to a sum: divide once, after the last one."
        ).to(_tiled, update=_divided),
        "not divided": Say(
            "The sum of the weighted values is returned as it is. At the end it has to be divided by `total`."
        ).to(_tiled, finish=lambda mixed, total: mixed),
    },
    parts=(ONLINE_SOFTMAX,),
    hints=(
        "Two loops: over tiles of queries, and inside it over tiles of keys. The sums start before the inner loop, and "
        "the division comes after it.",
        "Before the first key, the largest score is minus infinity and the two sums are zero, with one row for each "
        "query of the tile. Query t is token S - T + t; a key is hidden where its number is greater than the query's.",
        "In the inner loop: `scores = tile @ key[..., start:stop, :].mT`, then `scores.masked_fill(torch.arange(start, "
        "stop) > places[:, None], -math.inf)`, then `online_softmax`. After it: `outputs.append(mixed / total)`.",
    ),
)
