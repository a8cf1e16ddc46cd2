"""The loss-curve clinic: one small run that is healthy, and eight that each have one bug that people really write.

Nothing raises an error in any of them. What gives a bug away is the curve: where it begins (a model that knows nothing
pays log V), where it ends, how smooth it is, and how far training and validation are apart.

The text is stories, and after them sums such as ``27+5=32``; a character is a token.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from gemini_workshop.data.batches.batch import IGNORE_INDEX
from gemini_workshop.models.plain_transformer import PlainTransformer, initialize
from gemini_workshop.training.losses import cross_entropy, token_losses

ROWS, CONTEXT, WIDTH, STEPS = 16, 32, 32, 120
MEASURE_EVERY = 10
RATE = 5e-3

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClinicRun:
    """The curves of a run: the loss that it trained on at every step, and its validation loss, always measured right.

    Attributes:
        validation: at step 0 and after every ``MEASURE_EVERY`` steps.
        vocab_size: the number of characters, V: who knows nothing pays log V.
    """

    training: tuple[float, ...]
    validation: tuple[float, ...]
    vocab_size: int


def _ones(num_tokens: int) -> Bool[Tensor, "T T"]:
    return torch.ones(num_tokens, num_tokens, dtype=torch.bool)


class _LeakyTransformer(PlainTransformer):
    """A window of two tokens, to the wrong side: each token and the *next* one."""

    def forward(self, token_ids: Int[Tensor, "B T"]) -> Float[Tensor, "B T V"]:
        x = self.embedding(token_ids) + self.position_embedding(torch.arange(token_ids.shape[1]))
        mask = _ones(x.shape[1]).triu() & _ones(x.shape[1]).tril(1)
        for block in self.blocks:
            x = block(x, mask)
        return self.norm(x) @ self.embedding.weight.T


class _FrozenHead(PlainTransformer):
    """A head that was tied once, and is now a copy of other weights that no optimizer knows."""

    head: Tensor

    def forward(self, token_ids: Int[Tensor, "B T"]) -> Float[Tensor, "B T V"]:
        x = self.embedding(token_ids) + self.position_embedding(torch.arange(token_ids.shape[1]))
        mask = _ones(x.shape[1]).tril()
        for block in self.blocks:
            x = block(x, mask)
        return self.norm(x) @ self.head.T


class _DeadUnits(PlainTransformer):
    """A layer with ReLU before the head, whose units have all been pushed below zero."""

    def __init__(self, vocab_size: int, context: int, width: int, layers: int, heads: int, ffn_dim: int) -> None:
        super().__init__(vocab_size, context, width, layers, heads, ffn_dim)
        self.units, self.out = nn.Linear(width, width), nn.Linear(width, vocab_size)
        nn.init.constant_(self.units.bias, -20.0)
        nn.init.zeros_(self.out.bias)

    def forward(self, token_ids: Int[Tensor, "B T"]) -> Float[Tensor, "B T V"]:
        x = self.embedding(token_ids) + self.position_embedding(torch.arange(token_ids.shape[1]))
        for block in self.blocks:
            x = block(x, _ones(x.shape[1]).tril())
        return self.out(self.units(self.norm(x)).relu())


def _right(logits: Tensor, _: Tensor, targets: Tensor) -> Tensor:
    return cross_entropy(logits, targets)


def _not_shifted(logits: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
    return cross_entropy(logits, inputs.where(targets != IGNORE_INDEX, IGNORE_INDEX))


def _softmax_twice(logits: Tensor, _: Tensor, targets: Tensor) -> Tensor:
    return cross_entropy(logits.softmax(-1), targets)


def _mean_over_padding(logits: Tensor, _: Tensor, targets: Tensor) -> Tensor:
    return token_losses(logits, targets).mean()


BUGS: dict[str, dict[str, Any]] = {
    "wrong shift": {"loss": _not_shifted},
    "leaking mask": {"kind": _LeakyTransformer},
    "no shuffle": {"is_shuffled": False},
    "rate too high": {"rate": 40 * RATE},
    "dead units": {"kind": _DeadUnits},
    "softmax twice": {"loss": _softmax_twice},
    "untied head": {"kind": _FrozenHead},
    "wrong mean": {"loss": _mean_over_padding},
}
"""What differs from a healthy run."""


def clinic_run(bug: str | None, stories: Sequence[str], seed: int = 0) -> ClinicRun:
    """Train the small model with one of :data:`BUGS`, or with none."""
    return _train(_text(stories), torch.Generator().manual_seed(seed), **(BUGS[bug] if bug else {}))


def _text(stories: Sequence[str]) -> Int[Tensor, " N"]:
    """Two thirds stories, one third sums, as numbers of characters; enough for all steps of a run, and some more."""
    size = (STEPS + 4) * ROWS * (CONTEXT + 1)
    sums = "".join(f"{a}+{b}={a + b}\n" for a in range(100) for b in range(100))
    text = "\n".join(stories)[: 2 * size // 3] + sums[: size // 3]
    number = {character: i for i, character in enumerate(sorted(set(text)))}
    return torch.tensor([number[character] for character in text])


def _train(
    text: Int[Tensor, " N"],
    generator: torch.Generator,
    *,
    kind: type[PlainTransformer] = PlainTransformer,
    loss: Loss = _right,
    rate: float = RATE,
    is_shuffled: bool = True,
) -> ClinicRun:
    rows, validation = _batches(text, generator, is_shuffled=is_shuffled)
    model = _model(kind, int(text.max()) + 1, generator)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.9, 0.95))
    training, measured = [], [_measure(model, *validation)]
    for step, (inputs, targets) in enumerate(rows, 1):
        nats = loss(model(inputs), inputs, targets)
        optimizer.zero_grad()
        nats.backward()
        optimizer.step()
        training.append(nats.item())
        if step % MEASURE_EVERY == 0:
            measured.append(_measure(model, *validation))
    return ClinicRun(training=tuple(training), validation=tuple(measured), vocab_size=int(text.max()) + 1)


def _model(kind: type[PlainTransformer], vocab_size: int, generator: torch.Generator) -> PlainTransformer:
    model = kind(vocab_size, CONTEXT, WIDTH, 2, 4, 2 * WIDTH)
    biases = {name: weight.detach().clone() for name, weight in model.named_parameters() if name.endswith("bias")}
    initialize(model, generator)
    with torch.no_grad():
        for name, bias in biases.items():
            model.get_parameter(name).copy_(bias)
    if isinstance(model, _FrozenHead):
        model.head = torch.randn(vocab_size, WIDTH, generator=generator)
    return model


def _batches(text: Tensor, generator: torch.Generator, *, is_shuffled: bool) -> tuple[list[Any], Any]:
    """The batches of a run, and one for validation of rows from everywhere; rows end at different places."""
    rows = text.unfold(0, CONTEXT + 1, CONTEXT + 1)
    every = len(rows) // (4 * ROWS)
    held_out = torch.zeros(len(rows), dtype=torch.bool)
    held_out[every // 2 :: every] = True
    seen = rows[~held_out]
    order = torch.randperm(len(seen), generator=generator) if is_shuffled else torch.arange(len(seen))
    batches = [_padded(seen[part], generator) for part in order.split(ROWS)[:STEPS]]
    return batches, _padded(rows[held_out], generator)


def _padded(rows: Int[Tensor, "B N"], generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Inputs, and targets of which those after a random length do not count."""
    lengths = torch.randint(4, CONTEXT + 1, (len(rows), 1), generator=generator)
    return rows[:, :-1], rows[:, 1:].where(torch.arange(CONTEXT) < lengths, IGNORE_INDEX)


@torch.no_grad()
def _measure(model: PlainTransformer, inputs: Tensor, targets: Tensor) -> float:
    return cross_entropy(model(inputs), targets).item()


_ROOMS = {
    "A": "dead units",
    "B": "wrong shift",
    "C": "untied head",
    "D": "wrong mean",
    "E": "no shuffle",
    "F": "softmax twice",
    "G": "leaking mask",
    "H": "rate too high",
}


def patient(letter: str, stories: Sequence[str], seed: int = 0) -> ClinicRun:
    """The run behind a letter, without its diagnosis."""
    return clinic_run(_ROOMS[letter], stories, seed)


def diagnose(run: str) -> str:
    """What is wrong with a run of the clinic.

    Args:
        run: its letter, "A" to "H".
    """
    return _ROOMS[run]
