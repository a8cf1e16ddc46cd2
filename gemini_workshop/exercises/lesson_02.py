"""Lesson 02, attention: its exercises, what is asked of an answer, and what learners get wrong."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gemini_workshop.exercises.comparison import number, same
from gemini_workshop.exercises.core import Exercise, Invariant, Misconception
from gemini_workshop.exercises.quiz import Option, Question, Quiz
from gemini_workshop.models.attention import scaled_dot_product_attention, softmax
from gemini_workshop.models.masks import additive_mask, causal_mask

Function = Callable[..., Any]

# --- 02.1 softmax ----------------------------------------------------------------------------------------------------


def _softmax_cases(generator: torch.Generator) -> list[tuple[Any, ...]]:
    return [
        (torch.tensor([1.0, 2.0]),),
        (torch.tensor([1000.0, 1001.0]),),
        (torch.tensor([-800.0, 0.0, 800.0]),),
        (torch.tensor([[0.0, 1.0, 2.0], [1000.0, 1001.0, 1002.0]]),),
        (torch.randn(3, 3, generator=generator),),
        (torch.randn(4, 5, generator=generator),),
        (torch.randn(3, 4, 5, generator=generator), 1),
    ]


def _softmax_oracle(scores: Tensor, dim: int = -1) -> Tensor:
    return torch.softmax(scores.double(), dim)


def _explain_softmax(function: Function, case: tuple[Any, ...]) -> str | None:
    scores = case[0]
    if scores.ndim > 1:
        return None
    got, expected = function(*case), _softmax_oracle(*case)
    return f"Scores {_numbers(scores)} gave {_numbers(got)}; {_numbers(expected)} is needed."


def _shares_do_not_sum_to_one(function: Function) -> str | None:
    scores = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(1))
    for dim in (-1, 1):
        total = float(function(scores, dim).sum(dim).flatten()[0])
        if not math.isclose(total, 1.0, abs_tol=1e-4):
            return f"With dim={dim} the shares along that axis add up to {number(total)} and not to 1."
    return None


def _numbers(values: Tensor) -> str:
    return f"({', '.join(number(value) for value in values)})"


SOFTMAX = Exercise(
    id="02.1",
    minutes=5,
    reference=softmax,
    oracle=_softmax_oracle,
    cases=_softmax_cases,
    explain=_explain_softmax,
    invariants=(Invariant(name="shares sum to one", broken=_shares_do_not_sum_to_one),),
    misconceptions=(
        Misconception(
            name="overflows",
            says="exp(1000) does not fit in a float. Subtracting the same number from every score changes no "
            "share: which number is safe?",
            wrong=lambda scores, dim=-1: scores.exp() / scores.exp().sum(dim, keepdim=True),
        ),
        Misconception(
            name="subtracts the smallest",
            says="After the subtraction some scores are still huge, and exp overflows. The number to subtract must "
            "leave none above zero.",
            wrong=lambda scores, dim=-1: _shares((scores - scores.amin(dim, keepdim=True)).exp(), dim),
        ),
        Misconception(
            name="one maximum for all rows",
            says="One maximum is subtracted from all rows. A row far below it then becomes all zeros, and 0 / 0 is "
            "not a number: each row needs its own.",
            wrong=lambda scores, dim=-1: _shares((scores - scores.max()).exp(), dim),
        ),
        Misconception(
            name="ignores dim",
            says="It looks as if `dim` is ignored: the shares always sum to one along the last axis.",
            wrong=lambda scores, dim=-1: torch.softmax(scores, -1),  # noqa: ARG005
        ),
        Misconception(
            name="over the whole tensor",
            says="The sum runs over the whole tensor, so that rows share one total. Each row is a question of its "
            "own: sum along `dim` only.",
            wrong=lambda scores, dim=-1: torch.softmax(scores.flatten(), 0).view_as(scores),  # noqa: ARG005
        ),
        Misconception(
            name="axis lost in the sum",
            says="The sum has lost the axis that it ran over, so it lines up with the wrong axis or with none. "
            "`keepdim=True` keeps its place.",
            wrong=lambda scores, dim=-1: scores.exp() / scores.exp().sum(dim),
        ),
        Misconception(
            name="axis lost in the sum, scores shifted",
            says="The sum has lost the axis that it ran over, so it lines up with the wrong axis or with none. "
            "`keepdim=True` keeps its place.",
            wrong=lambda scores, dim=-1: (
                (scores - scores.amax(dim, keepdim=True)).exp()
                / (scores - scores.amax(dim, keepdim=True)).exp().sum(dim)
            ),
        ),
        Misconception(
            name="no exponential",
            says="Dividing scores by their sum is not enough: a score below zero would get a share below zero. What "
            "makes every number positive and keeps their order?",
            wrong=lambda scores, dim=-1: scores / scores.sum(dim, keepdim=True),
        ),
        Misconception(
            name="logarithms of the shares",
            says="These are the logarithms of the shares. Shares lie between 0 and 1.",
            wrong=lambda scores, dim=-1: torch.log_softmax(scores, dim),
        ),
    ),
    hints=(
        "Two steps: make every score positive, then divide by the total. Which function turns any number into a "
        "positive one and keeps the order?",
        "Before `exp`, subtract each row's own largest score: exp(a - m) / sum of exp(b - m) is the same share, "
        "because exp(-m) cancels.",
        "`scores.amax(dim=dim, keepdim=True)` is the largest score of each row, with its axis kept, so that the "
        "subtraction lines up. The sum needs `keepdim=True` for the same reason.",
    ),
)


def _shares(positive: Tensor, dim: int) -> Tensor:
    return positive / positive.sum(dim, keepdim=True)


# --- 02.2 scaled_dot_product_attention -------------------------------------------------------------------------------


def _attention_cases(generator: torch.Generator) -> list[tuple[Any, ...]]:
    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    visible = torch.tensor(
        [[1, 1, 0, 0, 0, 1], [1, 0, 0, 1, 0, 0], [0, 0, 0, 0, 1, 0], [0, 1, 1, 1, 0, 1]], dtype=torch.bool
    )
    return [
        (draw(2, 4), draw(3, 4), draw(3, 5)),
        (draw(4, 5), draw(6, 5), draw(6, 3), visible),
        (draw(2, 3, 5, 6), draw(2, 3, 7, 6), draw(2, 3, 7, 4), torch.ones(5, 7, dtype=torch.bool).tril(2)),
        (100 * draw(3, 8), 100 * draw(5, 8), draw(5, 2)),
    ]


def _attention_oracle(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """The definition with one query and one head at a time, in float64 and with none of the code that it judges."""
    query, key, value = query.double(), key.double(), value.double()
    output = query.new_zeros(*query.shape[:-1], value.shape[-1])
    for index in torch.cartesian_prod(*(torch.arange(n) for n in query.shape[:-1])).reshape(-1, query.ndim - 1):
        *head, t = index.tolist()
        scores = [float(query[(*head, t)].dot(k)) / math.sqrt(query.shape[-1]) for k in key[tuple(head)]]
        may_attend = [True] * len(scores) if mask is None else mask[t].tolist()
        largest = max(s for s, may in zip(scores, may_attend, strict=True) if may)
        shares = [math.exp(s - largest) if may else 0.0 for s, may in zip(scores, may_attend, strict=True)]
        for share, v in zip(shares, value[tuple(head)], strict=True):
            output[(*head, t)] += share / sum(shares) * v
    return output


def _explain_attention(function: Function, case: tuple[Any, ...]) -> str | None:
    """The share that differs most, read off by giving every key a value of its own (the rows of an identity)."""
    query, key, _, *mask = case
    names = torch.eye(key.shape[-2]).expand(*key.shape[:-1], key.shape[-2])
    got, expected = function(query, key, names, *mask), _attention_oracle(query, key, names, *mask)
    if same(got, expected):
        return None
    distance = (got.double() - expected).abs().nan_to_num(nan=math.inf)
    *head, t, s = (int(i) for i in np.unravel_index(int(distance.argmax()), distance.shape))
    where = f" of head {head}" if head else ""
    return (
        f"Query {t}{where} gives key {s} a share of {number(got[(*head, t, s)])}; it should be "
        f"{number(expected[(*head, t, s)])} (head_dim = {query.shape[-1]}, counting from 0)."
    )


def _hidden_key_is_used(function: Function) -> str | None:
    query, key, value, mask = _attention_cases(torch.Generator().manual_seed(1))[1]
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
    scale: Callable[[Tensor, Tensor, Tensor], float] = lambda q, k, v: math.sqrt(q.shape[-1]),  # noqa: ARG005
    hide: Callable[[Tensor, Tensor], Tensor] = lambda scores, mask: scores.masked_fill(~mask, -math.inf),
    share: Callable[[Tensor], Tensor] = lambda scores: scores.softmax(-1),
) -> Tensor:
    """Attention with a place to go wrong at each of its steps: the misconceptions below fill them in."""
    scores = query @ key.transpose(-2, -1) / scale(query, key, value)
    return share(scores if mask is None else hide(scores, mask)) @ value


def _mistaken(**steps: Any) -> Function:
    return lambda query, key, value, mask=None: _attend(query, key, value, mask, **steps)


def _masked_afterwards(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    weights = (query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])).softmax(-1)
    return (weights if mask is None else weights * mask) @ value


def _reshaped_key(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    turned = key.reshape(*key.shape[:-2], key.shape[-1], key.shape[-2])
    return _attend(query, turned.transpose(-2, -1), value, mask)


ATTENTION = Exercise(
    id="02.2",
    minutes=10,
    reference=scaled_dot_product_attention,
    oracle=_attention_oracle,
    cases=_attention_cases,
    explain=_explain_attention,
    invariants=(Invariant(name="hidden keys are not used", broken=_hidden_key_is_used),),
    misconceptions=(
        Misconception(
            name="not scaled",
            says="It looks as if the scores are not divided by √head_dim. Look at the line where query meets key.",
            wrong=_mistaken(scale=lambda q, k, v: 1.0),  # noqa: ARG005
        ),
        Misconception(
            name="divided by head_dim",
            says="It looks as if the scores are divided by head_dim itself. Their spread grows like its root: which "
            "power undoes that?",
            wrong=_mistaken(scale=lambda q, k, v: q.shape[-1]),  # noqa: ARG005
        ),
        Misconception(
            name="multiplied by the root",
            says="It looks as if the scores are multiplied by √head_dim. That doubles the trouble: it has to be "
            "divided out.",
            wrong=_mistaken(scale=lambda q, k, v: 1 / math.sqrt(q.shape[-1])),  # noqa: ARG005
        ),
        Misconception(
            name="scaled by the number of keys",
            says="It looks as if the scores are divided by the root of the number of keys. A score is a sum over "
            "channels: how many terms does it have?",
            wrong=_mistaken(scale=lambda q, k, v: math.sqrt(k.shape[-2])),  # noqa: ARG005
        ),
        Misconception(
            name="scaled by the value's width",
            says="It looks as if the root is taken of the width of the values. The scores come from queries and "
            "keys; the values have no part in them.",
            wrong=_mistaken(scale=lambda q, k, v: math.sqrt(v.shape[-1])),  # noqa: ARG005
        ),
        Misconception(
            name="softmax over the queries",
            says="The shares sum to one down each column: each key hands out its attention. It is the query that "
            "asks, so each row must sum to one.",
            wrong=_mistaken(share=lambda scores: scores.softmax(-2)),
        ),
        Misconception(
            name="no softmax",
            says="The scores themselves weight the values. They are not shares yet: they can be negative and do not "
            "sum to one.",
            wrong=_mistaken(share=lambda scores: scores),
        ),
        Misconception(
            name="softmax overflows",
            says="Large scores give nan: the softmax inside overflows. Use the `softmax` that you wrote, which "
            "subtracts the largest score first.",
            wrong=_mistaken(share=lambda scores: _shares(scores.exp(), -1)),
        ),
        Misconception(
            name="mask ignored",
            says="The mask changes nothing: hidden keys get shares like the others. Where does `mask` enter?",
            wrong=_mistaken(hide=lambda scores, mask: scores),  # noqa: ARG005
        ),
        Misconception(
            name="mask upside down",
            says="The mask works the wrong way round: True means may attend. Here the permitted keys are hidden.",
            wrong=_mistaken(hide=lambda scores, mask: scores.masked_fill(mask, -math.inf)),
        ),
        Misconception(
            name="mask after softmax",
            says="The shares are masked after the softmax. What the hidden keys had taken is lost, and the rest no "
            "longer sums to one. Hide the keys before shares are given out.",
            wrong=_masked_afterwards,
        ),
        Misconception(
            name="hidden scores set to zero",
            says="Hidden scores become 0. A score of 0 is not 'no attention': exp(0) = 1, and such a key beats all "
            "with negative scores. Which score gives a share of exactly zero?",
            wrong=_mistaken(hide=lambda scores, mask: scores * mask),
        ),
        Misconception(
            name="hidden scores set to minus one",
            says="Hidden scores become -1, and exp(-1) = 0.37 is still a share. Which score gives exactly zero?",
            wrong=_mistaken(hide=lambda scores, mask: scores.masked_fill(~mask, -1.0)),
        ),
        Misconception(
            name="mask added",
            says="The mask is added to the scores as 1 and 0: permitted keys get a little more, hidden ones are not "
            "hidden. Only minus infinity, added or filled in, shuts a key out.",
            wrong=_mistaken(hide=lambda scores, mask: scores + mask),
        ),
        Misconception(
            name="key reshaped",
            says="The key has the right shape and the wrong order: `reshape` keeps reading row by row and mixes "
            "channels of different tokens. To swap two axes, transpose.",
            wrong=_reshaped_key,
        ),
    ),
    hints=(
        "Four steps: scores (every query with every key), scale, hide what may not be seen, and mix the values by "
        "the softmax of what is left.",
        "`query @ key.transpose(-2, -1)` has one row a query and one column a key. Each entry is a sum of head_dim "
        "products.",
        "`scores.masked_fill(~mask, float('-inf'))` hides keys, since exp(-inf) = 0. Then `softmax(scores) @ value`.",
    ),
)

# --- 02.3 causal_mask ------------------------------------------------------------------------------------------------


def _causal_oracle(num_queries: int, num_keys: int) -> Tensor:
    position = num_keys - num_queries  # of the first query
    return torch.tensor([[s <= position + t for s in range(num_keys)] for t in range(num_queries)])


def _explain_causal_mask(function: Function, case: tuple[Any, ...]) -> str | None:
    got, expected = function(*case), _causal_oracle(*case)
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
    reference=causal_mask,
    oracle=_causal_oracle,
    cases=lambda generator: [(3, 3), (1, 4), (2, 5), (5, 5)],  # noqa: ARG005
    explain=_explain_causal_mask,
    misconceptions=(
        Misconception(
            name="hides itself",
            says="A token cannot see itself. The first one then sees nothing at all, and a softmax over nothing is "
            "nan. Which diagonal belongs to the token itself?",
            wrong=lambda T, S: _triangle(T, S, -1),
        ),
        Misconception(
            name="sees the next token",
            says="Every token also sees the one after it, which is the very token it has to predict.",
            wrong=lambda T, S: _triangle(T, S, +1),
        ),
        Misconception(
            name="aligned at the first key",
            says="With more keys than queries the queries are taken for the first tokens. They are the last ones: "
            "the newest query may see every key.",
            wrong=lambda T, S: torch.ones(T, S, dtype=torch.bool).tril(),
        ),
        Misconception(
            name="True means hidden",
            says="True stands where attention is forbidden. In this course, as in PyTorch, True means may attend.",
            wrong=lambda T, S: ~_triangle(T, S),
        ),
        Misconception(
            name="looks only ahead",
            says="The triangle is the wrong one: each token sees itself and what comes after it.",
            wrong=lambda T, S: ~_triangle(T, S, -1),
        ),
        Misconception(
            name="all visible",
            says="Nothing is hidden: every query may see every key, future ones too.",
            wrong=lambda T, S: torch.ones(T, S, dtype=torch.bool),
        ),
    ),
    hints=(
        "Draw it for three tokens: one row a query, one column a key. Which cells may be True? Which triangle is it?",
        "`tril` keeps the lower triangle. Its argument shifts the diagonal: 0 goes through the top left corner, but "
        "the last query must reach the last key.",
        "`torch.ones(num_queries, num_keys, dtype=torch.bool, device=device)` is all True; keep what lies on or below "
        "the diagonal number `num_keys - num_queries`.",
    ),
)

# --- 02.4 additive_mask ----------------------------------------------------------------------------------------------


def _additive_oracle(mask: Tensor) -> Tensor:
    return torch.tensor([0.0 if may else -math.inf for may in mask.flatten().tolist()]).reshape(mask.shape)


def _explain_additive_mask(function: Function, case: tuple[Any, ...]) -> str | None:
    (mask,) = case
    got, expected = function(mask), _additive_oracle(mask)
    for may, a, b in zip(mask.flatten().tolist(), got.flatten(), expected.flatten(), strict=True):
        if not same(a, b):
            return f"{may} became {number(a)}; {number(b)} is needed."
    return None


ADDITIVE_MASK = Exercise(
    id="02.4",
    minutes=5,
    reference=additive_mask,
    oracle=_additive_oracle,
    cases=lambda generator: [  # noqa: ARG005
        (torch.tensor([[True, False, True]]),),
        (torch.ones(2, 3, 4, dtype=torch.bool).tril(1),),
    ],
    explain=_explain_additive_mask,
    misconceptions=(
        Misconception(
            name="zero times infinity",
            says="0 · ∞ is not a number. Multiplying by infinity spoils the places that should stay 0: choose between "
            "two values instead of multiplying.",
            wrong=lambda mask: (1.0 - mask.float()) * -math.inf,
        ),
        Misconception(
            name="upside down",
            says="The wrong places are minus infinity: True means may attend, and adding 0 leaves a score alone.",
            wrong=lambda mask: torch.zeros(mask.shape).masked_fill(mask, -math.inf),
        ),
        Misconception(
            name="ones and zeros",
            says="Adding 1 to permitted scores hides nothing. What has to be added to a score so that its share "
            "becomes exactly zero, and what so that nothing changes?",
            wrong=lambda mask: mask.float(),
        ),
        Misconception(
            name="minus one",
            says="Adding -1 makes a share smaller by a factor of e and not zero.",
            wrong=lambda mask: mask.float() - 1.0,
        ),
        Misconception(
            name="large but finite",
            says="-1e9 often works, and fails quietly: a row in which everything is hidden then attends to all keys "
            "evenly, and in 16 bits -1e9 does not exist. Minus infinity says what is meant.",
            wrong=lambda mask: torch.zeros(mask.shape).masked_fill(~mask, -1e9),
        ),
    ),
    hints=(
        "Two values are enough. What must be added to a score so that nothing changes? So that exp of it is zero?",
        "Start from zeros of the mask's shape, in the dtype that was asked for and on the mask's device, and fill in "
        "minus infinity where attention is forbidden.",
        "`torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(...)`: fill where the mask is not True.",
    ),
)

EXERCISES = (SOFTMAX, ATTENTION, CAUSAL_MASK, ADDITIVE_MASK)

# --- Quiz ------------------------------------------------------------------------------------------------------------

QUIZ = Quiz(
    (
        Question(
            "Along which axis do the shares sum to one?",
            (
                Option(
                    "Over the queries: each column of the map.",
                    "Then a word could be ignored by everyone, or overheard by all, but each would always get one "
                    "unit of attention. It is the query that asks, so the query's shares sum to one.",
                ),
                Option("Over the keys: each row of the map.", "Each query hands out exactly one unit.", is_right=True),
                Option(
                    "Over the channels.",
                    "Channels are gone by then: a score is already a sum over channels, one number for each pair of "
                    "tokens.",
                ),
            ),
        ),
        Question(
            "Why are scores divided by √d, and not by d?",
            (
                Option(
                    "A sum of d independent products has variance d; its spread grows like √d.",
                    "Dividing by √d keeps the spread at one for every head size.",
                    is_right=True,
                ),
                Option(
                    "To bring every score between -1 and 1.",
                    "Scores stay unbounded after the division. Only their typical size no longer depends on d.",
                ),
                Option(
                    "It is the length of the vectors, so the division gives a cosine.",
                    "The length of a random vector is about √d, but a cosine would divide by both lengths, about d "
                    "in all. (Normalising queries and keys first is done too; Gemma 3 does it.)",
                ),
            ),
        ),
        Question(
            "A model masks after the softmax by multiplying with 0 and 1. What goes wrong?",
            (
                Option(
                    "Nothing: a share of zero is a share of zero.",
                    "The hidden keys do end at zero. But their scores already took part in the softmax's sum, so "
                    "the visible ones got less, by an amount that depends on the future.",
                ),
                Option(
                    "The gradient becomes nan.",
                    "Nothing here divides by zero. That happens when a whole row is hidden before the softmax.",
                ),
                Option(
                    "The shares that remain no longer sum to one.",
                    "The first token, which sees only itself, may be left with a few per cent of its own value.",
                    is_right=True,
                ),
            ),
        ),
        Question(
            "A head's map shows that “he” looks at “Tom” with a share of 0.6. What do you know?",
            (
                Option(
                    "That the model has understood the pronoun.",
                    "The next layers may ignore what this head brings, or another head may bring it too. A map is a "
                    "hint and no proof.",
                ),
                Option(
                    "Where this head reads from. Whether the model needs it is another question, and can be measured.",
                    "Take the head away and look at the loss, as you have just done.",
                    is_right=True,
                ),
                Option(
                    "That 60 % of the next word's probability comes from “Tom”.",
                    "The share weights a value vector inside one head of one layer. There is a long way from there "
                    "to a probability.",
                ),
            ),
        ),
    )
)
