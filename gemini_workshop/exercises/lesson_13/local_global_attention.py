"""Exercise 13.3, ``local_global_attention``: its cases, and what learners get wrong."""

from collections.abc import Callable

import torch
from torch import Tensor

from gemini_workshop.exercises.core.battery.declaration import Battery
from gemini_workshop.exercises.core.comparison import same
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Say
from gemini_workshop.exercises.core.tools import drawing, vector
from gemini_workshop.exercises.lesson_02.causal_mask import CAUSAL_MASK
from gemini_workshop.exercises.lesson_04.apply_rotary import ROTARY
from gemini_workshop.exercises.lesson_07.grouped_query_attention import GROUPED_QUERY_ATTENTION
from gemini_workshop.exercises.lesson_07.sliding_window_mask import SLIDING_WINDOW_MASK
from gemini_workshop.models.plain_sparse import local_global_attention

Step = Callable[[Tensor], Tensor]
Turn = Callable[[Tensor, Tensor, Tensor], Tensor]


def _case(generator: torch.Generator, B: int, T: int, H: int, K: int, C: int, window: int | None) -> Arguments:
    draw = drawing(generator, 2.0)
    angles = torch.arange(T)[:, None] * torch.tensor([1.0, 0.3, 0.1, 0.03])[: C // 2]
    case = draw(B, T, H * C), draw(B, T, K * C), draw(B, T, K * C), H, K, angles.cos(), angles.sin()
    return case if window is None else (*case, window)


def _cases(generator: torch.Generator) -> list[Arguments]:
    return [
        _case(generator, 1, 3, 2, 1, 4, None),
        _case(generator, 1, 5, 2, 2, 4, 2),
        _case(generator, 2, 7, 6, 3, 4, None),
        _case(generator, 3, 9, 6, 2, 8, 4),
        _case(generator, 2, 5, 4, 2, 6, 1),
    ]


def _beyond(generator: torch.Generator) -> list[Arguments]:
    return [_case(generator, 2, 130, 4, 2, 6, 33)]


def _oracle(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    num_heads: int,
    num_kv_heads: int,
    cos: Tensor,
    sin: Tensor,
    window_tokens: int | None = None,
) -> Tensor:
    """Head by head and token by token, with positions as complex numbers, in float64."""
    q, k, v = query.double(), key.double(), value.double()
    B, T, _ = q.shape
    C, group = q.shape[-1] // num_heads, num_heads // num_kv_heads
    turn, result = torch.complex(cos.double(), sin.double()), torch.zeros_like(q)

    def ready(x: Tensor) -> Tensor:
        x = x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt()
        return torch.complex(x[:, : C // 2], x[:, C // 2 :]) * turn

    for b in range(B):
        for h in range(num_heads):
            own, shared = slice(h * C, (h + 1) * C), slice(h // group * C, (h // group + 1) * C)
            asking, asked = ready(q[b, :, own]), ready(k[b, :, shared])
            for t in range(T):
                first = 0 if window_tokens is None else max(0, t - window_tokens + 1)
                scores = (asking[t].conj() * asked[first : t + 1]).real.sum(-1) / C**0.5
                weights = torch.exp(scores - scores.max())
                result[b, t, own] = (weights / weights.sum()) @ v[b, first : t + 1, shared]
    return result


def _explain(function: Function, case: Arguments) -> str | None:
    got, needed = function(*case), _oracle(*case)
    C, window = case[0].shape[-1] // case[3], case[7] if len(case) > 7 else None
    for t in range(needed.shape[1]):
        for h in range(case[3]):
            mine, right = (x[0, t, h * C : h * C + 2] for x in (got, needed))
            if not same(mine, right):
                kind = "a global layer" if window is None else f"a local layer with window_tokens={window}"
                return (
                    f"In {kind}, {case[3]} query heads and {case[4]} key heads, head {h} gives token {t} an output "
                    f"that begins with {vector(mine)}; {vector(right)} is needed."
                )
    return None


def _normed(x: Tensor) -> Tensor:
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


def _turned_in_pairs(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.stack([a * cos - b * sin, b * cos + a * sin], -1).flatten(-2)


def _visible(distance: Tensor, window: int | None) -> Tensor:
    return (distance >= 0) & (distance < window) if window is not None else distance >= 0


def _merged(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(2)


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    num_heads: int,
    num_kv_heads: int,
    cos: Tensor,
    sin: Tensor,
    window_tokens: int | None = None,
    *,
    query_norm: Step = _normed,
    key_norm: Step = _normed,
    value_change: Step = lambda x: x,
    query_turn: Turn = _turned,
    key_turn: Turn = _turned,
    is_turned_first: bool = False,
    split: Callable[[Tensor, int], Tensor] = lambda x, heads: x.unflatten(-1, (heads, -1)).transpose(1, 2),
    shared: Callable[[Tensor, int], Tensor] = lambda x, group: x.repeat_interleave(group, 1),
    scale: Callable[[int], float] = lambda C: C**-0.5,
    visible: Callable[[Tensor, int | None], Tensor] = _visible,
    merge: Step = _merged,
) -> Tensor:
    """Right but for the steps, in the order of the lesson."""
    q, k, v = split(query, num_heads), split(key, num_kv_heads), split(value, num_kv_heads)
    if is_turned_first:
        q, k = query_norm(query_turn(q, cos, sin)), key_norm(key_turn(k, cos, sin))
    else:
        q, k = query_turn(query_norm(q), cos, sin), key_turn(key_norm(k), cos, sin)
    k, v = (shared(x, num_heads // num_kv_heads) for x in (k, value_change(v)))
    places = torch.arange(query.shape[1])
    mask = visible(places[:, None] - places, window_tokens)
    scores = (q @ k.mT * scale(q.shape[-1])).masked_fill(~mask, float("-inf"))
    return merge(scores.softmax(-1) @ v)


def _over_all_heads(function: Function) -> Function:
    def norm_first(query: Tensor, key: Tensor, *rest: object) -> Tensor:
        return _attention(_normed(query), _normed(key), *rest, query_norm=lambda x: x, key_norm=lambda x: x)  # type: ignore[arg-type]

    return norm_first


LOCAL_GLOBAL_ATTENTION = Exercise(
    id="13.3",
    minutes=12,
    difficulty=4,
    importance=5,
    reference=local_global_attention,
    oracle=_oracle,
    cases=_cases,
    explain=_explain,
    battery=Battery(constants=("cos", "sin"), beyond=_beyond),
    misconceptions={
        "no QK-norm": Say(
            "Queries and keys are not normalized. Without it a few large queries decide everything: divide each head's "
            "vector by its root mean square."
        ).to(_attention, query_norm=lambda x: x, key_norm=lambda x: x),
        "only queries normalized": Say("Queries are normalized and keys are not. Both are.").to(
            _attention, key_norm=lambda x: x
        ),
        "only keys normalized": Say("Keys are normalized and queries are not. Both are.").to(
            _attention, query_norm=lambda x: x
        ),
        "values normalized": Say("The values are normalized, too. Only what is compared is: queries and keys.").to(
            _attention, value_change=_normed
        ),
        "norm over all heads": Say(
            "The norm is taken over all heads together. Each head has its own: split the heads first."
        ).to(_over_all_heads(_attention)),
        "no positions": Say("No positions: `cos` and `sin` are not used. Turn queries and keys by their angles.").to(
            _attention, query_turn=lambda x, cos, sin: x, key_turn=lambda x, cos, sin: x
        ),
        "only queries turned": Say("Queries are turned by their positions and keys are not. Both are.").to(
            _attention, key_turn=lambda x, cos, sin: x
        ),
        "only keys turned": Say("Keys are turned by their positions and queries are not. Both are.").to(
            _attention, query_turn=lambda x, cos, sin: x
        ),
        "values turned": Say(
            "The values are turned, too. A position says who looks at whom; what is carried over stays as it is."
        ).to(
            lambda q, k, v, H, K, cos, sin, *window: _attention(
                q, k, _turn_values(v, K, cos, sin), H, K, cos, sin, *window
            )
        ),
        "pairs of neighbors turned": Say(
            "Channels 2i and 2i + 1 are turned together. Here channel i goes with channel i + C/2: `apply_rotary`."
        ).to(_attention, query_turn=_turned_in_pairs, key_turn=_turned_in_pairs),
        "turned backwards": Say("Queries and keys are turned the other way round: the sign of `sin`.").to(
            lambda q, k, v, H, K, cos, sin, *window: _attention(q, k, v, H, K, cos, -sin, *window)
        ),
        "window ignored": Say("A local layer sees everything before it. `window_tokens` is not used.").to(
            _attention, visible=lambda distance, window: distance >= 0
        ),
        "window one too wide": Say(
            "A local layer sees one key too many. The window counts the query's own key: with 1, nothing else is seen."
        ).to(_attention, visible=lambda distance, window: _visible(distance, None if window is None else window + 1)),
        "not causal": Say("A token sees what comes after it. Every layer is causal, local or global.").to(
            _attention,
            visible=lambda distance, window: (
                distance < window if window is not None else torch.ones_like(distance, dtype=torch.bool)
            ),
        ),
        "global layers see all": Say("In a global layer, a token sees what comes after it. Global is causal, too.").to(
            _attention,
            visible=lambda distance, window: (
                _visible(distance, window) if window is not None else torch.ones_like(distance, dtype=torch.bool)
            ),
        ),
        "heads shared in turn": Say(
            "Query heads take the key heads in turn. Neighbors share one: with 6 and 3, heads 0 and 1 use key head 0."
        ).to(_attention, shared=lambda x, group: x.repeat(1, group, 1, 1)),
        "no scale": Say("The scores are not divided by the root of the width of a head.").to(
            _attention, scale=lambda C: 1.0
        ),
        "heads cut in turn": Say(
            "The heads take the channels in turn. Head h has the h-th *piece* of the channels: `split_heads`."
        ).to(
            _attention,
            split=lambda x, heads: x.unflatten(-1, (-1, heads)).movedim(-1, 1),
        ),
        "heads not put back": Say(
            "The heads are joined in the wrong order: channels of one token are spread over others. Tokens first, then "
            "heads: `merge_heads`."
        ).to(_attention, merge=lambda x: x.reshape(x.shape[0], x.shape[2], -1)),
    },
    parts=(CAUSAL_MASK, ROTARY, SLIDING_WINDOW_MASK, GROUPED_QUERY_ATTENTION),
    hints=(
        "The order of lessons 02 to 07: heads, norm, positions, mask, attention, heads again. Which of them touch the "
        "values?",
        "`split_heads` for all three, with `num_kv_heads` for keys and values. Then `unit_rms` and `apply_rotary` for "
        "queries and keys. The mask is `causal_mask` or `sliding_window_mask`, both of T by T.",
        "`q = apply_rotary(unit_rms(split_heads(query, num_heads), 1e-6), cos, sin)`, the same for k; at last "
        "`merge_heads(grouped_query_attention(q, k, v, mask))`.",
    ),
)


def _turn_values(value: Tensor, num_kv_heads: int, cos: Tensor, sin: Tensor) -> Tensor:
    heads = value.unflatten(-1, (num_kv_heads, -1)).transpose(1, 2)
    return _merged(_turned(heads, cos, sin))
