"""Exercise 04.4, ``apply_rotary``: its cases, and what learners get wrong."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from gemini_workshop.exercises.core.battery.declaration import Battery
from gemini_workshop.exercises.core.comparison import number, same
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Invariant, Say
from gemini_workshop.exercises.core.tools import vector
from gemini_workshop.models.embeddings import apply_rotary


def _cases(generator: torch.Generator) -> list[Arguments]:
    def angles(*shape: int) -> tuple[Tensor, Tensor]:
        drawn = 0.3 + 5 * torch.rand(*shape, generator=generator)  # cosine and sine of both signs
        return drawn.cos(), drawn.sin()

    by_hand = torch.tensor([[2.0, 0.2]])
    return [
        (torch.tensor([[1.0, 0.0, 0.0, 1.0]]), by_hand.cos(), by_hand.sin()),
        (torch.tensor([[3.0, 1.0, 4.0, 2.0]]), by_hand.cos(), by_hand.sin()),
        (torch.randn(3, 6, generator=generator), *angles(3, 3)),
        (torch.randn(2, 3, 5, 8, generator=generator), *angles(5, 4)),
        (torch.randn(3, 2, 5, 4, generator=generator), *angles(3, 1, 5, 2)),
    ]


def _beyond(generator: torch.Generator) -> list[Arguments]:
    angles = torch.rand(130, 35, generator=generator)
    return [(torch.randn(2, 1, 3, 130, 70, generator=generator), angles.cos(), angles.sin())]


def _oracle(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """A pair as a complex number: rotating is multiplying by cos + i sin."""
    first, second = x.double().chunk(2, dim=-1)
    rotated = torch.complex(first, second) * torch.complex(cos.double(), sin.double())
    return torch.cat([rotated.real, rotated.imag], dim=-1)


def _explain(function: Function, case: Arguments) -> str | None:
    x, cos, sin = case
    if x.ndim != 2:
        return None
    got, expected, half = function(*case), _oracle(*case), x.shape[1] // 2
    for t in range(len(x)):
        for i in range(half):
            pair = [i, i + half]
            if not same(got[t, pair], expected[t, pair]):
                angle = math.atan2(float(sin[t, i]), float(cos[t, i]))
                return (
                    f"Channels {i} and {i + half}, {vector(x[t, pair])}, rotated by {number(angle)} radians became "
                    f"{vector(got[t, pair])}; {vector(expected[t, pair])} is needed."
                )
    return None


def _changes_lengths(function: Function) -> str | None:
    x, cos, sin = _cases(torch.Generator().manual_seed(1))[2]
    before, after = x.norm(dim=-1), function(x, cos, sin).norm(dim=-1)
    if same(after, before):
        return None
    return (
        f"A vector of length {number(before[0])} came back with length {number(after[0])}. A rotation keeps every "
        "length: is one of the four products missing, or of the wrong sign, or does something else stretch it?"
    )


def _rotate_halves(x: Tensor, rotate: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> Tensor:
    return torch.cat(rotate(*x.chunk(2, dim=-1)), dim=-1)


def _neighbors(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.stack([a * cos - b * sin, b * cos + a * sin], dim=-1).flatten(-2)


def _neighbors_sorted(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


def _back_as_neighbors(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    a, b = x.chunk(2, dim=-1)
    return torch.stack([a * cos - b * sin, b * cos + a * sin], dim=-1).flatten(-2)


def _overwritten(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    first = first * cos - second * sin
    second = second * cos + first * sin
    return torch.cat([first, second], dim=-1)


def _angles_of_neighbors(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    cos, sin = cos.repeat_interleave(2, -1), sin.repeat_interleave(2, -1)
    return x * cos + torch.cat([-second, first], dim=-1) * sin


ROTARY = Exercise(
    id="04.4",
    minutes=10,
    difficulty=4,
    importance=5,
    reference=apply_rotary,
    oracle=_oracle,
    cases=_cases,
    explain=_explain,
    invariants=(Invariant(name="lengths are kept", broken=_changes_lengths),),
    battery=Battery(constants=("cos", "sin"), beyond=_beyond),
    misconceptions={
        "rotates neighbors": Say(
            "It rotates the pairs (0, 1), (2, 3), ...: neighboring channels, as in the paper. Here pair i is channel "
            "i of the first half and channel i of the second. Section 5 shows that both are the same up to an order."
        ).to(_neighbors),
        "rotates neighbors, sorts them": Say(
            "It pairs neighboring channels and puts the results into halves. Pair i is channel i of the first half "
            "and channel i of the second, both in the input and in the result."
        ).to(_neighbors_sorted),
        "rotates halves, returns neighbors": Say(
            "The pairs are rotated correctly, but the result has the first and second channels of each pair side by "
            "side. The first channels of all pairs belong together, in the first half."
        ).to(_back_as_neighbors),
        "rotates backwards": Say(
            "It rotates in the opposite direction. All distances still come out right, so a model trained this way "
            "would never notice, but weights trained elsewhere would. At a small angle (1, 0) has to move towards (0, "
            "1)."
        ).to(lambda x, cos, sin: _rotate_halves(x, lambda a, b: (a * cos + b * sin, b * cos - a * sin))),
        "both signs plus": Say(
            "Both channels get a plus. That is not a rotation: lengths change. One of the two sines needs a minus."
        ).to(lambda x, cos, sin: _rotate_halves(x, lambda a, b: (a * cos + b * sin, b * cos + a * sin))),
        "overwritten too early": Say(
            "The second channel is computed from the first one *after* it was rotated. Both need the old values: keep "
            "them until both results exist."
        ).to(_overwritten),
        "cosine only": Say(
            "Each channel is multiplied by its cosine and the two never mix. A rotation mixes them: where did the "
            "sine go?"
        ).to(lambda x, cos, sin: _rotate_halves(x, lambda a, b: (a * cos, b * cos))),
        "sine and cosine exchanged": Say(
            "Sine and cosine are swapped: at position 0 the angle is 0, the cosine is 1, and nothing may change."
        ).to(lambda x, cos, sin: _rotate_halves(x, lambda a, b: (a * sin - b * cos, b * sin + a * cos))),
        "halves exchanged": Say(
            "The halves are returned in the wrong order. What was the first channel of a pair has to stay in the "
            "first half."
        ).to(lambda x, cos, sin: _rotate_halves(x, lambda a, b: (b * cos + a * sin, a * cos - b * sin))),
        "second half left alone": Say("Only the first half is rotated; the second is returned unchanged.").to(
            lambda x, cos, sin: _rotate_halves(x, lambda a, b: (a * cos - b * sin, b))
        ),
        "angles of neighbors, pairs of halves": Say(
            "Two layouts are mixed: the angles are laid out for neighboring channels, but the channels are paired "
            "across the halves. The two channels of one pair are then rotated by different angles."
        ).to(_angles_of_neighbors),
    },
    hints=(
        "Split each vector into its first and its second half. Pair i is entry i of both, so cos and sin fit either "
        "half as they are.",
        "The rotation of a point (a, b): a becomes a cos - b sin, b becomes b cos + a sin. Both lines need the old a "
        "and the old b.",
        "`first, second = x.chunk(2, dim=-1)`, then two lines, then `torch.cat([..., ...], dim=-1)`.",
    ),
)
