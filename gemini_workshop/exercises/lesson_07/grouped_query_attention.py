"""Exercise 07.5, ``grouped_query_attention``: its cases, and what learners get wrong."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from gemini_workshop.exercises.core.comparison import number, same, worst_index
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Say
from gemini_workshop.exercises.core.tools import drawing
from gemini_workshop.exercises.lesson_02.scaled_dot_product_attention import ATTENTION
from gemini_workshop.models.attention import grouped_query_attention


def _cases(generator: torch.Generator) -> list[Arguments]:
    draw = drawing(generator)
    visible = torch.tensor([[1, 0, 1, 0, 0, 1], [0, 1, 0, 0, 0, 0], [0, 1, 1, 0, 1, 0]], dtype=torch.bool)
    return [
        (draw(1, 4, 2, 3), draw(1, 2, 5, 3), draw(1, 2, 5, 3)),
        (draw(2, 6, 4, 3), draw(2, 2, 5, 3), draw(2, 2, 5, 7)),
        (draw(2, 6, 3, 4), draw(2, 3, 6, 4), draw(2, 3, 6, 5), visible),
        (draw(1, 5, 3, 4), draw(1, 1, 6, 4), draw(1, 1, 6, 2), visible),
        (draw(2, 3, 4, 5), draw(2, 3, 4, 5), draw(2, 3, 4, 6), torch.ones(4, 4, dtype=torch.bool).tril()),
    ]


def _oracle(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """One head at a time, in float64: head h has the keys and values of group h // (H / K)."""
    query, key, value = query.double(), key.double(), value.double()
    per_group = query.shape[1] // key.shape[1]
    heads = []
    for h in range(query.shape[1]):
        scores = torch.einsum("btc,bsc->bts", query[:, h], key[:, h // per_group]) / math.sqrt(query.shape[-1])
        if mask is not None:
            scores = torch.where(mask, scores, -math.inf)
        weights = (scores - scores.logsumexp(-1, keepdim=True)).exp()
        heads.append(torch.einsum("bts,bsc->btc", weights, value[:, h // per_group]))
    return torch.stack(heads, dim=1)


def _explain(function: Function, case: Arguments) -> str | None:
    query, key, value, *mask = case
    (_, H), K = query.shape[:2], key.shape[1]
    got, expected = function(*case), _oracle(*case)
    if got.shape != expected.shape:
        return f"It returned shape {tuple(got.shape)}; {tuple(expected.shape)} = (B, H, T, Cv) is needed."
    h = worst_index(got, expected)[1]
    for other in range(K):
        alone = [x[:, other : other + 1] for x in (key, value)]
        if other != h // (H // K) and same(got[:, h : h + 1], _oracle(query[:, h : h + 1], *alone, *mask)):
            return (
                f"With {H} query heads and {K} key/value heads, head {h} attends with key/value head {other}; it "
                f"should be {h // (H // K)}."
            )
    place = worst_index(got, expected)
    return (
        f"With {H} query heads and {K} key/value heads, channel {place[3]} of query {place[2]} in head {h} is "
        f"{number(got[place])}; {number(expected[place])} is needed."
    )


Choice = Callable[[Tensor, int], Tensor]


def _repeated(x: Tensor, H: int) -> Tensor:
    return x.repeat_interleave(H // x.shape[1], dim=1)


def _tiled(x: Tensor, H: int) -> Tensor:
    return x.repeat(1, H // x.shape[1], 1, 1)


def _first(x: Tensor, H: int) -> Tensor:
    return x[:, :1].expand(-1, H, -1, -1)


def _mean(x: Tensor, H: int) -> Tensor:
    return x.mean(1, keepdim=True).expand(-1, H, -1, -1)


def _reversed(x: Tensor, H: int) -> Tensor:
    return _repeated(x, H).flip(1)


def _grouped(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    *,
    keys: Choice = _repeated,
    values: Choice = _repeated,
    scale: Callable[[Tensor, Tensor], float] = lambda query, key: query.shape[-1],
    hide: Callable[[Tensor, Tensor], Tensor] = lambda scores, mask: scores.masked_fill(~mask, -math.inf),
    dim: int = -1,
) -> Tensor:
    """Grouped attention with a place to go wrong at each of its steps: the misconceptions below fill them in."""
    H = query.shape[1]
    scores = query @ keys(key, H).mT / math.sqrt(scale(query, key))
    return (scores if mask is None else hide(scores, mask)).softmax(dim) @ values(value, H)


GROUPED_QUERY_ATTENTION = Exercise(
    id="07.5",
    minutes=8,
    difficulty=3,
    importance=5,
    reference=grouped_query_attention,
    oracle=_oracle,
    cases=_cases,
    explain=_explain,
    misconceptions={
        "heads tiled": Say(
            "Key/value heads are dealt out in turn: 0, 1, 0, 1, and so on. *Neighboring* query heads share one: 0, 0, "
            "1, 1."
        ).to(_grouped, keys=_tiled, values=_tiled),
        "first head for all": Say(
            "All query heads use key/value head 0. That is right only if there is one (multi-query attention)."
        ).to(_grouped, keys=_first, values=_first),
        "mean of the heads": Say(
            "All query heads use the mean of the key/value heads. Each group has keys and values of its own."
        ).to(_grouped, keys=_mean, values=_mean),
        "values tiled": Say(
            "The keys go to the right heads, the values do not: they are dealt out in turn. Keys and values of a head "
            "belong together."
        ).to(_grouped, values=_tiled),
        "keys tiled": Say(
            "The values go to the right heads, the keys do not: they are dealt out in turn. Keys and values of a head "
            "belong together."
        ).to(_grouped, keys=_tiled),
        "groups in reverse": Say(
            "The groups are in reverse order: the first query heads get the last key/value head."
        ).to(_grouped, keys=_reversed, values=_reversed),
        "not scaled": Say("The scores are not divided by √C, the root of the number of channels.").to(
            _grouped, scale=lambda query, key: 1.0
        ),
        "scaled by the width of a group": Say(
            "The scores are divided by the root of all channels of a group of heads. A score is a product of one query "
            "and one key: C terms."
        ).to(_grouped, scale=lambda query, key: query.shape[-1] * query.shape[1] // key.shape[1]),
        "mask ignored": Say(
            "The mask changes nothing: hidden keys get weights like the others. Pass it on to attention."
        ).to(_grouped, hide=lambda scores, mask: scores),
        "mask upside down": Say(
            "The mask works the wrong way round: True means may attend. Here the permitted keys are hidden."
        ).to(_grouped, hide=lambda scores, mask: scores.masked_fill(mask, -math.inf)),
        "softmax over the queries": Say(
            "The attention weights sum to one over the queries. Each query distributes its attention over the keys."
        ).to(_grouped, dim=-2),
        "softmax over the heads": Say(
            "The attention weights sum to one over the heads. Each head has a softmax of its own, over its keys."
        ).to(_grouped, dim=1),
    },
    parts=(ATTENTION,),
    hints=(
        "Write down which key/value head each of six query heads uses if there are two. Then make keys and values "
        "that have one head for each query head.",
        "Neighbors share: 0, 0, 0, 1, 1, 1. `repeat_interleave` repeats each head before it goes on to the next; "
        "`repeat` would give 0, 1, 0, 1, 0, 1.",
        "`key.repeat_interleave(query.shape[1] // key.shape[1], dim=1)`, the same with `value`, then "
        "`scaled_dot_product_attention` with the mask.",
    ),
)
