"""Exercise 02.2, ``scaled_dot_product_attention``: its cases, and what learners get wrong."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from gemini_workshop.exercises.core.battery.declaration import Battery
from gemini_workshop.exercises.core.comparison import number, same, worst_index
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Invariant, Say
from gemini_workshop.exercises.core.tools import drawing
from gemini_workshop.exercises.lesson_02.softmax import SOFTMAX
from gemini_workshop.exercises.lesson_02.tools import normalized
from gemini_workshop.models.attention import scaled_dot_product_attention


def _cases(generator: torch.Generator) -> list[Arguments]:
    draw = drawing(generator)
    visible = torch.tensor(
        [[1, 1, 0, 0, 0, 1], [1, 0, 0, 1, 0, 0], [0, 0, 0, 0, 1, 0], [0, 1, 1, 1, 0, 1]], dtype=torch.bool
    )
    return [
        (draw(2, 4), draw(3, 4), draw(3, 5)),
        (draw(4, 5), draw(6, 5), draw(6, 3), visible),
        (draw(2, 3, 5, 6), draw(2, 3, 7, 6), draw(2, 3, 7, 4), torch.ones(5, 7, dtype=torch.bool).tril(2)),
        (100 * draw(3, 8), 100 * draw(5, 8), draw(5, 2)),
        (0.3 * draw(4, 8) + 6.8, 0.3 * draw(6, 8) - 6.8, draw(6, 3), visible),
    ]


def _beyond(generator: torch.Generator) -> list[Arguments]:
    draw = drawing(generator)
    return [
        (draw(2, 70), draw(130, 70), draw(130, 90)),
        (draw(2, 1, 3, 2, 5), draw(2, 1, 3, 4, 5), draw(2, 1, 3, 4, 2), torch.ones(2, 4, dtype=torch.bool).tril(2)),
    ]


def _oracle(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """The definition with one query and one head at a time, in float64 and with none of the code that it judges."""
    query, key, value = query.double(), key.double(), value.double()
    output = query.new_zeros(*query.shape[:-1], value.shape[-1])
    for index in torch.cartesian_prod(*(torch.arange(n) for n in query.shape[:-1])).reshape(-1, query.ndim - 1):
        *head, t = index.tolist()
        scores = [float(query[(*head, t)].dot(k)) / math.sqrt(query.shape[-1]) for k in key[tuple(head)]]
        may_attend = [True] * len(scores) if mask is None else mask[t].tolist()
        largest = max(s for s, may in zip(scores, may_attend, strict=True) if may)
        weights = [math.exp(s - largest) if may else 0.0 for s, may in zip(scores, may_attend, strict=True)]
        for weight, v in zip(weights, value[tuple(head)], strict=True):
            output[(*head, t)] += weight / sum(weights) * v
    return output


def _explain(function: Function, case: Arguments) -> str | None:
    """The attention weight that differs most, read off by giving key i row i of an identity matrix as its value."""
    query, key, _, *mask = case
    names = torch.eye(key.shape[-2]).expand(*key.shape[:-1], key.shape[-2])
    got, expected = function(query, key, names, *mask), _oracle(query, key, names, *mask)
    if same(got, expected):
        return None
    *head, t, s = worst_index(got, expected)
    where = f" of head {head}" if head else ""
    return (
        f"Query {t}{where} gives key {s} an attention weight of {number(got[(*head, t, s)])}; it should be "
        f"{number(expected[(*head, t, s)])} (head_dim = {query.shape[-1]}, counting from 0)."
    )


def _hidden_key_is_used(function: Function) -> str | None:
    query, key, value, mask = _cases(torch.Generator().manual_seed(1))[1]
    before = function(query, key, value, mask)
    for s in range(key.shape[0]):
        changed = value.clone()
        changed[s] += 1.0
        moved = (function(query, key, changed, mask) - before).abs().amax(-1)
        for t in (~mask[:, s]).nonzero().flatten().tolist():
            if moved[t] > 1e-5:
                return (
                    f"The mask hides key {s} from query {t}. Yet changing value {s} moved output {t} by "
                    f"{number(moved[t])}."
                )
    return None


def _attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    *,
    scale: Callable[[Tensor, Tensor, Tensor], float] = lambda q, k, v: math.sqrt(q.shape[-1]),
    hide: Callable[[Tensor, Tensor], Tensor] = lambda scores, mask: scores.masked_fill(~mask, -math.inf),
    weigh: Callable[[Tensor], Tensor] = lambda scores: scores.softmax(-1),
) -> Tensor:
    """Attention with a place to go wrong at each of its steps: the misconceptions below fill them in."""
    scores = query @ key.transpose(-2, -1) / scale(query, key, value)
    return weigh(scores if mask is None else hide(scores, mask)) @ value


def _masked_afterwards(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    weights = (query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])).softmax(-1)
    return (weights if mask is None else weights * mask) @ value


def _reshaped_key(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    turned = key.reshape(*key.shape[:-2], key.shape[-1], key.shape[-2])
    return _attend(query, turned.transpose(-2, -1), value, mask)


def _plain(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    weights = torch.softmax(scores, dim=-1)
    return weights @ value


ATTENTION = Exercise(
    id="02.2",
    minutes=10,
    difficulty=3,
    importance=5,
    reference=scaled_dot_product_attention,
    oracle=_oracle,
    cases=_cases,
    plain=_plain,
    explain=_explain,
    invariants=(Invariant(name="hidden keys are not used", broken=_hidden_key_is_used),),
    battery=Battery(untrained="lesson 02 trains nothing", beyond=_beyond),
    misconceptions={
        "hidden by a number that is not small enough": Say(
            "Hidden keys get a score that is small, but not smallest: in a row whose visible scores are smaller still, "
            "the hidden keys win. Which score is below all others?"
        ).to(_attend, hide=lambda scores, mask: scores.masked_fill(~mask, -100.0)),
        "not scaled": Say(
            "It looks as if the scores are not divided by √head_dim. Look at the line where query meets key."
        ).to(_attend, scale=lambda q, k, v: 1.0),
        "divided by head_dim": Say(
            "It looks as if the scores are divided by head_dim itself. Their standard deviation grows like its "
            "root: which power undoes that?"
        ).to(_attend, scale=lambda q, k, v: q.shape[-1]),
        "multiplied by the root": Say(
            "It looks as if the scores are multiplied by √head_dim. That makes it worse: it has to be divided out."
        ).to(_attend, scale=lambda q, k, v: 1 / math.sqrt(q.shape[-1])),
        "scaled by the number of keys": Say(
            "It looks as if the scores are divided by the root of the number of keys. A score is a sum over channels: "
            "how many terms does it have?"
        ).to(_attend, scale=lambda q, k, v: math.sqrt(k.shape[-2])),
        "scaled by the value's width": Say(
            "It looks as if the root is taken of the width of the values. The scores come from queries and keys only; "
            "the values are not involved."
        ).to(_attend, scale=lambda q, k, v: math.sqrt(v.shape[-1])),
        "softmax over the queries": Say(
            "The attention weights sum to one down each column, as if each key distributed attention. It is the query "
            "that asks, so each row must sum to one."
        ).to(_attend, weigh=lambda scores: scores.softmax(-2)),
        "no softmax": Say(
            "The scores themselves are used to weight the values. They are not attention weights yet: they can be "
            "negative and do not sum to one."
        ).to(_attend, weigh=lambda scores: scores),
        "softmax overflows": Say(
            "Large scores give nan: the softmax inside overflows. Use the `softmax` that you wrote, which subtracts "
            "the largest score first."
        ).to(_attend, weigh=lambda scores: normalized(scores.exp(), -1)),
        "mask ignored": Say(
            "The mask changes nothing: hidden keys get attention weights like the others. Where does `mask` enter?"
        ).to(_attend, hide=lambda scores, mask: scores),
        "mask upside down": Say(
            "The mask works the wrong way round: True means may attend. Here the permitted keys are hidden."
        ).to(_attend, hide=lambda scores, mask: scores.masked_fill(mask, -math.inf)),
        "mask after softmax": Say(
            "The attention weights are masked after the softmax. What the hidden keys took is lost, and the rest no "
            "longer sums to one. Hide the keys before the softmax."
        ).to(_masked_afterwards),
        "hidden scores set to zero": Say(
            "Hidden scores become 0. A score of 0 is not 'no attention': exp(0) = 1, and such a key beats all keys "
            "with negative scores. Which score gives a weight of exactly zero?"
        ).to(_attend, hide=lambda scores, mask: scores * mask),
        "hidden scores set to minus one": Say(
            "Hidden scores become -1, and exp(-1) = 0.37 is not zero. Which score gives exactly zero?"
        ).to(_attend, hide=lambda scores, mask: scores.masked_fill(~mask, -1.0)),
        "mask added": Say(
            "The mask is added to the scores as 1 and 0: permitted keys get a little more, hidden ones are not "
            "hidden. Only minus infinity, added or filled in, hides a key."
        ).to(_attend, hide=lambda scores, mask: scores + mask),
        "key reshaped": Say(
            "The key has the right shape and the wrong order: `reshape` keeps reading row by row and mixes channels "
            "of different tokens. To swap two axes, transpose."
        ).to(_reshaped_key),
    },
    parts=(SOFTMAX,),
    hints=(
        "Four steps: scores (every query with every key), scale, hide what may not be seen, and mix the values by "
        "the softmax of what is left.",
        "`query @ key.transpose(-2, -1)` has one row per query and one column per key. Each entry is a sum of "
        "head_dim products.",
        "`scores.masked_fill(~mask, float('-inf'))` hides keys, since exp(-inf) = 0. Then `softmax(scores) @ value`.",
    ),
)
