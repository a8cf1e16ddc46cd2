"""Exercise 06.4, ``PlainBlock``: its cases, and what learners get wrong."""

from typing import Any

import torch
from torch import Tensor, nn

from gemini_workshop.exercises.core.battery.declaration import Battery
from gemini_workshop.exercises.core.comparison import number, same, worst_index
from gemini_workshop.exercises.core.exercise import Arguments, Function, Say
from gemini_workshop.exercises.core.modules import Build, ModuleExercise, drawn_weights
from gemini_workshop.exercises.core.tools import drawing
from gemini_workshop.exercises.lesson_06.residual_step import RESIDUAL_STEP
from gemini_workshop.exercises.lesson_06.tools import block_by_hand
from gemini_workshop.models.masks import causal_mask
from gemini_workshop.models.plain_transformer import PlainBlock, residual_step


def _cases(generator: torch.Generator) -> list[Arguments]:
    draw = drawing(generator)
    size: dict[str, Any] = {"embed_dim": 6, "num_heads": 2, "ffn_dim": 5}
    return [
        (Build(**size), draw(1, 1, 6)),
        (Build(**size), draw(2, 3, 6)),
        (Build(**size), draw(2, 4, 6), causal_mask(4, 4)),
        (Build(embed_dim=8, num_heads=2, ffn_dim=7, placement="post"), draw(2, 3, 8), causal_mask(3, 3)),
        (Build(embed_dim=8, num_heads=2, ffn_dim=7, placement="sandwich"), draw(2, 3, 8), causal_mask(3, 3)),
    ]


def _beyond(generator: torch.Generator) -> list[Arguments]:
    build = Build(embed_dim=32, num_heads=4, ffn_dim=70)
    return [(build, torch.randn(3, 90, 32, generator=generator), causal_mask(90, 90))]


def _oracle(build: Build, x: Tensor, mask: Tensor | None = None) -> Tensor:
    w = {name: weight.double() for name, weight in drawn_weights(PlainBlock, build).items()}
    return block_by_hand(w, "", build["num_heads"], x.double(), mask)


def _explain(function: Function, case: Arguments) -> str | None:
    build, x, *mask = case
    got, expected = function(*case), _oracle(*case)
    if got.shape != expected.shape or same(got, expected):
        return None
    b, t, d = worst_index(got, expected)
    placement = build.arguments.get("placement", "pre")
    how = f"norms: {placement}, {x.shape[1]} token{'s' * (x.shape[1] > 1)}, {'causal' if mask else 'no'} mask"
    return (
        f"Token {t}, channel {d} goes in as {number(x[b, t, d])} and comes out as {number(got[b, t, d])}; "
        f"{number(expected[b, t, d])} is needed ({how})."
    )


class _Plain(PlainBlock):
    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        read = self.attention_norm(x)
        found = self.attention(read, mask=mask)
        x = self.attention_stream_norm(x + self.attention_output_norm(found))
        read = self.feed_forward_norm(x)
        found = self.feed_forward(read)
        return self.feed_forward_stream_norm(x + self.feed_forward_output_norm(found))


class _Block(PlainBlock):
    """A block in small pieces, which the misconceptions put together otherwise. Adding to 0 is not adding."""

    def norms(self, name: str) -> list[nn.Module]:
        return [getattr(self, f"{name}_{which}") for which in ("norm", "output_norm", "stream_norm")]

    def attended(self, x: Tensor, mask: Tensor | None) -> Tensor:
        return self.attention_output_norm(self.attention(self.attention_norm(x), mask=mask))

    def thought(self, x: Tensor) -> Tensor:
        return self.feed_forward_output_norm(self.feed_forward(self.feed_forward_norm(x)))

    def add_attended(self, x: Tensor | int, found: Tensor) -> Tensor:
        return self.attention_stream_norm(x + found)

    def add_thought(self, x: Tensor | int, found: Tensor) -> Tensor:
        return self.feed_forward_stream_norm(x + found)

    def gather(self, x: Tensor, mask: Tensor | None) -> Tensor:
        return self.add_attended(x, self.attended(x, mask))

    def think(self, x: Tensor) -> Tensor:
        return self.add_thought(x, self.thought(x))

    def pre_gather(self, x: Tensor, mask: Tensor | None) -> Tensor:
        return x + self.attention(self.attention_norm(x), mask=mask)

    def pre_think(self, x: Tensor) -> Tensor:
        return x + self.feed_forward(self.feed_forward_norm(x))


def _closed_over_the_sum(b: Any, x: Tensor, mask: Tensor | None = None) -> Tensor:
    x = b.add_attended(0, b.attention_output_norm(b.pre_gather(x, mask)))
    return b.add_thought(0, b.feed_forward_output_norm(b.pre_think(x)))


def _swapped(**is_swapped: bool) -> Function:
    """A forward pass in which the output norm and the stream norm of these sublayers have changed places."""

    def forward(b: Any, x: Tensor, mask: Tensor | None = None) -> Tensor:
        sublayers = {"attention": lambda normed: b.attention(normed, mask=mask), "feed_forward": b.feed_forward}
        for name, sublayer in sublayers.items():
            norm, *others = b.norms(name)
            x = residual_step(x, sublayer, norm, *(reversed(others) if is_swapped[name] else others))
        return x

    return forward


PLAIN_BLOCK = ModuleExercise(
    id="06.4",
    minutes=5,
    difficulty=4,
    importance=5,
    reference=PlainBlock,
    oracle=_oracle,
    cases=_cases,
    plain=_Plain,
    explain=_explain,
    parts=(RESIDUAL_STEP,),
    battery=Battery(dtypes=(torch.float64,), beyond=_beyond),  # RMSNorm works in float32, as lesson 06 asks
    misconceptions={
        "parallel": Say(
            "Attention and feed-forward both read the block's input. (Some models do that, GPT-J and PaLM among "
            "them.) Here the feed-forward reads what attention has already added."
        ).to(_Block, forward=lambda b, x, mask=None: b.add_thought(b.gather(x, mask), b.thought(x))),
        "parallel and only pre": Say(
            "Attention and feed-forward both read the block's input. Here the feed-forward reads what attention has "
            "already added. (And the norms of the other placements are not used: pass them to `residual_step`.)"
        ).to(_Block, forward=lambda b, x, mask=None: b.pre_gather(x, mask) + b.pre_think(x) - x),
        "second sum from the block's input": Say(
            "The feed-forward's output is added to the block's input, so what attention added is lost. Add it to the "
            "stream as it is after attention."
        ).to(_Block, forward=lambda b, x, mask=None: b.add_thought(x, b.thought(b.gather(x, mask)))),
        "feed-forward first": Say(
            "The feed-forward comes before attention. First a token gathers from others, then it processes what it has."
        ).to(_Block, forward=lambda b, x, mask=None: b.gather(b.think(x), mask)),
        "mask forgotten": Say(
            "The mask does not reach attention, so every token sees the future. Pass it to attention by name, as "
            "`mask=`; its second argument is something else."
        ).to(_Block, forward=lambda b, x, mask=None: b.think(b.gather(x, None))),
        "attention not added": Say("Attention's output replaces the stream instead of being added to it.").to(
            _Block, forward=lambda b, x, mask=None: b.think(b.add_attended(0, b.attended(x, mask)))
        ),
        "feed-forward not added": Say("The feed-forward's output replaces the stream instead of being added to it.").to(
            _Block, forward=lambda b, x, mask=None: b.add_thought(0, b.thought(b.gather(x, mask)))
        ),
        "no residual at all": Say(
            "Neither sublayer's output is added to the stream: each replaces it. `residual_step` adds."
        ).to(
            _Block, forward=lambda b, x, mask=None: b.add_thought(0, b.thought(b.add_attended(0, b.attended(x, mask))))
        ),
        "feed-forward left out": Say(
            "The block ends after attention. The second half, the feed-forward, is missing."
        ).to(_Block, forward=lambda b, x, mask=None: b.gather(x, mask)),
        "attention lost": Say(
            "Attention's output is not in the result. The second step has to start from what the first returned, and "
            "not from the block's input."
        ).to(_Block, forward=lambda b, x, mask=None: b.think(x)),
        "attention reads the stream itself": Say(
            "Attention reads the stream itself, not the normalized one. The function that you pass to `residual_step` "
            "has to use its own argument: that one is normalized, the x around it is not."
        ).to(
            _Block,
            forward=lambda b, x, mask=None: b.think(
                b.add_attended(x, b.attention_output_norm(b.attention(x, mask=mask)))
            ),
        ),
        "no norms": Say(
            "No norm is used: both sublayers read the stream itself. Pass all three norms of each sublayer to "
            "`residual_step`."
        ).to(_Block, forward=lambda b, x, mask=None: (y := x + b.attention(x, mask=mask)) + b.feed_forward(y)),
        "attention's norms for both": Say(
            "The feed-forward uses the three norms of attention. It has its own, with separate weights."
        ).to(
            _Block,
            forward=lambda b, x, mask=None: residual_step(b.gather(x, mask), b.feed_forward, *b.norms("attention")),
        ),
        "output norm and stream norm swapped": Say(
            "The output norms and the stream norms are swapped. `residual_step` takes norm, output norm, stream norm, "
            "in this order."
        ).to(_Block, forward=_swapped(attention=True, feed_forward=True)),
        "attention's output norm and stream norm swapped": Say(
            "Attention's output norm and stream norm are swapped. `residual_step` takes norm, output norm, stream "
            "norm, in this order."
        ).to(_Block, forward=_swapped(attention=True, feed_forward=False)),
        "one norm for both": Say(
            "Both sublayers read through the same norm. Each has its own, with separate weights."
        ).to(
            _Block,
            forward=lambda b, x, mask=None: b.add_thought(
                y := b.gather(x, mask), b.feed_forward_output_norm(b.feed_forward(b.attention_norm(y)))
            ),
        ),
        "only pre": Say(
            "It is right for norms before the sublayers and ignores the others. Pass all three norms of each sublayer "
            "to `residual_step`: those that do not exist pass everything unchanged."
        ).to(_Block, forward=lambda b, x, mask=None: b.pre_think(b.pre_gather(x, mask))),
        "sandwich closed over the sum": Say(
            "The output norm is applied to the sum of stream and output. In the sandwich it belongs to the sublayer's "
            "output alone, and the stream is not normalized."
        ).to(_Block, forward=_closed_over_the_sum),
    },
    hints=(
        "Two residual steps, one after the other. The second starts from what the first returned.",
        "`residual_step` takes a function of one argument. For attention that is "
        "`lambda normed: self.attention(normed, mask=mask)`; the feed-forward is one already.",
        "`x = residual_step(x, <attention>, self.attention_norm, self.attention_output_norm, "
        "self.attention_stream_norm)`, and the same once more with `self.feed_forward` and its three norms.",
    ),
)
