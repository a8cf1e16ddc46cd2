"""Lesson 04, positions: its exercises, what is asked of an answer, and what learners get wrong."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gemini_workshop.exercises.comparison import number, same
from gemini_workshop.exercises.core import Arguments, Exercise, Invariant, Misconception
from gemini_workshop.exercises.modules import Build, ModuleExercise, drawn_weights
from gemini_workshop.exercises.quiz import Option, Question, Quiz
from gemini_workshop.models.embeddings import (
    LearnedPositionalEmbedding,
    apply_rotary,
    rotary_frequencies,
    sinusoidal_positions,
)

Function = Callable[..., Any]

# --- 04.1 sinusoidal_positions ---------------------------------------------------------------------------------------


def _sinusoidal_cases(generator: torch.Generator) -> list[Arguments]:
    return [
        (torch.tensor([0]), 4),
        (torch.tensor([1]), 4),
        (torch.tensor([3, 0, 12]), 6),
        (torch.tensor([[5, 2, 9], [0, 3, 100]]), 8),
        (torch.randint(50, (7,), generator=generator), 10),
    ]


def _sinusoidal_oracle(positions: Tensor, embed_dim: int) -> Tensor:
    """One number at a time, from the definition."""
    rows = [
        [wave(p / 10_000 ** (2 * i / embed_dim)) for i in range(embed_dim // 2) for wave in (math.sin, math.cos)]
        for p in positions.flatten().tolist()
    ]
    return torch.tensor(rows).reshape(*positions.shape, embed_dim)


def _explain_sinusoidal(function: Function, case: Arguments) -> str | None:
    positions, embed_dim = case
    got, expected = function(*case).flatten(0, -2), _sinusoidal_oracle(*case).flatten(0, -2)
    for position, row, needed in zip(positions.flatten().tolist(), got, expected, strict=True):
        for channel, (a, b) in enumerate(zip(row, needed, strict=True)):
            if not same(a, b):
                wave = f"{'cos' if channel % 2 else 'sin'}({position} / 10000^({channel // 2 * 2}/{embed_dim}))"
                return f"At position {position}, channel {channel} is {number(a)}; {wave} = {number(b)} is needed."
    return None


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


def _waves_but(**steps: Any) -> Function:
    return lambda positions, embed_dim: _waves(positions, embed_dim, **steps)


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
    reference=sinusoidal_positions,
    oracle=_sinusoidal_oracle,
    cases=_sinusoidal_cases,
    explain=_explain_sinusoidal,
    misconceptions=(
        Misconception(
            name="all sines, then all cosines",
            says="The sines stand together in the first half and the cosines in the second. Here a sine and the cosine "
            "of the same angle are neighbours: sin, cos, sin, cos.",
            wrong=_waves_but(arrange=lambda s, c: torch.cat([s, c], dim=-1)),
        ),
        Misconception(
            name="all sines, then all cosines, for one text",
            says="The sines stand together in the first half and the cosines in the second. Here a sine and the cosine "
            "of the same angle are neighbours: sin, cos, sin, cos. (And it takes one text only, not a batch: count the "
            "new axis from the end, with unsqueeze(-1).)",
            wrong=_halves_for_one_text,
        ),
        Misconception(
            name="cosine first",
            says="Sine and cosine have changed places: the sine takes the even channels (0, 2, ...).",
            wrong=_waves_but(arrange=lambda s, c: _alternating(c, s)),
        ),
        Misconception(
            name="every channel its own wave",
            says="Sine and cosine of a pair run at different speeds, as if each channel had a wave of its own. Both "
            "belong to one angle: the exponent is the same for channels 2i and 2i + 1.",
            wrong=_wave_for_each_channel,
        ),
        Misconception(
            name="half the exponent",
            says="The waves slow down only half as far as they should, to 1/100 and not towards 1/10000. Is the pair's "
            "number doubled in the exponent?",
            wrong=_waves_but(exponent=lambda i, D: i / D),
        ),
        Misconception(
            name="twice the exponent",
            says="The waves slow down twice as far as they should. Pair i of D/2 has the exponent 2i/D: it is divided "
            "by the number of channels, not of pairs.",
            wrong=_waves_but(exponent=lambda i, D: 4 * i / D),
        ),
        Misconception(
            name="ever faster waves",
            says="The waves get faster from pair to pair, so that the last one turns thousands of times between two "
            "tokens. They should get slower: divide by the power of 10000.",
            wrong=_ever_faster_waves,
        ),
        Misconception(
            name="divided after the power",
            says="The power comes before the division: `10000 ** n / D` is 10000 to the n, divided by D. The whole "
            "fraction 2i/D belongs in the exponent.",
            wrong=_waves_divided_too_late,
        ),
        Misconception(
            name="sines only",
            says="There is a sine in every channel. At an angle of 0 and of π a sine is the same: without the cosine "
            "beside it a position cannot be told from its mirror image.",
            wrong=_waves_but(arrange=lambda s, c: _alternating(s, s)),  # noqa: ARG005
        ),
        Misconception(
            name="positions ignored",
            says="It counts 0, 1, 2, ... by itself. Which positions are wanted stands in `positions`: later lessons "
            "ask for the position of one new token only.",
            wrong=_waves_but(count=lambda p: torch.arange(p.shape[-1]).expand(p.shape)),
        ),
        Misconception(
            name="counts from one",
            says="Every position is taken for the next one. The first token stands at position 0, where all sines are "
            "0 and all cosines are 1.",
            wrong=_waves_but(count=lambda p: p + 1),
        ),
        Misconception(
            name="full turns",
            says="There is a factor of 2π too much: the angle is in radians, one radian a token for the first pair.",
            wrong=_waves_but(times=2 * math.pi),
        ),
    ),
    hints=(
        "First the angles: one for each position and each pair of channels. Then a sine and a cosine of each.",
        "`positions.unsqueeze(-1)` has a last axis of size 1; multiplied with a row of D/2 speeds it gives all the "
        "angles. The speed of pair i is 1 / 10000^(2i/D), and 2i runs through `torch.arange(0, embed_dim, 2)`.",
        "`torch.stack([angles.sin(), angles.cos()], dim=-1)` puts sine and cosine of a pair beside each other, on a "
        "new last axis. `.flatten(-2)` makes one axis of the last two.",
    ),
)

# --- 04.2 LearnedPositionalEmbedding ---------------------------------------------------------------------------------


def _learned_cases(generator: torch.Generator) -> list[Arguments]:
    return [
        (Build(num_positions=4, embed_dim=3), torch.tensor([0, 1])),
        (Build(num_positions=5, embed_dim=2), torch.tensor([3])),
        (Build(num_positions=7, embed_dim=4), torch.tensor([6, 0, 2])),
        (Build(num_positions=9, embed_dim=5), torch.randint(9, (2, 3), generator=generator)),
    ]


def _learned_oracle(build: Build, positions: Tensor) -> Tensor:
    """The table's rows picked by a matrix of ones and zeros."""
    table = drawn_weights(LearnedPositionalEmbedding, build)["weight"]
    is_here = positions[..., None] == torch.arange(len(table))
    return is_here.float() @ table


def _explain_learned(function: Function, case: Arguments) -> str | None:
    _, positions = case
    got, expected = function(*case).flatten(0, -2), _learned_oracle(*case).flatten(0, -2)
    for position, row, needed in zip(positions.flatten().tolist(), got, expected, strict=True):
        if not same(row, needed):
            return f"Position {position} gave {_vector(row)}; the table's row {position}, {_vector(needed)}, is needed."
    return None


def _vector(values: Tensor) -> str:
    return f"({', '.join(number(value) for value in values)})"


def _starts_large(function: Function) -> str | None:
    build = Build(starts_as_it_is=True, num_positions=300, embed_dim=20)
    spread = float(function(build, torch.arange(300)).detach().std())
    if spread > 0.1:
        return (
            f"Its vectors start with a spread of {number(spread)}; 0.02 is needed. Added to the token's own vector, "
            "large random numbers drown it."
        )
    return None


def _goes_on_past_the_end(function: Function) -> str | None:
    try:
        got = function(Build(num_positions=4, embed_dim=3), torch.tensor([4]))
    except Exception:  # what error it is does not matter
        return None
    return (
        f"A table for 4 positions was asked for position 4, which it does not have, and it answered {_vector(got[0])}. "
        "An error is needed here: a wrong answer would never be noticed."
    )


def _learns_nothing(function: Function) -> str | None:
    if function(Build(num_positions=4, embed_dim=3), torch.tensor([1])).requires_grad:
        return None
    return (
        "No gradient reaches the table from the vectors that came back: it would stay as it was drawn. Is it detached, "
        "or was `requires_grad` switched off?"
    )


def _draws_elsewhere(function: Function) -> str | None:
    def drawn() -> Tensor:
        generator = torch.Generator().manual_seed(1)
        build = Build(starts_as_it_is=True, num_positions=4, embed_dim=3, generator=generator)
        return function(build, torch.arange(4)).detach()

    if same(drawn(), drawn()):
        return None
    return "Two tables of one seed start differently: the numbers have to be drawn from `generator`."


class _Table(nn.Module):
    """A table of positions with a place to go wrong: the misconceptions fill it in."""

    def __init__(self, num_positions: int, embed_dim: int, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(0.02 * torch.randn(num_positions, embed_dim, generator=generator))


class _FirstRows(_Table):
    def forward(self, positions: Tensor) -> Tensor:
        return self.weight[: positions.shape[-1]].expand(*positions.shape, -1)


class _CountsFromOne(_Table):
    def forward(self, positions: Tensor) -> Tensor:
        return self.weight[(positions + 1) % len(self.weight)]


class _OffByOne(_Table):
    def forward(self, positions: Tensor) -> Tensor:
        return self.weight[positions - 1]


class _Scaled(_Table):
    def forward(self, positions: Tensor) -> Tensor:
        return self.weight[positions] * self.weight.shape[1] ** 0.5


class _Averaged(_Table):
    def forward(self, positions: Tensor) -> Tensor:
        return self.weight[positions].mean(-2, keepdim=True).expand(*positions.shape, -1)


class _Buffer(nn.Module):
    def __init__(self, num_positions: int, embed_dim: int, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.weight = 0.02 * torch.randn(num_positions, embed_dim, generator=generator)

    def forward(self, positions: Tensor) -> Tensor:
        return self.weight[positions]


class _Sideways(nn.Module):
    def __init__(self, num_positions: int, embed_dim: int, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(0.02 * torch.randn(embed_dim, num_positions, generator=generator))

    def forward(self, positions: Tensor) -> Tensor:
        return self.weight[:, positions].movedim(0, -1)


LEARNED = ModuleExercise(
    id="04.2",
    minutes=6,
    reference=LearnedPositionalEmbedding,
    oracle=_learned_oracle,
    cases=_learned_cases,
    explain=_explain_learned,
    invariants=(
        Invariant(name="starts small", broken=_starts_large),
        Invariant(name="learns", broken=_learns_nothing),
        Invariant(name="draws from the generator", broken=_draws_elsewhere),
        Invariant(name="ends where the table ends", broken=_goes_on_past_the_end),
    ),
    misconceptions=(
        Misconception(
            name="first rows",
            says="It takes the first rows of the table, whatever `positions` says. A model that writes asks for one "
            "new token at position 57, and would get the vector of position 0.",
            wrong=_FirstRows,
        ),
        Misconception(
            name="no parameter",
            says="The module has no parameter: without a table, or with a plain tensor for one, no optimizer finds "
            "anything to learn. What has to be put around a tensor, as the last step of all?",
            wrong=_Buffer,
        ),
        Misconception(
            name="sideways",
            says="The table lies on its side: one column a position. It should have one row a position, as embedding "
            "tables do, so that `weight[positions]` picks rows.",
            wrong=_Sideways,
        ),
        Misconception(
            name="counts from one",
            says="Every position gets the row of the next one. The first token stands at position 0.",
            wrong=_CountsFromOne,
        ),
        Misconception(
            name="row before",
            says="Every position gets the row of the one before, and position 0, by Python's negative index, the last "
            "row of all. The first token stands at position 0.",
            wrong=_OffByOne,
        ),
        Misconception(
            name="scaled",
            says="The vectors are multiplied by the root of the width. That is done to token embeddings in some "
            "models; a learned position is taken as it is.",
            wrong=_Scaled,
        ),
        Misconception(
            name="one for all",
            says="All tokens of a sequence get the same vector. Then none of them knows where it stands.",
            wrong=_Averaged,
        ),
    ),
    hints=(
        "A table with one row a position. `__init__` makes it, `forward` picks rows from it.",
        "`nn.Parameter(tensor)` is a tensor that training changes. Indexing it with a tensor of whole numbers picks a "
        "row for each of them, whatever the shape.",
        "`self.weight = nn.Parameter(0.02 * torch.randn(num_positions, embed_dim, generator=generator))`; then "
        "`self.weight[...]` in forward.",
    ),
)

# --- 04.3 rotary_frequencies -----------------------------------------------------------------------------------------


def _frequencies_oracle(head_dim: int, base: float) -> Tensor:
    return torch.tensor([base ** (-2 * i / head_dim) for i in range(head_dim // 2)])


def _explain_frequencies(function: Function, case: Arguments) -> str | None:
    got, expected = function(*case), _frequencies_oracle(*case)
    for i, (a, b) in enumerate(zip(got, expected, strict=True)):
        if not same(a, b):
            call = f"rotary_frequencies({case[0]}, {case[1]:g})"
            return f"{call}: pair {i} turns by {number(a)} radians a token; {number(b)} is needed."
    return None


def _frequencies(exponent: Callable[[Tensor, int], Tensor]) -> Function:
    def wrong(head_dim: int, base: float) -> Tensor:
        return (base ** -exponent(torch.arange(head_dim // 2, dtype=torch.float64), head_dim)).float()

    return wrong


FREQUENCIES = Exercise(
    id="04.3",
    minutes=5,
    reference=rotary_frequencies,
    oracle=_frequencies_oracle,
    cases=lambda generator: [(4, 100.0), (8, 10_000.0), (6, 1_000_000.0)],  # noqa: ARG005
    explain=_explain_frequencies,
    misconceptions=(
        Misconception(
            name="ever faster",
            says="The pairs turn faster and faster. The first should be the fastest, one radian a token, and the "
            "others slower: what is the sign of the exponent?",
            wrong=_frequencies(lambda i, C: -2 * i / C),
        ),
        Misconception(
            name="divided after the power",
            says="The power comes before the division: `base ** n / C` is base to the n, divided by C. The whole "
            "fraction 2i/C belongs in the exponent.",
            wrong=lambda head_dim, base: 1 / base ** torch.arange(0, head_dim, 2) / head_dim,
        ),
        Misconception(
            name="divided by the number of pairs",
            says="The exponent grows twice as fast as it should: 2i is divided by the number of pairs. It runs from 0 "
            "towards 1 when 2i is divided by the number of channels.",
            wrong=_frequencies(lambda i, C: 4 * i / C),
        ),
        Misconception(
            name="half the exponent",
            says="The exponents stop half-way: the slowest pair should be nearly as slow as 1/base. Is the pair's "
            "number doubled?",
            wrong=_frequencies(lambda i, C: i / C),
        ),
        Misconception(
            name="one for each channel",
            says="There is one frequency for each channel. Two channels make a pair and turn together, so there are "
            "half as many.",
            wrong=lambda head_dim, base: _frequencies_oracle(head_dim, base).repeat(2),
        ),
        Misconception(
            name="one for each channel, neighbours alike",
            says="There is one frequency for each channel. Two channels make a pair and turn together, so there are "
            "half as many.",
            wrong=lambda head_dim, base: _frequencies_oracle(head_dim, base).repeat_interleave(2),
        ),
        Misconception(
            name="one for each channel, ever slower",
            says="There is one frequency for each channel. Two channels make a pair and turn together, so there are "
            "half as many: count 0, 2, 4, ...",
            wrong=lambda head_dim, base: base ** -(torch.arange(head_dim) / head_dim),
        ),
        Misconception(
            name="base ignored",
            says="The base is always 10000, whatever is asked for. Section 6 raises it.",
            wrong=lambda head_dim, base: _frequencies_oracle(head_dim, 10_000.0),  # noqa: ARG005
        ),
        Misconception(
            name="slowest first",
            says="The pairs stand in the opposite order: the fastest comes first.",
            wrong=lambda head_dim, base: _frequencies_oracle(head_dim, base).flip(0),
        ),
        Misconception(
            name="full turns",
            says="There is a factor of 2π too much. A frequency here is an angle in radians for each token: 1 for the "
            "fastest pair.",
            wrong=lambda head_dim, base: 2 * math.pi * _frequencies_oracle(head_dim, base),
        ),
        Misconception(
            name="lengths of the waves",
            says="These are wavelengths, tokens for each radian. The frequency is one over it.",
            wrong=lambda head_dim, base: 1 / _frequencies_oracle(head_dim, base).flip(0),
        ),
        Misconception(
            name="down to one over the base",
            says="The last exponent is exactly 1. There are C/2 steps from 0 to 1, and the last one is not taken: the "
            "exponents are 0, 2/C, 4/C, ... (C - 2)/C.",
            wrong=lambda head_dim, base: base ** -torch.linspace(0, 1, head_dim // 2),
        ),
    ),
    hints=(
        "There are head_dim / 2 of them, and the first is 1 because anything to the power of 0 is 1.",
        "`torch.arange(0, head_dim, 2)` counts 0, 2, 4, ...: these are the 2i of the formula.",
        "`1.0 / base ** exponents`, where the exponents are that range divided by `head_dim`.",
    ),
)

# --- 04.4 apply_rotary -----------------------------------------------------------------------------------------------


def _rotary_cases(generator: torch.Generator) -> list[Arguments]:
    def angles(*shape: int) -> tuple[Tensor, Tensor]:
        drawn = 0.3 + 2 * torch.rand(*shape, generator=generator)
        return drawn.cos(), drawn.sin()

    by_hand = torch.tensor([[2.0, 0.2]])
    return [
        (torch.tensor([[1.0, 0.0, 0.0, 1.0]]), by_hand.cos(), by_hand.sin()),
        (torch.tensor([[3.0, 1.0, 4.0, 2.0]]), by_hand.cos(), by_hand.sin()),
        (torch.randn(3, 6, generator=generator), *angles(3, 3)),
        (torch.randn(2, 3, 5, 8, generator=generator), *angles(5, 4)),
        (torch.randn(3, 2, 5, 4, generator=generator), *angles(3, 1, 5, 2)),
    ]


def _rotary_oracle(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """A pair as a complex number: turning is multiplying by cos + i sin."""
    first, second = x.double().chunk(2, dim=-1)
    turned = torch.complex(first, second) * torch.complex(cos.double(), sin.double())
    return torch.cat([turned.real, turned.imag], dim=-1)


def _explain_rotary(function: Function, case: Arguments) -> str | None:
    x, cos, sin = case
    if x.ndim != 2:
        return None
    got, expected, half = function(*case), _rotary_oracle(*case), x.shape[1] // 2
    for t in range(len(x)):
        for i in range(half):
            pair = [i, i + half]
            if not same(got[t, pair], expected[t, pair]):
                angle = math.atan2(float(sin[t, i]), float(cos[t, i]))
                return (
                    f"Channels {i} and {i + half}, {_vector(x[t, pair])}, turned by {number(angle)} radians became "
                    f"{_vector(got[t, pair])}; {_vector(expected[t, pair])} is needed."
                )
    return None


def _changes_lengths(function: Function) -> str | None:
    x, cos, sin = _rotary_cases(torch.Generator().manual_seed(1))[2]
    before, after = x.norm(dim=-1), function(x, cos, sin).norm(dim=-1)
    if same(after, before):
        return None
    return (
        f"A vector of length {number(before[0])} came back with length {number(after[0])}. A rotation keeps every "
        "length: which of the four products is missing or has the wrong sign?"
    )


def _turn_halves(x: Tensor, turn: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> Tensor:
    return torch.cat(turn(*x.chunk(2, dim=-1)), dim=-1)


def _neighbours(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.stack([a * cos - b * sin, b * cos + a * sin], dim=-1).flatten(-2)


def _neighbours_sorted(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


def _back_as_neighbours(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    a, b = x.chunk(2, dim=-1)
    return torch.stack([a * cos - b * sin, b * cos + a * sin], dim=-1).flatten(-2)


def _overwritten(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    first = first * cos - second * sin
    second = second * cos + first * sin
    return torch.cat([first, second], dim=-1)


def _angles_of_neighbours(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    cos, sin = cos.repeat_interleave(2, -1), sin.repeat_interleave(2, -1)
    return x * cos + torch.cat([-second, first], dim=-1) * sin


ROTARY = Exercise(
    id="04.4",
    minutes=10,
    reference=apply_rotary,
    oracle=_rotary_oracle,
    cases=_rotary_cases,
    explain=_explain_rotary,
    invariants=(Invariant(name="lengths are kept", broken=_changes_lengths),),
    misconceptions=(
        Misconception(
            name="turns neighbours",
            says="It turns the pairs (0, 1), (2, 3), ...: neighbouring channels, as in the paper. Here pair i is "
            "channel i of the first half and channel i of the second. Section 5 shows that "
            "both are the same up to an order.",
            wrong=_neighbours,
        ),
        Misconception(
            name="turns neighbours, sorts them",
            says="It takes neighbouring channels for pairs and puts the results into halves. Pair i is channel i of "
            "the first half and channel i of the second, going in and coming out.",
            wrong=_neighbours_sorted,
        ),
        Misconception(
            name="turns halves, comes back as neighbours",
            says="The pairs are turned rightly, but what comes back has first and second channels of the pairs side by "
            "side. The first channels of all pairs belong together, in the first half.",
            wrong=_back_as_neighbours,
        ),
        Misconception(
            name="turns backwards",
            says="It turns the other way round. All distances still come out right, so a model trained so would never "
            "notice, but weights trained elsewhere would. At a small angle (1, 0) has to move towards (0, 1).",
            wrong=lambda x, cos, sin: _turn_halves(x, lambda a, b: (a * cos + b * sin, b * cos - a * sin)),
        ),
        Misconception(
            name="both signs plus",
            says="Both channels get a plus. Then it is no rotation: lengths change. One of the two sines needs "
            "a minus.",
            wrong=lambda x, cos, sin: _turn_halves(x, lambda a, b: (a * cos + b * sin, b * cos + a * sin)),
        ),
        Misconception(
            name="overwritten too early",
            says="The second channel is computed from the first one *after* that was turned. Both need the old values: "
            "keep them until both results are there.",
            wrong=_overwritten,
        ),
        Misconception(
            name="cosine only",
            says="Each channel is multiplied by its cosine and nothing is exchanged between the two. A rotation mixes "
            "them: where did the sine go?",
            wrong=lambda x, cos, sin: _turn_halves(x, lambda a, b: (a * cos, b * cos)),  # noqa: ARG005
        ),
        Misconception(
            name="sine and cosine exchanged",
            says="Sine and cosine have changed places: at position 0 the angle is 0, the cosine is 1, and nothing may "
            "change.",
            wrong=lambda x, cos, sin: _turn_halves(x, lambda a, b: (a * sin - b * cos, b * sin + a * cos)),
        ),
        Misconception(
            name="halves exchanged",
            says="The halves come back in the wrong order. What was the first channel of a pair has to stay in the "
            "first half.",
            wrong=lambda x, cos, sin: _turn_halves(x, lambda a, b: (b * cos + a * sin, a * cos - b * sin)),
        ),
        Misconception(
            name="second half left alone",
            says="Only the first half is turned; the second comes back as it went in.",
            wrong=lambda x, cos, sin: _turn_halves(x, lambda a, b: (a * cos - b * sin, b)),
        ),
        Misconception(
            name="angles of neighbours, pairs of halves",
            says="Two layouts are mixed: the angles are laid out for neighbouring channels, but the channels are "
            "paired across the halves. The two channels of one pair are then turned by different angles.",
            wrong=_angles_of_neighbours,
        ),
    ),
    hints=(
        "Split each vector into its first and its second half. Pair i is entry i of both, so cos and sin fit either "
        "half as they are.",
        "The rotation of a point (a, b): a becomes a cos - b sin, b becomes b cos + a sin. Both lines need the old a "
        "and the old b.",
        "`first, second = x.chunk(2, dim=-1)`, then two lines, then `torch.cat([..., ...], dim=-1)`.",
    ),
)

EXERCISES = (SINUSOIDAL, LEARNED, FREQUENCIES, ROTARY)

# --- Quiz ------------------------------------------------------------------------------------------------------------

QUIZ = Quiz(
    (
        Question(
            "Tokens go into one attention layer without mask and without positions. You shuffle them. What happens?",
            (
                Option(
                    "Nothing at all changes.",
                    "That would be invariance. Each output still belongs to its token and moves with it: equivariance.",
                ),
                Option(
                    "The outputs are shuffled in the same way, and are otherwise the same.",
                    "Attention compares and mixes; nothing in it knows which row came first.",
                    is_right=True,
                ),
                Option(
                    "The outputs change, because other tokens stand next to each other.",
                    "Next to each other has no meaning for it: every query meets every key, near or far.",
                ),
            ),
        ),
        Question(
            "A learned table has rows for 256 positions; all training texts were 64 tokens long. What is in row 100?",
            (
                Option(
                    "A sensible continuation of rows 0 to 63.",
                    "Each row is learned for itself. Nothing connects row 100 with row 63.",
                ),
                Option(
                    "Zeros.",
                    "Only if it had started so. Training leaves unused rows as they were.",
                ),
                Option(
                    "What was drawn at random when the model was made.",
                    "No text ever used that row, so it never got a gradient.",
                    is_right=True,
                ),
            ),
        ),
        Question(
            "Queries and keys are turned, values are not. Why not turn the values as well?",
            (
                Option(
                    "They are mixed, not compared: a turned value would carry its absolute position into the output.",
                    "In a score the two rotations meet and only the difference is left. A value meets no second "
                    "rotation that could undo its own.",
                    is_right=True,
                ),
                Option(
                    "It would only cost time: the scores take care of the rest.",
                    "It would change the result: shift the text, and every output changes.",
                ),
                Option(
                    "Values have another width.",
                    "They often have the same width as keys, and could be turned. It would be wrong all the same.",
                ),
            ),
        ),
        Question(
            "A model with rotary positions gets a text four times as long as any before. What is new to it?",
            (
                Option(
                    "Nothing: distances are relative, so any length is alike.",
                    "Relative, yes, but distances of 100 and more never occurred. You have seen what it costs.",
                ),
                Option(
                    "Angles of slow pairs that no two tokens had in training.",
                    "Fast pairs have been round the circle many times; slow ones come into a part of it that no weight "
                    "was ever fitted to.",
                    is_right=True,
                ),
                Option(
                    "The fast pairs overflow.",
                    "An angle can grow as far as it likes; it comes round again. That is why fast pairs are *not* the "
                    "trouble.",
                ),
            ),
        ),
    )
)
