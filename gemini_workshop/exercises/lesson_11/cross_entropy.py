"""Exercise 11.2, ``cross_entropy``: its cases, and what learners get wrong."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from gemini_workshop.data.batches.batch import IGNORE_INDEX
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Say
from gemini_workshop.exercises.core.tools import drawing
from gemini_workshop.training.losses import cross_entropy


def _cases(generator: torch.Generator) -> list[Arguments]:
    draw = drawing(generator, 2.0)
    targets = torch.randint(7, (3, 5), generator=generator)
    some = targets.masked_fill(torch.rand(3, 5, generator=generator) < 0.4, IGNORE_INDEX)
    some[0, 0], some[1] = IGNORE_INDEX, torch.tensor([2, 2, IGNORE_INDEX, 6, 0])
    zeros = torch.tensor([[0, 1, 4, 0], [3, 0, 0, 2]])
    return [
        (torch.tensor([[0.0, math.log(3.0)]]), torch.tensor([1])),
        (torch.tensor([[2.0, -1.0, 0.5], [0.3, 0.1, -2.0]]), torch.tensor([2, 0])),
        (torch.tensor([[1000.0, 1001.0, 0.0], [-1000.0, 0.0, -1001.0]]), torch.tensor([0, 2])),
        (torch.tensor([[150.0, 0.0, -3.0], [0.5, 1.0, 2.0], [0.0, 150.0, 1.0]]), torch.tensor([0, 2, 1])),
        (draw(3, 5, 7), targets),
        (draw(3, 5, 7), some),
        (draw(2, 4, 5), zeros, 0),
    ]


def _oracle(logits: Tensor, targets: Tensor, ignore_index: int = IGNORE_INDEX) -> Tensor:
    losses = [
        math.log(sum(math.exp(value - max(row)) for value in row)) + max(row) - row[target]
        for row, target in zip(logits.double().flatten(0, -2).tolist(), targets.flatten().tolist(), strict=True)
        if target != ignore_index
    ]
    return torch.tensor(sum(losses) / len(losses))


def _explain(function: Function, case: Arguments) -> str | None:
    logits, targets, *ignore = case
    got, needed = float(function(*case)), float(_oracle(*case))
    if logits.ndim == 2:
        what = f"Logits {[[round(value, 3) for value in row] for row in logits.tolist()]}, targets {targets.tolist()}"
    else:
        skipped = ignore[0] if ignore else IGNORE_INDEX
        count = int((targets == skipped).sum())
        what = f"Logits {tuple(logits.shape)}, {count} of {targets.numel()} targets are {skipped} and do not count"
    return f"{what}: the loss is {got:.4g}; {needed:.4g} is needed."


def _plain(logits: Tensor, targets: Tensor, ignore_index: int = IGNORE_INDEX) -> Tensor:
    counts = targets != ignore_index
    chosen = logits.gather(-1, targets.where(counts, 0).unsqueeze(-1)).squeeze(-1)
    losses = logits.logsumexp(-1) - chosen
    return (losses * counts).sum() / counts.sum()


Step = Callable[[Tensor], Tensor]


def _loss(
    logits: Tensor,
    targets: Tensor,
    ignore_index: int = IGNORE_INDEX,
    *,
    log_probabilities: Step = lambda logits: logits.log_softmax(-1),
    each: Step = lambda chosen: -chosen,
    ignored: Callable[[Tensor, int], Tensor] = lambda targets, index: targets == index,
    mean: Callable[[Tensor, Tensor], Tensor] = lambda losses, counts: losses.sum() / counts.sum(),
) -> Tensor:
    """Right but for the steps."""
    counts = ~ignored(targets, ignore_index)
    inside = targets.where(counts & (targets >= 0), 0)
    chosen = log_probabilities(logits).gather(-1, inside.unsqueeze(-1)).squeeze(-1)
    return mean(each(chosen) * counts, counts)


def _mean_of_rows(losses: Tensor, counts: Tensor) -> Tensor:
    return (losses.sum(-1) / counts.sum(-1).clamp(min=1)).mean()


def _smoothed(logits: Tensor, targets: Tensor, ignore_index: int = IGNORE_INDEX) -> Tensor:
    flat = logits.flatten(0, -2), targets.flatten()
    return torch.nn.functional.cross_entropy(*flat, ignore_index=ignore_index, label_smoothing=0.1)


CROSS_ENTROPY = Exercise(
    id="11.2",
    minutes=8,
    difficulty=2,
    importance=5,
    reference=cross_entropy,
    oracle=_oracle,
    cases=_cases,
    explain=_explain,
    plain=_plain,
    misconceptions={
        "softmax overflows": Say(
            "exp(1000) does not fit into a float. Subtract the largest logit first, or use `logsumexp`, which does."
        ).to(_loss, log_probabilities=lambda logits: (logits.exp() / logits.exp().sum(-1, keepdim=True)).log()),
        "log of softmax": Say(
            "A probability of exp(-1001) is 0 in floating point, and log(0) is minus infinity. Do not pass through the "
            "probability: log p is the logit minus `logsumexp` of all logits."
        ).to(_loss, log_probabilities=lambda logits: logits.softmax(-1).log()),
        "log of softmax, eps added": Say(
            "A tiny number is added before the logarithm, so that very improbable targets all cost the same, and "
            "nothing is learned from them. log p is the logit minus `logsumexp` of all logits; that needs no help."
        ).to(_loss, log_probabilities=lambda logits: (logits.softmax(-1) + 1e-9).log()),
        "softmax twice": Say(
            "Softmax is applied twice: its results are taken for logits. They lie between 0 and 1, so the loss can "
            "hardly fall. PyTorch's cross_entropy, too, expects logits."
        ).to(_loss, log_probabilities=lambda logits: logits.softmax(-1).log_softmax(-1)),
        "logits not normalized": Say(
            "The target's logit is taken for log p. A logit is a log-probability only after `logsumexp` of all logits "
            "has been subtracted; without that the loss could fall forever."
        ).to(_loss, log_probabilities=lambda logits: logits),
        "largest logit": Say(
            "The largest logit is taken for the logarithm of the sum. They are close only where one logit is far above "
            "the others: `logsumexp` adds up all of them."
        ).to(_loss, log_probabilities=lambda logits: logits - logits.amax(-1, keepdim=True)),
        "token 0 not counted": Say(
            "Targets of 0 are left out as if they were padding. Token 0 is a token like any other; only `ignore_index` "
            "does not count."
        ).to(_loss, ignored=lambda targets, index: targets <= 0),
        "sign": Say(
            "The sign is missing: log p is negative, and -log p is the loss. Training would make the right tokens less "
            "likely."
        ).to(_loss, each=lambda chosen: chosen),
        "sum": Say(
            "The losses are added up. Take their mean over the targets that count, so that the loss of a long batch "
            "can be compared with that of a short one."
        ).to(_loss, mean=lambda losses, counts: losses.sum()),
        "mean over ignored targets too": Say(
            "The sum is divided by the number of all targets, ignored ones included. The more padding there is, the "
            "smaller the loss looks. Divide by the number of targets that count."
        ).to(_loss, mean=lambda losses, counts: losses.mean()),
        "mean of the rows' means": Say(
            "Each row's mean is taken first, then the mean of those. So a token in a row with few targets weighs more "
            "than one in a full row. Divide the sum of all by the number of all."
        ).to(_loss, mean=_mean_of_rows),
        "ignored targets counted as token 0": Say(
            "Targets that should be ignored are counted as if token 0 were the right answer."
        ).to(_loss, ignored=lambda targets, index: torch.zeros_like(targets, dtype=torch.bool)),
        "ignore_index is not used": Say("Only -100 is ignored. `ignore_index` may be another number: here it is 0.").to(
            _loss, ignored=lambda targets, index: targets == IGNORE_INDEX
        ),
        "bits": Say("This is in bits: the logarithm is to base 2. Nats, with the natural logarithm, are needed.").to(
            _loss, each=lambda chosen: -chosen / math.log(2)
        ),
        "probability instead of its logarithm": Say(
            "This is 1 - p on average. It hardly punishes a model that was sure and wrong: p = 0.01 and p = 0.0001 "
            "cost nearly the same. The loss is -log p."
        ).to(_loss, each=lambda chosen: 1 - chosen.exp()),
        "log of the mean probability": Say(
            "The logarithm is taken of the mean probability. Take it for each target, then the mean: a text's "
            "probability is a product, and its logarithm a sum."
        ).to(
            _loss,
            each=lambda chosen: chosen.exp(),
            mean=lambda losses, counts: -(losses.sum() / counts.sum()).log(),
        ),
        "perplexity": Say("This is the perplexity, exp of the loss. Leave the last exp out.").to(
            _loss, mean=lambda losses, counts: (losses.sum() / counts.sum()).exp()
        ),
        "sum over the last axis, mean over rows": Say(
            "The losses of a row are added up, and the mean is taken over rows. A longer text would then count as a "
            "harder one."
        ).to(_loss, mean=lambda losses, counts: losses.sum() / losses.shape[0]),
        "label smoothing": Say(
            "A part of each target's probability is spread over all tokens (label smoothing). Then even a perfect "
            "model pays. Leave it off."
        ).to(_smoothed),
    },
    hints=(
        "By hand: logits (0, ln 3) are probabilities (1/4, 3/4). If the target is token 1, the loss is -ln(3/4).",
        "log p(target) is the target's logit minus `logits.logsumexp(-1)`. `gather` picks the target's logit, once "
        "ignored targets have been replaced by a valid id, such as 0. Then leave their losses out of the sum.",
        "`chosen = logits.gather(-1, targets.where(counts, 0).unsqueeze(-1)).squeeze(-1)`, and the sum of "
        "`(logits.logsumexp(-1) - chosen) * counts` over `counts.sum()`, where `counts = targets != ignore_index`.",
    ),
)
