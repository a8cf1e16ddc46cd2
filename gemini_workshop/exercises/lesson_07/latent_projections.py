"""Exercise 07.6, ``latent_projections``: its cases, and what learners get wrong."""

from collections.abc import Callable

import torch
from torch import Tensor

from gemini_workshop.exercises.core.comparison import number, same, worst_index
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Say
from gemini_workshop.exercises.core.tools import drawing
from gemini_workshop.models.latent_attention import latent_projections

Three = tuple[Tensor, Tensor, Tensor]
NAMES = {"latents": "BSR", "keys": "BHSC", "values": "BHSC"}


def _cases(generator: torch.Generator) -> list[Arguments]:
    draw = drawing(generator)
    return [
        (draw(1, 2, 4), draw(3, 4), draw(1, 2, 3), draw(1, 5, 3)),
        (draw(2, 5, 7), draw(3, 7), draw(4, 2, 3), draw(4, 6, 3)),
        (draw(2, 3, 6), draw(4, 6), draw(3, 5, 4), draw(3, 5, 4)),
        (draw(2, 4, 3), draw(3, 3), draw(3, 3, 3), draw(3, 3, 3)),
    ]


def _oracle(x: Tensor, down: Tensor, key_up: Tensor, value_up: Tensor) -> Three:
    x, down, key_up, value_up = (t.double() for t in (x, down, key_up, value_up))
    latents = torch.einsum("bsd,rd->bsr", x, down)
    return (
        latents,
        torch.einsum("bsr,hcr->bhsc", latents, key_up),
        torch.einsum("bsr,hcr->bhsc", latents, value_up),
    )


def _explain(function: Function, case: Arguments) -> str | None:
    for (name, axes), got, needed in zip(NAMES.items(), function(*case), _oracle(*case), strict=True):
        if got.shape != needed.shape:
            return f"The {name} have shape {tuple(got.shape)}; {tuple(needed.shape)} is needed."
        if not same(got, needed):
            place = worst_index(got, needed)
            words = {"B": "sequence", "H": "head", "S": "token", "R": "channel", "C": "channel"}
            where = ", ".join(f"{words[axis]} {i}" for axis, i in zip(axes, place, strict=True))
            return f"The {name}: {where} is {number(got[place])}; {number(needed[place])} is needed."
    return None


def _project(
    x: Tensor,
    down: Tensor,
    key_up: Tensor,
    value_up: Tensor,
    *,
    compress: Callable[[Tensor, Tensor], Tensor] = lambda x, down: x @ down.T,
    keep: Callable[[Tensor], Tensor] = lambda latents: latents,
    unpack: Callable[[Tensor, Tensor], Tensor] = lambda latents, up: latents[:, None] @ up.mT,
) -> Three:
    """Both projections with a place to go wrong at each of their steps: the misconceptions below fill them in."""
    latents = compress(x, down)
    return keep(latents), unpack(latents, key_up), unpack(latents, value_up)


def _one_head(latents: Tensor, up: Tensor) -> Tensor:
    return (latents[:, None] @ up[:1].mT).expand(-1, len(up), -1, -1)


def _channels_mixed_up(latents: Tensor, up: Tensor) -> Tensor:
    """All heads in one product, read as heads without exchanging axes."""
    return (latents @ up.flatten(0, 1).T).reshape(len(latents), len(up), latents.shape[1], -1)


def _channels_first(latents: Tensor, up: Tensor) -> Tensor:
    wide = latents @ up.flatten(0, 1).T
    return wide.unflatten(-1, (-1, len(up))).permute(0, 3, 1, 2)


def _with_copies(x: Tensor, down: Tensor, key_up: Tensor, value_up: Tensor) -> Three:
    latents, key, value = _project(x, down, key_up, value_up)
    return latents[:, None].expand(-1, len(key_up), -1, -1), key, value


LATENT_PROJECTIONS = Exercise(
    id="07.6",
    minutes=8,
    difficulty=3,
    importance=3,
    reference=latent_projections,
    oracle=_oracle,
    cases=_cases,
    explain=_explain,
    misconceptions={
        "keys and values exchanged": Say(
            "Keys and values are exchanged: first the latents, then the keys, then the values."
        ).to(lambda x, down, key_up, value_up: _project(x, down, value_up, key_up)),
        "values from the keys' matrices": Say(
            "The values are unpacked by the matrices of the keys. Each head has two matrices, `key_up` and `value_up`."
        ).to(lambda x, down, key_up, value_up: _project(x, down, key_up, key_up)),
        "keys from the values' matrices": Say(
            "The keys are unpacked by the matrices of the values. Each head has two matrices, `key_up` and `value_up`."
        ).to(lambda x, down, key_up, value_up: _project(x, down, value_up, value_up)),
        "first head for all": Say(
            "All heads unpack with the matrices of head 0. Only the latent vector is shared; each head reads it in its "
            "own way."
        ).to(_project, unpack=_one_head),
        "mean of the heads": Say(
            "All heads unpack with the mean of their matrices. Only the latent vector is shared; each head reads it in "
            "its own way."
        ).to(
            _project,
            unpack=lambda latents, up: (latents[:, None] @ up.mean(0).T[None]).expand(-1, len(up), -1, -1),
        ),
        "heads after the tokens": Say(
            "The axes of keys and values are in the order of sequence, token, head, channel. The heads come before the "
            "tokens, so that attention can run in each head."
        ).to(_project, unpack=lambda latents, up: (latents[:, None] @ up.mT).transpose(1, 2)),
        "tokens and heads mixed up": Say(
            "The shape of the keys is right and the order is not: `reshape` keeps reading row by row, so that channels "
            "of one token land in several. Split the channels into heads first, then exchange axes."
        ).to(_project, unpack=_channels_mixed_up),
        "channels of the heads interleaved": Say(
            "Channels are dealt out to the heads in turn. Each head's channels are side by side: heads first, then "
            "channels."
        ).to(_project, unpack=_channels_first),
        "normalized": Say(
            "The latent vectors are normalized. Real models have a norm there; this exercise leaves it out, as its "
            "formula does."
        ).to(_project, compress=lambda x, down: torch.nn.functional.rms_norm(x @ down.T, (len(down),))),
        "cut off in place of a product": Say(
            "The latent vector is the beginning of the token's vector. It is a product with `down`, which learns what "
            "to keep."
        ).to(_project, compress=lambda x, down: x[..., : len(down)]),
        "scaled by the rank": Say(
            "Keys and values are divided by √R. The only scale of attention is applied to scores, later."
        ).to(_project, unpack=lambda latents, up: latents[:, None] @ up.mT / up.shape[-1] ** 0.5),
        "latents for each head": Say(
            "There is a copy of the latent vectors for each head. One per token is kept, for all heads: that is what "
            "makes the cache small."
        ).to(_with_copies),
        "activation on the latents": Say(
            "Negative channels of the latent vectors are lost, as in a feed-forward layer with ReLU. Both projections "
            "are plain products."
        ).to(_project, compress=lambda x, down: (x @ down.T).relu()),
    },
    hints=(
        "Two steps: from D channels to R, once per token; from R to C channels, once per token *and* head. Write down "
        "the shapes: where does the head axis come from?",
        "`x @ down.T` has shape (B, S, R). For the keys, give it an axis of size 1 where the heads will be, so that it "
        "broadcasts against the matrices of all heads.",
        "`latents = x @ down.T`, then `latents.unsqueeze(1) @ key_up.mT`, and the same with `value_up`. Or einsum: "
        "`'bsr,hcr->bhsc'`.",
    ),
)
