"""Exercise 03.3, ``MultiHeadAttention``: its cases, and what learners get wrong."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gemini_workshop.exercises.core.battery.declaration import Battery
from gemini_workshop.exercises.core.comparison import number
from gemini_workshop.exercises.core.exercise import Arguments, Function, Invariant, Say
from gemini_workshop.exercises.core.modules import Build, ModuleExercise, drawn_weights
from gemini_workshop.exercises.core.tools import drawing
from gemini_workshop.exercises.lesson_02.scaled_dot_product_attention import ATTENTION
from gemini_workshop.exercises.lesson_03.merge_heads import MERGE_HEADS
from gemini_workshop.exercises.lesson_03.split_heads import SPLIT_HEADS
from gemini_workshop.models.attention import scaled_dot_product_attention
from gemini_workshop.models.multi_head_attention import MultiHeadAttention, merge_heads, split_heads


def _cases(generator: torch.Generator) -> list[Arguments]:
    draw = drawing(generator)
    visible = torch.rand(5, 7, generator=generator) < 0.5
    visible[:, 2] = True
    build = Build(embed_dim=12, num_heads=3)
    return [
        (Build(embed_dim=4, num_heads=1), draw(1, 3, 4)),
        (Build(embed_dim=6, num_heads=2), draw(1, 4, 6)),
        (build, draw(2, 5, 12), draw(2, 5, 12)),
        (build, draw(2, 5, 12), draw(2, 7, 12)),
        (build, draw(2, 5, 12), None, torch.ones(5, 5, dtype=torch.bool).tril()),
        (build, draw(2, 5, 12), draw(2, 7, 12), visible),
    ]


def _oracle(build: Build, x: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
    """PyTorch's own layer, which keeps three matrices in one and calls a hidden key True."""
    weights = drawn_weights(MultiHeadAttention, build)
    layer = nn.MultiheadAttention(build["embed_dim"], build["num_heads"], bias=False, batch_first=True)
    with torch.no_grad():
        layer.in_proj_weight.copy_(torch.cat([weights[f"{name}.weight"] for name in ("query", "key", "value")]))
        layer.out_proj.weight.copy_(weights["output.weight"])
        context = x if context is None else context
        return layer(x, context, context, attn_mask=None if mask is None else ~mask, need_weights=False)[0]


def _hidden_tokens_matter(function: Function) -> str | None:
    generator = torch.Generator().manual_seed(1)
    build, x = Build(embed_dim=6, num_heads=2), torch.randn(1, 4, 6, generator=generator)
    causal = torch.ones(4, 4, dtype=torch.bool).tril()
    changed = x.clone()
    changed[0, -1] += 5.0
    change = function(build, changed, None, causal) - function(build, x, None, causal)
    moved = change.detach()[0, :-1].abs().amax(-1)
    if (worst := float(moved.max())) < 1e-5:
        return None
    return (
        f"The mask hides token 3 from the tokens before it. Yet token 3 was changed and the output of token "
        f"{int(moved.argmax())} moved by {number(worst)}; it should be 0."
    )


class _Plain(MultiHeadAttention):
    def forward(self, x: Any, context: Any = None, mask: Any = None) -> Any:
        context = x if context is None else context
        query = split_heads(self.query(x), self.num_heads)
        key = split_heads(self.key(context), self.num_heads)
        value = split_heads(self.value(context), self.num_heads)
        found = scaled_dot_product_attention(query, key, value, mask)
        return self.output(merge_heads(found))


class _Layer(MultiHeadAttention):
    """The layer with its steps as methods, which the misconceptions replace."""

    def sources(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return x, context, context

    def split(self, x: Tensor) -> Tensor:
        return split_heads(x, self.num_heads)

    def attend(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        return scaled_dot_product_attention(query, key, value, mask)

    def merge(self, found: Tensor) -> Tensor:
        return merge_heads(found)

    def project(self, found: Tensor) -> Tensor:
        return self.output(found)

    def forward(self, x: Any, context: Any = None, mask: Any = None) -> Any:
        asking, offering, giving = self.sources(x, x if context is None else context)
        query, key, value = (self.split(y) for y in (self.query(asking), self.key(offering), self.value(giving)))
        return self.project(self.merge(self.attend(query, key, value, mask)))


def _built(make: Callable[[int, int], dict[str, nn.Module]]) -> Function:
    """An ``__init__`` with other matrices."""

    def build(self: Any, embed_dim: int, num_heads: int) -> None:
        nn.Module.__init__(self)
        self.num_heads = num_heads
        for name, module in make(embed_dim, num_heads).items():
            self.add_module(name, module)

    return build


def _linear(names: str, width: int, out: int, bias: bool = False) -> dict[str, nn.Module]:
    return {name: nn.Linear(width, out, bias=bias) for name in names.split()}


def _upside_down(self: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    return scaled_dot_product_attention(query, key, value, None if mask is None else ~mask)


def _always_causal(self: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    causal = torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool).tril()
    return scaled_dot_product_attention(query, key, value, causal if mask is None else mask & causal)


MULTI_HEAD_ATTENTION = ModuleExercise(
    id="03.3",
    minutes=15,
    difficulty=4,
    importance=5,
    reference=MultiHeadAttention,
    oracle=_oracle,
    cases=_cases,
    plain=_Plain,
    invariants=(Invariant(name="hidden tokens do not matter", broken=_hidden_tokens_matter),),
    parts=(ATTENTION, SPLIT_HEADS, MERGE_HEADS),
    battery=Battery(
        reads=("query.weight", "key.weight", "value.weight", "output.weight", "num_heads"),
        beyond=lambda generator: [(Build(embed_dim=48, num_heads=8), torch.randn(3, 130, 48, generator=generator))],
    ),
    misconceptions={
        "no output matrix": Say(
            "The output matrix is never used. Without it, what head 0 finds stays in the first piece of channels "
            "forever; the matrix lets every head write to every channel."
        ).to(_Layer, project=lambda self, found: found),
        "output matrix not built": Say(
            "The output matrix is missing. Without it, what head 0 finds stays in the first piece of channels "
            "forever; the matrix lets every head write to every channel."
        ).to(MultiHeadAttention, __init__=_built(lambda width, _: _linear("query key value", width, width))),
        "never split": Say(
            "It computes what one head of the full width would: there is one set of attention weights for all "
            "channels. Where are queries, keys and values split into heads?"
        ).to(_Layer, split=lambda self, x: x, merge=lambda self, x: x),
        "split by view alone": Say(
            "The heads are split by `view` or `reshape` alone, so that a head holds a few tokens instead of a piece "
            "of every token. Use your `split_heads`."
        ).to(_Layer, split=lambda self, x: x.reshape(x.shape[0], self.num_heads, x.shape[1], -1)),
        "merged by view alone": Say(
            "The heads are joined by `reshape` alone, so that a token gets what one head found for several tokens. "
            "Use your `merge_heads`."
        ).to(_Layer, merge=lambda self, x: x.reshape(x.shape[0], x.shape[2], -1)),
        "never merged": Say(
            "The heads are never merged: the result still has an axis for them. Where is `merge_heads`?"
        ).to(_Layer, merge=lambda self, x: x),
        "heads attend to each other": Say(
            "The tokens are never compared: attention runs between the heads of one token. It works on the last two "
            "axes, which have to be tokens and channels."
        ).to(
            _Layer,
            split=lambda self, x: x.reshape(*x.shape[:2], self.num_heads, -1),
            merge=lambda self, x: x.flatten(2),
        ),
        "scaled by the whole width": Say(
            "The scores are divided by the root of the whole width. A head's score is a sum over the channels of that "
            "head only."
        ).to(
            _Layer,
            attend=lambda self, q, k, v, mask: scaled_dot_product_attention(q / math.sqrt(q.shape[1]), k, v, mask),
        ),
        "context ignored": Say(
            "The context changes nothing: keys and values come from x. In cross-attention x only asks."
        ).to(_Layer, sources=lambda self, x, context: (x, x, x)),
        "the context asks": Say(
            "Queries come from the context, keys and values from x: the wrong one asks. There is one answer for each "
            "token of x."
        ).to(_Layer, sources=lambda self, x, context: (context, x, x)),
        "everything from the context": Say(
            "Queries, keys and values all come from the context, so the context looks at itself. It is x that asks: "
            "there is one answer for each of its tokens."
        ).to(_Layer, sources=lambda self, x, context: (context, context, context)),
        "values from x": Say(
            "Keys come from the context, but values from x. What is looked at and what is fetched have to be the same "
            "tokens."
        ).to(_Layer, sources=lambda self, x, context: (x, context, x)),
        "keys from x": Say(
            "Values come from the context, but keys from x. What is looked at and what is fetched have to be the same "
            "tokens."
        ).to(_Layer, sources=lambda self, x, context: (x, x, context)),
        "keys and values exchanged": Say(
            "Keys and values are swapped: queries are compared with the values, and the keys are mixed."
        ).to(_Layer, attend=lambda self, q, k, v, mask: scaled_dot_product_attention(q, v, k, mask)),
        "keys for values": Say("The value matrix is never used: what comes back is a mixture of the keys.").to(
            _Layer, attend=lambda self, q, k, v, mask: scaled_dot_product_attention(q, k, k, mask)
        ),
        "queries and keys exchanged": Say(
            "Queries and keys are swapped: each token asks with what others should find it by."
        ).to(
            _Layer,
            sources=lambda self, x, context: (x, context, context),
            attend=lambda self, q, k, v, mask: scaled_dot_product_attention(k, q, v, mask),
        ),
        "mask ignored": Say("The mask changes nothing. Is it passed to the attention?").to(
            _Layer, attend=lambda self, q, k, v, mask: scaled_dot_product_attention(q, k, v)
        ),
        "mask upside down": Say(
            "The mask works the wrong way round: True means may attend. (PyTorch's own MultiheadAttention means the "
            "opposite, which is how this mistake travels.)"
        ).to(_Layer, attend=_upside_down),
        "always causal": Say(
            "The future is hidden even where no mask asks for it. The mask is up to the caller: a question may read a "
            "whole text."
        ).to(_Layer, attend=_always_causal),
        "biases kept": Say("The matrices have biases. Here they should not: pass `bias=False`.").to(
            MultiHeadAttention,
            __init__=_built(lambda width, _: _linear("query key value output", width, width, bias=True)),
        ),
        "one matrix under several names": Say(
            "Each of the four matrices needs its own `nn.Linear`: `a = b = nn.Linear(...)` and `[nn.Linear(...)] * 4` "
            "make one matrix with several names."
        ).to(
            MultiHeadAttention,
            __init__=_built(
                lambda width, _: dict.fromkeys(["query", "key", "value", "output"], nn.Linear(width, width, bias=False))
            ),
        ),
        "every head as wide as the token": Say(
            "The matrices make vectors of full width for every head. All heads together are as wide as one token; "
            "each gets one piece."
        ).to(
            MultiHeadAttention,
            __init__=_built(
                lambda width, H: (
                    _linear("query key value", width, H * width) | {"output": nn.Linear(H * width, width, bias=False)}
                )
            ),
        ),
        "matrices of one head's width": Say(
            "The matrices make a vector for one head only. One product can make those of all heads, side by side; "
            "`split_heads` then splits it."
        ).to(
            MultiHeadAttention,
            __init__=_built(
                lambda width, H: (
                    _linear("query key value", width, width // H) | {"output": nn.Linear(width, width, bias=False)}
                )
            ),
        ),
    },
    hints=(
        "In `forward`, six steps and one line each: choose what is looked at; queries, keys and values, each split "
        "into heads; attend; merge and mix.",
        "`nn.Linear(embed_dim, embed_dim, bias=False)` makes the queries of all heads in one product. Keys and values "
        "come from the context, or from x where there is none.",
        "`query = split_heads(self.query(x), self.num_heads)`, and so for key and value. At the end "
        "`self.output(merge_heads(found))`.",
    ),
)
