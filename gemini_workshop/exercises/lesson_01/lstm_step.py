"""Exercise 01.4, ``lstm_step``: its cases, and what learners get wrong."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from gemini_workshop.exercises.core.battery.declaration import Battery
from gemini_workshop.exercises.core.comparison import number, same, worst_index
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Say
from gemini_workshop.exercises.core.tools import drawing
from gemini_workshop.exercises.lesson_01.tools import load
from gemini_workshop.models.recurrent import lstm_step


def _cases(generator: torch.Generator) -> list[Arguments]:
    draw = drawing(generator)
    return [_case(draw, D=2, R=3), _case(draw, 4, D=5, R=3), _case(draw, 2, 3, D=4, R=5)]


def _beyond(generator: torch.Generator) -> list[Arguments]:
    long, loud = drawing(generator, scale=0.1), drawing(generator, scale=12.0)
    return [_case(long, 2, 1, 3, D=40, R=50), _case(loud, 3, D=5, R=4)]


def _case(draw: Function, *batch: int, D: int, R: int) -> Arguments:
    state = (draw(*batch, R), 2 * draw(*batch, R))
    return (draw(*batch, D), state, draw(4 * R, D), draw(4 * R, R), draw(4 * R))


def _oracle(
    x: Tensor, state: tuple[Tensor, Tensor], input_weight: Tensor, recurrent_weight: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor]:
    """PyTorch's own cell, in float64."""
    hidden, memory = (part.double().reshape(-1, part.shape[-1]) for part in state)
    cell = nn.LSTMCell(x.shape[-1], hidden.shape[-1], dtype=torch.float64)
    with torch.no_grad():
        load(cell, input_weight, recurrent_weight, bias)
        new = cell(x.double().reshape(-1, x.shape[-1]), (hidden, memory))
    return new[0].reshape(state[0].shape), new[1].reshape(state[1].shape)


def _explain(function: Function, case: Arguments) -> str | None:
    parts = dict(zip(("hidden state", "cell"), zip(function(*case), _oracle(*case), strict=True), strict=True))
    wrong = {name: pair for name, pair in parts.items() if not same(*pair)}
    name, (got, expected) = next(reversed(wrong.items()))  # the cell first: the hidden state is made from it
    index = worst_index(got, expected)
    other = "" if len(wrong) == 2 else f" The {'cell' if name == 'hidden state' else 'hidden state'} is right."
    return (
        f"Unit {index[-1]} of the new {name} is {number(got[index])}; {number(expected[index])} is needed "
        f"(counting from 0).{other}"
    )


def _step(
    x: Tensor,
    state: tuple[Tensor, Tensor],
    W: Tensor,
    U: Tensor,
    b: Tensor,
    *,
    order: str = "ifgo",
    squash: Callable[[Tensor], Tensor] = lambda total: total,
    keep: Callable[..., Tensor] = lambda i, f, g, c, h: f.sigmoid() * c + i.sigmoid() * g.tanh(),
    reveal: Callable[..., Tensor] = lambda o, c, old: o.sigmoid() * c.tanh(),
) -> tuple[Tensor, Tensor]:
    """An LSTM with a place to go wrong at each of its steps: the misconceptions below fill them in."""
    hidden, old = state
    gates = dict(zip(order, squash(x @ W.T + hidden @ U.T + b).chunk(4, -1), strict=True))
    cell = keep(gates["i"], gates["f"], gates["g"], old, hidden)
    return reveal(gates["o"], cell, old), cell


def _dealt_out(x: Tensor, state: tuple[Tensor, Tensor], W: Tensor, U: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    W, U, b = (part.unflatten(0, (-1, 4)).transpose(0, 1).flatten(0, 1) for part in (W, U, b))
    return _step(x, state, W, U, b)


LSTM_STEP = Exercise(
    id="01.4",
    minutes=10,
    difficulty=3,
    importance=2,
    reference=lstm_step,
    oracle=_oracle,
    cases=_cases,
    explain=_explain,
    battery=Battery(beyond=_beyond),
    misconceptions={
        "output gate third": Say(
            "It looks as if the third quarter is taken for the output gate and the fourth for the candidate. The "
            "order here, and PyTorch's, is input, forget, candidate, output."
        ).to(_step, order="ifog"),
        "forget gate first": Say(
            "It looks as if the first quarter is taken for the forget gate and the second for the input gate. The "
            "order here, and PyTorch's, is input, forget, candidate, output."
        ).to(_step, order="figo"),
        "forget gate upside down": Say(
            "The forget gate works the wrong way round. Despite its name it decides how much is *kept*: 1 keeps all, "
            "0 wipes out."
        ).to(_step, keep=lambda i, f, g, c, h: (1 - f.sigmoid()) * c + i.sigmoid() * g.tanh()),
        "nothing forgotten": Say(
            "The whole old cell is kept; the forget gate is not used. The LSTM of 1997 was like that: its cells had "
            "no way to empty themselves."
        ).to(_step, keep=lambda i, f, g, c, h: c + i.sigmoid() * g.tanh()),
        "kept part from the input gate": Say(
            "What is kept is one minus the input gate. The GRU, a relative of the LSTM, does that; here the forget "
            "gate decides on its own."
        ).to(_step, keep=lambda i, f, g, c, h: (1 - i.sigmoid()) * c + i.sigmoid() * g.tanh()),
        "written part from the forget gate": Say(
            "What is written is weighed with one minus the forget gate. Some LSTMs do that; here the input gate "
            "decides on its own."
        ).to(_step, keep=lambda i, f, g, c, h: f.sigmoid() * c + (1 - f.sigmoid()) * g.tanh()),
        "dealt out in turn": Say(
            "The sums are dealt out like cards: every fourth number belongs to one gate. Each gate has a "
            "quarter of them that lies together."
        ).to(_dealt_out),
        "everything let in": Say("The whole candidate is added: the input gate is not used.").to(
            _step, keep=lambda i, f, g, c, h: f.sigmoid() * c + g.tanh()
        ),
        "gates through a tanh": Say(
            "The gates go through a tanh, so that they can be negative. A gate is a fraction between 0 and 1: which "
            "function makes one of any number?"
        ).to(
            _step,
            keep=lambda i, f, g, c, h: f.tanh() * c + i.tanh() * g.tanh(),
            reveal=lambda o, c, old: o.tanh() * c.tanh(),
        ),
        "candidate through a sigmoid": Say(
            "The candidate goes through a sigmoid, so it can only add to a cell and never take away. Gates are "
            "between 0 and 1, what is written is between -1 and 1."
        ).to(_step, keep=lambda i, f, g, c, h: f.sigmoid() * c + i.sigmoid() * g.sigmoid()),
        "gates not squashed": Say(
            "The gates are used as they come out of the sum. A gate is a fraction between 0 and 1: which function "
            "makes one of any number?"
        ).to(_step, keep=lambda i, f, g, c, h: f * c + i * g.tanh(), reveal=lambda o, c, old: o * c.tanh()),
        "nothing squashed": Say(
            "The four quarters are used as they come out of the sum. Gates are fractions between 0 and 1, the "
            "candidate is between -1 and 1: each needs its own function."
        ).to(_step, keep=lambda i, f, g, c, h: f * c + i * g, reveal=lambda o, c, old: o * c.tanh()),
        "candidate not squashed": Say(
            "The candidate is written as it comes out of the sum. What is written is between -1 and 1."
        ).to(_step, keep=lambda i, f, g, c, h: f.sigmoid() * c + i.sigmoid() * g),
        "bias left out": Say(
            "The bias is missing from the sums. The bias lets a gate be open before anything is learned."
        ).to(lambda x, state, W, U, b: _step(x, state, W, U, 0 * b)),
        "hidden state ignored": Say(
            "The sums do not depend on the hidden state: no gate knows what was read before."
        ).to(lambda x, state, W, U, b: _step(x, state, W, 0 * U, b)),
        "cell in the sums": Say(
            "The recurrent weights are applied to the cell. The gates look at the *hidden state*; no matrix touches "
            "the cell."
        ).to(lambda x, state, W, U, b: _step(x, (state[1], state[1]), W, U, b)),
        "sum squashed before it is cut": Say(
            "The sum goes through a tanh before it is split, as in the plain cell. Here each quarter has its own "
            "function, and only the candidate's is tanh."
        ).to(_step, squash=torch.tanh),
        "hidden state kept": Say(
            "The forget gate is applied to the hidden state. It is the *cell* that is carried from step to step; the "
            "hidden state is the part of it that is shown."
        ).to(_step, keep=lambda i, f, g, c, h: f.sigmoid() * h + i.sigmoid() * g.tanh()),
        "cell squashed for good": Say(
            "The tanh is kept in the cell itself, so every step squashes what is remembered once more. The cell "
            "exists to avoid exactly that. Squash only what is shown."
        ).to(
            _step,
            keep=lambda i, f, g, c, h: torch.tanh(f.sigmoid() * c + i.sigmoid() * g.tanh()),
            reveal=lambda o, c, old: o.sigmoid() * c,
        ),
        "cell shown as it is": Say(
            "The cell is right, but its output is not squashed. What leaves the cell goes through a tanh before the "
            "output gate."
        ).to(_step, reveal=lambda o, c, old: o.sigmoid() * c),
        "old cell shown": Say(
            "The hidden state shows the *old* cell. What was just read would be seen one step late."
        ).to(_step, reveal=lambda o, c, old: o.sigmoid() * old.tanh()),
        "cell returned first": Say(
            "The two come back in the wrong order: hidden state first, then the cell, as they came in."
        ).to(lambda x, state, W, U, b: _step(x, state, W, U, b)[::-1]),
        "state unpacked in the wrong order": Say(
            "The incoming state is unpacked in the wrong order: it is (hidden state, cell)."
        ).to(lambda x, state, W, U, b: _step(x, state[::-1], W, U, b)),
    },
    hints=(
        "Unpack the state, compute all four gates with one sum (as in `rnn_step`, without the tanh), split it into "
        "four, and follow the two formulas.",
        "`.chunk(4, dim=-1)` splits the sum into input, forget, candidate and output. The candidate goes through "
        "tanh, the other three through a sigmoid.",
        "`cell = forget_gate.sigmoid() * cell + input_gate.sigmoid() * candidate.tanh()`; the hidden state is the "
        "output gate's fraction of `cell.tanh()`. Return both, hidden state first.",
    ),
)
