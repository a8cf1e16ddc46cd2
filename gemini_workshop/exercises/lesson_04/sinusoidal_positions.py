"""Exercise 04.1, ``sinusoidal_positions``: its cases, and what learners get wrong."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from gemini_workshop.exercises.core.battery.declaration import Battery
from gemini_workshop.exercises.core.comparison import number, same
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Say
from gemini_workshop.models.embeddings import sinusoidal_positions


def _cases(generator: torch.Generator) -> list[Arguments]:
    return [
        (torch.tensor([0]), 4),
        (torch.tensor([1]), 4),
        (torch.tensor([3, 0, 12]), 6),
        (torch.tensor([[5, 2, 9], [0, 3, 100]]), 8),
        (torch.randint(50, (7,), generator=generator), 10),
    ]


def _oracle(positions: Tensor, embed_dim: int) -> Tensor:
    """One number at a time, from the definition."""
    rows = [
        [wave(p / 10_000 ** (2 * i / embed_dim)) for i in range(embed_dim // 2) for wave in (math.sin, math.cos)]
        for p in positions.flatten().tolist()
    ]
    return torch.tensor(rows).reshape(*positions.shape, embed_dim)


def _explain(function: Function, case: Arguments) -> str | None:
    positions, embed_dim = case
    got, expected = function(*case).flatten(0, -2), _oracle(*case).flatten(0, -2)
    for position, row, needed in zip(positions.flatten().tolist(), got, expected, strict=True):
        for channel, (a, b) in enumerate(zip(row, needed, strict=True)):
            if not same(a, b):
                wave = f"{'cos' if channel % 2 else 'sin'}({position} / 10000^({channel // 2 * 2}/{embed_dim}))"
                return f"At position {position}, channel {channel} is {number(a)}; {wave} = {number(b)} is needed."
    return None


def _plain(positions: Tensor, embed_dim: int) -> Tensor:
    speeds = 1.0 / 10_000 ** (torch.arange(0, embed_dim, 2) / embed_dim)
    angles = positions.unsqueeze(-1) * speeds
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2)


def _alternating(sine: Tensor, cosine: Tensor) -> Tensor:
    return torch.stack([sine, cosine], dim=-1).flatten(-2)


def _waves(
    positions: Tensor,
    embed_dim: int,
    *,
    count: Callable[[Tensor], Tensor] = lambda positions: positions,
    exponent: Callable[[Tensor, int], Tensor] = lambda i, D: 2 * i / D,
    times: float = 1.0,
    arrange: Callable[[Tensor, Tensor], Tensor] = _alternating,
) -> Tensor:
    """Sinusoids with a place to go wrong at each of their steps: the misconceptions fill them in."""
    pairs = torch.arange(embed_dim // 2, dtype=torch.float64)
    angles = times * count(positions)[..., None].double() / 10_000 ** exponent(pairs, embed_dim)
    return arrange(angles.sin(), angles.cos()).float()


def _halves_for_one_text(positions: Tensor, embed_dim: int) -> Tensor:
    angles = positions[:, None] / 10_000 ** (torch.arange(0, embed_dim, 2) / embed_dim)
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def _wave_for_each_channel(positions: Tensor, embed_dim: int) -> Tensor:
    channels = torch.arange(embed_dim, dtype=torch.float64)
    angles = positions[..., None].double() / 10_000 ** (channels / embed_dim)
    return torch.where(channels % 2 == 0, angles.sin(), angles.cos()).float()


def _ever_faster_waves(positions: Tensor, embed_dim: int) -> Tensor:
    """In float32, as it will be written: at such angles rounding decides the sine."""
    angles = positions[..., None] * 10_000 ** (torch.arange(0, embed_dim, 2) / embed_dim)
    return _alternating(angles.sin(), angles.cos())


def _waves_divided_too_late(positions: Tensor, embed_dim: int) -> Tensor:
    angles = positions[..., None] * (1 / 10_000 ** torch.arange(0, embed_dim, 2) / embed_dim)
    return _alternating(angles.sin(), angles.cos())


SINUSOIDAL = Exercise(
    id="04.1",
    minutes=8,
    difficulty=3,
    importance=2,
    reference=sinusoidal_positions,
    oracle=_oracle,
    cases=_cases,
    plain=_plain,
    explain=_explain,
    battery=Battery(beyond=lambda generator: [(torch.arange(130).reshape(2, 1, 65), 96)]),
    misconceptions={
        "all sines, then all cosines": Say(
            "The sines are all in the first half and the cosines in the second. Here a sine and the cosine of the "
            "same angle are neighbors: sin, cos, sin, cos."
        ).to(_waves, arrange=lambda s, c: torch.cat([s, c], dim=-1)),
        "all sines, then all cosines, for one text": Say(
            "The sines are all in the first half and the cosines in the second. Here a sine and the cosine of the "
            "same angle are neighbors: sin, cos, sin, cos. (And it takes one text only, not a batch: count the new "
            "axis from the end, with unsqueeze(-1).)"
        ).to(_halves_for_one_text),
        "cosine first": Say("Sine and cosine are swapped: the sine takes the even channels (0, 2, ...).").to(
            _waves, arrange=lambda s, c: _alternating(c, s)
        ),
        "every channel its own wave": Say(
            "Sine and cosine of a pair run at different speeds, as if each channel had its own wave. Both belong to "
            "one angle: the exponent is the same for channels 2i and 2i + 1."
        ).to(_wave_for_each_channel),
        "half the exponent": Say(
            "The waves slow down only half as much as they should, to 1/100 and not towards 1/10000. Is the pair's "
            "number doubled in the exponent?"
        ).to(_waves, exponent=lambda i, D: i / D),
        "twice the exponent": Say(
            "The waves slow down twice as much as they should. Pair i of D/2 has the exponent 2i/D: it is divided by "
            "the number of channels, not of pairs."
        ).to(_waves, exponent=lambda i, D: 4 * i / D),
        "ever faster waves": Say(
            "The waves get faster from pair to pair, so that the last one turns hundreds of times between two "
            "tokens. They should get slower: divide by the power of 10000."
        ).to(_ever_faster_waves),
        "divided after the power": Say(
            "The power comes before the division: `10000 ** n / D` is 10000 to the n, divided by D. The whole "
            "fraction 2i/D belongs in the exponent."
        ).to(_waves_divided_too_late),
        "sines only": Say(
            "There is a sine in every channel. At an angle of 0 and of π a sine is the same: without the cosine "
            "beside it, a position and its mirror image look the same."
        ).to(_waves, arrange=lambda s, c: _alternating(s, s)),
        "positions ignored": Say(
            "It counts 0, 1, 2, ... by itself. The positions that are wanted are in `positions`: later lessons ask "
            "for the position of one new token only."
        ).to(_waves, count=lambda p: torch.arange(p.shape[-1]).expand(p.shape)),
        "counts from one": Say(
            "Every position is off by one. The first token is at position 0, where all sines are 0 and all cosines "
            "are 1."
        ).to(_waves, count=lambda p: p + 1),
        "full turns": Say(
            "There is an extra factor of 2π: the angle is in radians, one radian per token for the first pair."
        ).to(_waves, times=2 * math.pi),
    },
    hints=(
        "First the angles: one for each position and each pair of channels. Then a sine and a cosine of each.",
        "`positions.unsqueeze(-1)` has a last axis of size 1; multiplied with a row of D/2 speeds it gives all the "
        "angles. The speed of pair i is 1 / 10000^(2i/D), and 2i runs through `torch.arange(0, embed_dim, 2)`.",
        "`torch.stack([angles.sin(), angles.cos()], dim=-1)` puts sine and cosine of a pair beside each other, on a "
        "new last axis. `.flatten(-2)` makes one axis of the last two.",
    ),
)
