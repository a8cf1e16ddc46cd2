"""Exercise 03.2, ``merge_heads``: its cases, and what learners get wrong."""

import torch
from torch import Tensor

from gemini_workshop.exercises.core.battery.declaration import Battery
from gemini_workshop.exercises.core.comparison import same
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Say
from gemini_workshop.exercises.core.tools import vector
from gemini_workshop.exercises.lesson_03.tools import numbered, split_oracle
from gemini_workshop.models.multi_head_attention import merge_heads


def _cases(generator: torch.Generator) -> list[Arguments]:
    return [
        (split_oracle(numbered(3, 8), 2),),
        (torch.randn(2, 3, 5, 4, generator=generator),),
        (torch.randn(4, 3, 1, 2, generator=generator),),
    ]


def _oracle(x: Tensor) -> Tensor:
    return torch.cat([x[:, h] for h in range(x.shape[1])], dim=-1)


def _plain(x: Tensor) -> Tensor:
    pieces = x.transpose(1, 2)
    return pieces.flatten(2)


def _explain(function: Function, case: Arguments) -> str | None:
    (x,) = case
    got, expected = function(x), _oracle(x)
    if len(x) != 1:
        return None
    t = next(t for t in range(x.shape[2]) if not same(got[0, t], expected[0, t]))
    found = " and ".join(vector(x[0, h, t]) for h in range(x.shape[1]))
    return f"The heads found {found} for token {t}. It should be {vector(expected[0, t])}; it is {vector(got[0, t])}."


MERGE_HEADS = Exercise(
    id="03.2",
    minutes=5,
    difficulty=2,
    importance=4,
    reference=merge_heads,
    oracle=_oracle,
    cases=_cases,
    plain=_plain,
    explain=_explain,
    battery=Battery(beyond=lambda generator: [(torch.randn(3, 16, 130, 6, generator=generator),)]),
    misconceptions={
        "reshaped without transposing back": Say(
            "The shape is right and the numbers are not: a token gets what one head found for several tokens. Heads "
            "and channels have to be neighbours before they can become one axis."
        ).to(lambda x: x.reshape(x.shape[0], x.shape[2], -1)),
        "heads interleaved": Say(
            "The pieces are shuffled together channel by channel. They belong one after another: all that head 0 "
            "found, then all that head 1 found."
        ).to(lambda x: x.permute(0, 2, 3, 1).flatten(2)),
        "heads averaged": Say(
            "The heads are averaged, so it is lost which head found what. Concatenate them; how to mix them is "
            "learned, by the matrix that comes after."
        ).to(lambda x: x.mean(1)),
        "heads added up": Say(
            "The heads are summed, so it is lost which head found what. Concatenate them; how to mix them is learned, "
            "by the matrix that comes after."
        ).to(lambda x: x.sum(1)),
        "heads laid end to end": Say(
            "The heads follow one another along the tokens, as if the text had become longer. They belong side by "
            "side, along the channels."
        ).to(lambda x: x.flatten(1, 2)),
        "not merged": Say("Tokens and heads are swapped, as they must be, but head and channel are still two axes.").to(
            lambda x: x.transpose(1, 2)
        ),
        "tokens and channels made one axis": Say(
            "Tokens and channels became one axis. Heads and channels have to become one, and for that they must be "
            "neighbours."
        ).to(lambda x: x.flatten(2)),
        "heads in reverse": Say("The pieces are right but in reverse order: the first head's piece comes first.").to(
            lambda x: x.flip(1).transpose(1, 2).flatten(2)
        ),
    },
    hints=(
        "It is `split_heads` backwards, so the two moves come in the opposite order.",
        "Bring the axes into the order (B, T, H, C) first; then the last two can become one.",
        "`x.transpose(1, 2)` and then `.flatten(2)`, or `.reshape(B, T, H * C)`. (`view` refuses here, because the "
        "numbers no longer lie in memory in this order.)",
    ),
)
