"""Exercise 06.3, ``residual_step``: its cases, and what learners get wrong."""

from collections.abc import Callable

import torch
from torch import Tensor

from gemini_workshop.exercises.core.comparison import number, same
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Say
from gemini_workshop.models.plain_transformer import identity, residual_step


def add_10(x: Tensor) -> Tensor:
    """A sublayer whose work is seen at once."""
    return x + 10


def double(x: Tensor) -> Tensor:
    """Stands for a norm."""
    return 2 * x


def add_1(x: Tensor) -> Tensor:
    """Stands for a norm."""
    return x + 1


def square(x: Tensor) -> Tensor:
    """Stands for a norm."""
    return x**2


def _cases(generator: torch.Generator) -> list[Arguments]:
    x = torch.randn(2, 3, generator=generator)
    return [
        (torch.tensor([3.0]), add_10),
        (torch.tensor([3.0]), add_10, double),
        (torch.tensor([3.0]), add_10, identity, identity, double),
        (torch.tensor([3.0]), add_10, double, square, identity),
        (torch.tensor([3.0]), add_10, double, square, add_1),
        (x, square, double, add_1, add_10),
    ]


def _oracle(x: Tensor, sublayer: Function, *norms: Function) -> Tensor:
    """The three placements spelt out, in float64."""
    norm, output_norm, stream_norm = (*norms, *[identity] * (3 - len(norms)))
    read = norm(x.double())
    written = output_norm(sublayer(read))
    return stream_norm(x.double() + written)


def _explain(function: Function, case: Arguments) -> str | None:
    x, sublayer, *norms = case
    got, expected = function(*case), _oracle(*case)
    if x.numel() > 1 or same(got, expected):
        return None
    names = ["norm", "output_norm", "stream_norm"]
    given = [f"sublayer = {sublayer.__name__}"]
    given += [f"{name} = {f.__name__}" for name, f in zip(names, norms, strict=False) if f is not identity]
    return f"With x = {number(x[0])}, {', '.join(given)} it gave {number(got[0])}; {number(expected[0])} is needed."


def _step(wrong: Callable[..., Tensor]) -> Function:
    """A wrong step with all its norms given."""

    def step(x: Tensor, sublayer: Function, *norms: Function) -> Tensor:
        return wrong(x, sublayer, *(*norms, *[identity] * (3 - len(norms))))

    return step


RESIDUAL_STEP = Exercise(
    id="06.3",
    minutes=5,
    difficulty=2,
    importance=5,
    reference=residual_step,
    oracle=_oracle,
    cases=_cases,
    explain=_explain,
    misconceptions={
        "nothing is added": Say(
            "The sublayer's output replaces the stream. It has to be added: what the sublayer leaves alone must not "
            "be lost."
        ).to(_step(lambda x, f, norm, out, stream: stream(out(f(norm(x)))))),
        "stream taken after the norm": Say(
            "The output is added to the normalized stream. Then nothing passes a block unchanged. Keep x itself, and "
            "let only the sublayer read the normalized copy."
        ).to(_step(lambda x, f, norm, out, stream: stream(norm(x) + out(f(norm(x)))))),
        "output norm on the sum": Say(
            "`output_norm` is applied to the sum. It belongs to the sublayer's output, before that is added; the "
            "stream itself is not normalized. (Papers on Gemma call it 'post-norm', which leads here.)"
        ).to(_step(lambda x, f, norm, out, stream: stream(out(x + f(norm(x)))))),
        "stream norm before the sum": Say(
            "`stream_norm` is applied before the addition. In the first transformer the norm comes after it: the sum "
            "is normalized."
        ).to(_step(lambda x, f, norm, out, stream: x + stream(out(f(norm(x)))))),
        "stream norm on x alone": Say(
            "`stream_norm` is applied to x alone, before anything is added. It comes last: the sum is normalized."
        ).to(_step(lambda x, f, norm, out, stream: stream(x) + out(f(norm(x))))),
        "stream norm inside": Say(
            "`stream_norm` is applied to x before the sublayer reads it. It comes last: the sum is normalized."
        ).to(_step(lambda x, f, norm, out, stream: x + out(f(norm(stream(x)))))),
        "norm after the sublayer": Say(
            "`norm` is applied to the sublayer's output. It belongs to the sublayer's input."
        ).to(_step(lambda x, f, norm, out, stream: stream(x + out(norm(f(x)))))),
        "norm on the sum": Say(
            "`norm` is applied to the sum. `stream_norm` is for that; `norm` is for what the sublayer reads."
        ).to(_step(lambda x, f, norm, out, stream: stream(norm(x + out(f(x)))))),
        "norm not used": Say("The sublayer reads the stream itself; `norm` is not used.").to(
            _step(lambda x, f, norm, out, stream: stream(x + out(f(x))))
        ),
        "output norm not used": Say("The sublayer's output is added directly; `output_norm` is not used.").to(
            _step(lambda x, f, norm, out, stream: stream(x + f(norm(x))))
        ),
        "stream norm not used": Say("The sum is returned directly; `stream_norm` is not used.").to(
            _step(lambda x, f, norm, out, stream: x + out(f(norm(x))))
        ),
        "only the first norm": Say(
            "This is right for norms before the sublayer (pre). `output_norm` and `stream_norm` are not used."
        ).to(_step(lambda x, f, norm, out, stream: x + f(norm(x)))),
        "stream taken after the norm, others not used": Say(
            "The output is added to the normalized stream. Then nothing passes a block unchanged: add it to x itself. "
            "(And `output_norm` and `stream_norm` are not used.)"
        ).to(_step(lambda x, f, norm, out, stream: norm(x) + f(norm(x)))),
        "output norm and stream norm swapped": Say(
            "`output_norm` and `stream_norm` are swapped: the first belongs to the sublayer's output, the second to "
            "the sum."
        ).to(_step(lambda x, f, norm, out, stream: out(x + stream(f(norm(x)))))),
    },
    hints=(
        "Say it in the order in which it happens: read, compute, add, return. Each of the three norms belongs before "
        "one of these steps.",
        "What the sublayer reads is `norm(x)`; what it writes passes `output_norm`; then it is added to `x` itself.",
        "From the inside out: `norm`, `sublayer`, `output_norm`, plus x, `stream_norm`.",
    ),
)
