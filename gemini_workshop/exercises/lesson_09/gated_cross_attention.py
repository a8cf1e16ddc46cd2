"""Exercise 09.5, ``gated_cross_attention``: its cases, and what learners get wrong."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from gemini_workshop.exercises.core.comparison import number, same, worst_index
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Say
from gemini_workshop.exercises.core.tools import drawing
from gemini_workshop.exercises.lesson_07.grouped_query_attention import GROUPED_QUERY_ATTENTION
from gemini_workshop.models.multimodal.fusion import gated_cross_attention


def _cases(generator: torch.Generator) -> list[Arguments]:
    draw = drawing(generator)
    visible = torch.tensor([[1, 0, 1, 0, 0, 1], [0, 1, 0, 0, 0, 0], [0, 1, 1, 0, 1, 0]], dtype=torch.bool)
    one = torch.tensor
    return [
        (draw(1, 1, 2, 3), draw(1, 1, 4, 3), draw(1, 1, 4, 2), one([0.0])),
        (draw(1, 2, 3, 4), draw(1, 2, 5, 4), draw(1, 2, 5, 4), one([0.5])),
        (draw(2, 4, 5, 3), draw(2, 2, 3, 3), draw(2, 2, 3, 6), one([-1.5])),
        (draw(2, 2, 3, 4), draw(2, 2, 6, 4), draw(2, 2, 6, 5), one([0.8]), visible),
        (draw(2, 3, 4, 5), draw(2, 3, 4, 5), draw(2, 3, 4, 5), one([3.0])),
    ]


def _oracle(query: Tensor, key: Tensor, value: Tensor, gate: Tensor, mask: Tensor | None = None) -> Tensor:
    """One head at a time, in float64."""
    query, key, value, gate = query.double(), key.double(), value.double(), gate.double()
    heads, per_group = [], query.shape[1] // key.shape[1]
    for h in range(query.shape[1]):
        scores = torch.einsum("btc,bsc->bts", query[:, h], key[:, h // per_group]) / math.sqrt(query.shape[-1])
        if mask is not None:
            scores = torch.where(mask, scores, -math.inf)
        weights = (scores - scores.logsumexp(-1, keepdim=True)).exp()
        heads.append(torch.einsum("bts,bsc->btc", weights, value[:, h // per_group]))
    growth = torch.exp(2 * gate)
    return (growth - 1) / (growth + 1) * torch.stack(heads, dim=1)


def _explain(function: Function, case: Arguments) -> str | None:
    got, expected = function(*case), _oracle(*case)
    gate = f"With a gate of {number(case[3][0])}"
    if got.shape != expected.shape:
        return f"{gate} it returned shape {tuple(got.shape)}; {tuple(expected.shape)} = (B, H, T, Cv) is needed."
    if same(got, expected):
        return None
    b, h, t, c = worst_index(got, expected)
    return (
        f"{gate}, channel {c} of query {t} in head {h} of text {b} is {number(got[b, h, t, c])}; "
        f"{number(expected[b, h, t, c])} is needed."
    )


def _look(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    gate: Tensor,
    mask: Tensor | None = None,
    *,
    keys: Callable[[Tensor, Tensor], Tensor] = lambda key, value: key,
    values: Callable[[Tensor, Tensor], Tensor] = lambda key, value: value,
    shared: Callable[[Tensor, int], Tensor] = lambda x, g: x.repeat_interleave(g, 1),
    scale: Callable[[int], float] = math.sqrt,
    score: Callable[[Tensor, Tensor], Tensor] = lambda scores, gate: scores,
    hide: Callable[[Tensor, Tensor], Tensor] = lambda scores, mask: scores.masked_fill(~mask, -math.inf),
    dim: int = -1,
    opened: Callable[[Tensor, Tensor], Tensor] = lambda gate, found: gate.tanh() * found,
) -> Tensor:
    """Right but for the steps: keys, values, who shares them, scores, the mask, the softmax, and the gate."""
    g = query.shape[1] // key.shape[1]
    scores = query @ shared(keys(key, value), g).mT / scale(query.shape[-1])
    scores = score(scores, gate)
    scores = scores if mask is None else hide(scores, mask)
    return opened(gate, scores.softmax(dim) @ shared(values(key, value), g))


def _causal(scores: Tensor, _: Tensor) -> Tensor:
    return scores.masked_fill(~torch.ones_like(scores, dtype=torch.bool).tril(), -math.inf)


GATED_CROSS_ATTENTION = Exercise(
    id="09.5",
    minutes=6,
    difficulty=2,
    importance=4,
    reference=gated_cross_attention,
    oracle=_oracle,
    cases=_cases,
    explain=_explain,
    misconceptions={
        "no gate": Say(
            "The gate changes nothing. What was found is multiplied by tanh(gate), so that a gate of 0 shuts the layer."
        ).to(_look, opened=lambda gate, found: found),
        "gate without tanh": Say(
            "What was found is multiplied by the gate itself. `tanh` keeps the factor between -1 and 1."
        ).to(_look, opened=lambda gate, found: gate * found),
        "sigmoid": Say(
            "The gate goes through a sigmoid. At 0 that is one half: the new layer would disturb the model from its "
            "first step. `tanh` is 0 there."
        ).to(_look, opened=lambda gate, found: gate.sigmoid() * found),
        "one plus tanh": Say(
            "The factor is 1 + tanh(gate), so that a gate of 0 leaves the layer fully open. It should be shut."
        ).to(_look, opened=lambda gate, found: (1 + gate.tanh()) * found),
        "tanh of all": Say(
            "The tanh is taken of what was found, too. Only the gate goes through it: what was found keeps its size."
        ).to(_look, opened=lambda gate, found: (gate * found).tanh()),
        "gate in the scores": Say(
            "The gate multiplies the scores. At 0 all weights are then equal, and the mean of all values comes "
            "through. It belongs behind the attention."
        ).to(_look, score=lambda scores, gate: scores * gate.tanh(), opened=lambda gate, found: found),
        "positive gates only": Say(
            "A negative gate is treated as 0. It turns the sign of what was found, and training may want that."
        ).to(_look, opened=lambda gate, found: gate.tanh().relu() * found),
        "size of the gate": Say("A negative gate acts like a positive one. It turns the sign of what was found.").to(
            _look, opened=lambda gate, found: gate.tanh().abs() * found
        ),
        "causal": Say(
            "A causal mask is at work. Token t of the text is not later than patch t: they are two different counts. "
            "Every token may look at the whole context, unless `mask` says otherwise."
        ).to(_look, score=_causal),
        "not scaled": Say("The scores are not divided by √C, the root of the number of channels.").to(
            _look, scale=lambda C: 1.0
        ),
        "mask ignored": Say("The mask changes nothing: hidden context vectors get weights like the others.").to(
            _look, hide=lambda scores, mask: scores
        ),
        "mask upside down": Say("The mask works the wrong way round: True means may attend.").to(
            _look, hide=lambda scores, mask: scores.masked_fill(mask, -math.inf)
        ),
        "softmax over the queries": Say(
            "The attention weights sum to one over the tokens of the text. Each token distributes its attention over "
            "the context: the last axis."
        ).to(_look, dim=-2),
        "heads tiled": Say(
            "Key/value heads are dealt out in turn: 0, 1, 0, 1. *Neighboring* query heads share one, as in lesson 07."
        ).to(_look, shared=lambda x, g: x.repeat(1, g, 1, 1)),
        "first head for all": Say("All query heads use key/value head 0. That is right only if there is one.").to(
            _look, shared=lambda x, g: x[:, :1].expand(-1, x.shape[1] * g, -1, -1)
        ),
        "values times one minus": Say(
            "The factor is 1 - tanh(gate): the layer is open at first and shuts with the gate. It should be shut."
        ).to(_look, opened=lambda gate, found: (1 - gate.tanh()) * found),
    },
    parts=(GROUPED_QUERY_ATTENTION,),
    hints=(
        "It is attention as you know it; only keys and values come from somewhere else. What is the one new line?",
        "`grouped_query_attention` does everything up to the gate. No causal mask: the context is not a future.",
        "`torch.tanh(gate) * grouped_query_attention(...)`, with the mask handed on.",
    ),
)
