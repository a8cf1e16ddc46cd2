"""Exercise 04.3, ``rotary_frequencies``: its cases, and what learners get wrong."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from gemini_workshop.exercises.core.battery.declaration import Battery
from gemini_workshop.exercises.core.comparison import number, same
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Say
from gemini_workshop.models.embeddings import rotary_frequencies


def _oracle(head_dim: int, base: float) -> Tensor:
    return torch.tensor([base ** (-2 * i / head_dim) for i in range(head_dim // 2)])


def _explain(function: Function, case: Arguments) -> str | None:
    got, expected = function(*case), _oracle(*case)
    for i, (a, b) in enumerate(zip(got, expected, strict=True)):
        if not same(a, b):
            call = f"rotary_frequencies({case[0]}, {case[1]:g})"
            return f"{call}: pair {i} rotates by {number(a)} radians per token; {number(b)} is needed."
    return None


def _frequencies(head_dim: int, base: float, *, exponent: Callable[[Tensor, int], Tensor]) -> Tensor:
    return (base ** -exponent(torch.arange(head_dim // 2, dtype=torch.float64), head_dim)).float()


FREQUENCIES = Exercise(
    id="04.3",
    minutes=5,
    difficulty=2,
    importance=4,
    reference=rotary_frequencies,
    oracle=_oracle,
    cases=lambda generator: [(4, 100.0), (8, 10_000.0), (6, 1_000_000.0)],
    explain=_explain,
    battery=Battery(beyond=lambda generator: [(2, 100.0), (256, 1e6)]),
    misconceptions={
        "ever faster": Say(
            "The pairs turn faster and faster. The first should be the fastest, one radian per token, and the others "
            "slower: what is the sign of the exponent?"
        ).to(_frequencies, exponent=lambda i, C: -2 * i / C),
        "divided after the power": Say(
            "The power comes before the division: `base ** n / C` is base to the n, divided by C. The whole fraction "
            "2i/C belongs in the exponent."
        ).to(lambda head_dim, base: 1 / base ** torch.arange(0, head_dim, 2) / head_dim),
        "divided by the number of pairs": Say(
            "The exponent grows twice as fast as it should: 2i is divided by the number of pairs. It runs from 0 "
            "towards 1 when 2i is divided by the number of channels."
        ).to(_frequencies, exponent=lambda i, C: 4 * i / C),
        "half the exponent": Say(
            "The exponents stop halfway: the slowest pair should be nearly as slow as 1/base. Is the pair's number "
            "doubled?"
        ).to(_frequencies, exponent=lambda i, C: i / C),
        "one for each channel": Say(
            "There is one frequency for each channel. Two channels make a pair and turn together, so there are half "
            "as many."
        ).to(lambda head_dim, base: _oracle(head_dim, base).repeat(2)),
        "one for each channel, neighbors equal": Say(
            "There is one frequency for each channel. Two channels make a pair and turn together, so there are half "
            "as many."
        ).to(lambda head_dim, base: _oracle(head_dim, base).repeat_interleave(2)),
        "one for each channel, ever slower": Say(
            "There is one frequency for each channel. Two channels make a pair and turn together, so there are half "
            "as many: count 0, 2, 4, ..."
        ).to(lambda head_dim, base: base ** -(torch.arange(head_dim) / head_dim)),
        "base ignored": Say("The base is always 10000, whatever is asked for. Section 6 raises it.").to(
            lambda head_dim, base: _oracle(head_dim, 10_000.0)
        ),
        "slowest first": Say("The pairs are in reverse order: the fastest comes first.").to(
            lambda head_dim, base: _oracle(head_dim, base).flip(0)
        ),
        "full turns": Say(
            "There is an extra factor of 2π. A frequency here is an angle in radians for each token: 1 for the "
            "fastest pair."
        ).to(lambda head_dim, base: 2 * math.pi * _oracle(head_dim, base)),
        "lengths of the waves": Say(
            "These are tokens per radian. The frequency is one over that: radians per token."
        ).to(lambda head_dim, base: 1 / _oracle(head_dim, base).flip(0)),
        "down to one over the base": Say(
            "The last exponent is exactly 1. There are C/2 steps from 0 towards 1, and 1 itself is not reached: the "
            "exponents are 0, 2/C, 4/C, ... (C - 2)/C."
        ).to(lambda head_dim, base: base ** -torch.linspace(0, 1, head_dim // 2)),
    },
    hints=(
        "There are head_dim / 2 of them, and the first is 1 because anything to the power of 0 is 1.",
        "`torch.arange(0, head_dim, 2)` counts 0, 2, 4, ...: these are the 2i of the formula.",
        "`1.0 / base ** exponents`, where the exponents are that range divided by `head_dim`.",
    ),
)
