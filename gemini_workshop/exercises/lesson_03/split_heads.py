"""Exercise 03.1, ``split_heads``: its cases, and what learners get wrong."""

import torch
from torch import Tensor

from gemini_workshop.exercises.core.battery.declaration import Battery
from gemini_workshop.exercises.core.comparison import same
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Say
from gemini_workshop.exercises.core.tools import vector
from gemini_workshop.exercises.lesson_03.tools import numbered, split_oracle
from gemini_workshop.models.multi_head_attention import split_heads


def _cases(generator: torch.Generator) -> list[Arguments]:
    return [
        (numbered(3, 8), 2),
        (torch.randn(2, 5, 12, generator=generator), 3),
        (torch.randn(4, 1, 6, generator=generator), 3),
        (torch.randn(2, 3, 5, generator=generator), 1),
    ]


def _plain(x: Tensor, num_heads: int) -> Tensor:
    B, T, HC = x.shape
    pieces = x.view(B, T, num_heads, HC // num_heads)
    return pieces.transpose(1, 2)


def _explain(function: Function, case: Arguments) -> str | None:
    x, num_heads = case
    if not torch.equal(x, numbered(*x.shape[1:])):
        return None
    got, expected = function(*case), split_oracle(*case)
    h, t = next(
        (h, t) for t in range(x.shape[1]) for h in range(num_heads) if not same(got[0, h, t], expected[0, h, t])
    )
    return (
        f"Token {t} is {vector(x[0, t])}. Of it, head {h} should be given {vector(expected[0, h, t])}; "
        f"it is given {vector(got[0, h, t])}."
    )


SPLIT_HEADS = Exercise(
    id="03.1",
    minutes=8,
    difficulty=3,
    importance=5,
    reference=split_heads,
    oracle=split_oracle,
    cases=_cases,
    plain=_plain,
    explain=_explain,
    battery=Battery(
        by_name=("num_heads",),
        beyond=lambda generator: [(torch.randn(3, 130, 96, generator=generator), 16)],
    ),
    misconceptions={
        "view without transpose": Say(
            "The shape is right and the numbers are in the wrong places: a head is given all of a few tokens instead "
            "of a piece of every token. `view` and `reshape` never move a number, they only index it differently. "
            "First split the channels, then swap two axes."
        ).to(lambda x, H: x.reshape(x.shape[0], H, x.shape[1], -1)),
        "channels dealt out in turn": Say(
            "The channels are dealt out like cards: head 0 is given every second or third one. Each head gets "
            "neighbouring channels: the first head the first piece, the next head the next."
        ).to(lambda x, H: x.reshape(*x.shape[:2], -1, H).permute(0, 3, 1, 2)),
        "tokens still before heads": Say(
            "The channels are split correctly, but tokens still come before heads. Attention works on the last two "
            "axes, so those must be tokens and channels; here it would compare the heads of one token."
        ).to(lambda x, H: x.reshape(*x.shape[:2], H, -1)),
        "heads before texts": Say(
            "The pieces are right, but the axis of the heads comes first. The texts of the batch stay in front: "
            "batch, heads, tokens, channels."
        ).to(lambda x, H: x.reshape(*x.shape[:2], H, -1).permute(2, 0, 1, 3)),
        "channels before tokens": Say(
            "Tokens and channels are swapped. The order is batch, heads, tokens, channels."
        ).to(lambda x, H: x.reshape(*x.shape[:2], H, -1).permute(0, 2, 3, 1)),
        "num_heads taken for the width of a head": Say(
            "`num_heads` is used as the width of a piece. It is the number of pieces; their width follows."
        ).to(lambda x, H: x.reshape(*x.shape[:2], -1, H).transpose(1, 2)),
        "every head gets everything": Say(
            "Every head is given all channels. Heads divide the channels among them: each works in its own piece, "
            "which is why eight of them cost no more than one."
        ).to(lambda x, H: x.unsqueeze(1).expand(-1, H, -1, -1)),
        "heads folded into the batch": Say(
            "Heads and texts are on one axis. That works too, and some libraries do it; here the heads have their own "
            "axis, so that nobody has to remember which comes first."
        ).to(lambda x, H: split_oracle(x, H).flatten(0, 1)),
    },
    hints=(
        "Two steps: make the axis of channels into two (head, channel within the head), then bring the heads forward. "
        "The first only indexes the numbers differently; the second has to change their order.",
        "After the first step the shape is (B, T, H, C), since the channels were last. Attention wants (B, H, T, C).",
        "`x.view(B, T, num_heads, HC // num_heads)` splits; `.transpose(1, 2)` swaps tokens and heads.",
    ),
)
