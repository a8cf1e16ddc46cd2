"""Exercise 13.5, ``mixture_loss``: its cases, and what learners get wrong."""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from gemini_workshop.data.batches.batch import IGNORE_INDEX
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Say
from gemini_workshop.exercises.core.tools import drawing
from gemini_workshop.exercises.lesson_08.expert_load import EXPERT_LOAD
from gemini_workshop.exercises.lesson_08.load_balancing_loss import LOAD_BALANCING_LOSS
from gemini_workshop.exercises.lesson_08.router_z_loss import ROUTER_Z_LOSS
from gemini_workshop.exercises.lesson_08.tools import drawn_choices
from gemini_workshop.exercises.lesson_11.cross_entropy import CROSS_ENTROPY
from gemini_workshop.training.plain_mixture import mixture_loss

Routings = Sequence[tuple[Tensor, Tensor]]


def _case(
    generator: torch.Generator, B: int, T: int, V: int, layers: int, E: int, A: int, *weights: float, idle: int = 0
) -> Arguments:
    draw = drawing(generator, 2.0)
    targets = torch.randint(1, V, (B, T), generator=generator)
    targets[torch.rand(B, T, generator=generator) < 0.5] = IGNORE_INDEX
    targets[0, :2], targets[-1, -1] = torch.tensor([0, IGNORE_INDEX]), 1
    routings = [(draw(B * T, E), drawn_choices(generator, B * T, E - idle, A)) for _ in range(layers)]
    return draw(B, T, V), targets, routings, *weights


def _cases(generator: torch.Generator) -> list[Arguments]:
    return [
        _case(generator, 2, 4, 7, 1, 3, 1, 0.0, 0.0),
        _case(generator, 1, 5, 7, 1, 4, 2, 1.0, 0.0),
        _case(generator, 2, 5, 6, 3, 4, 2, 0.0, 0.5),
        _case(generator, 3, 4, 9, 2, 5, 2, 0.25, 0.1, idle=1),
        _case(generator, 2, 6, 5, 4, 3, 1, 0.5, 0.02),
    ]


def _oracle(logits: Tensor, targets: Tensor, routings: Routings, balance_weight: float, z_weight: float) -> Tensor:
    """Number by number."""
    losses = [
        -math.log(row.double().softmax(-1)[target])
        for row, target in zip(logits.flatten(0, 1), targets.flatten().tolist(), strict=True)
        if target != IGNORE_INDEX
    ]
    extra = []
    for scores, experts in routings:
        E, rows = scores.shape[1], [row.double() for row in scores]
        load = [experts.flatten().tolist().count(e) / experts.numel() for e in range(E)]
        mean = [sum(float(row.softmax(-1)[e]) for row in rows) / len(rows) for e in range(E)]
        z = sum(math.log(sum(math.exp(float(score)) for score in row)) ** 2 for row in rows) / len(rows)
        extra.append(balance_weight * E * sum(f * p for f, p in zip(load, mean, strict=True)) + z_weight * z)
    return torch.tensor(sum(losses) / len(losses) + sum(extra) / len(extra))


def _explain(function: Function, case: Arguments) -> str | None:
    got, needed = function(*case), _oracle(*case)
    _, targets, routings, balance, z = case
    count = int((targets != IGNORE_INDEX).sum())
    layers = f"{len(routings)} layer{'s' if len(routings) > 1 else ''}"
    return (
        f"{count} of {targets.numel()} places have a target, {layers} with experts, balance_weight={balance:g}, "
        f"z_weight={z:g}: the loss is {float(got):.4f}; {float(needed):.4f} is needed."
    )


def _answers(logits: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORE_INDEX)


def _balance(scores: Tensor, experts: Tensor) -> Tensor:
    load = F.one_hot(experts.flatten(), scores.shape[-1]).to(scores.dtype).mean(0)
    return scores.shape[-1] * load @ scores.softmax(-1).mean(0)


def _z(scores: Tensor) -> Tensor:
    return scores.logsumexp(-1).square().mean()


def _loss(
    logits: Tensor,
    targets: Tensor,
    routings: Routings,
    balance_weight: float,
    z_weight: float,
    *,
    answers: Callable[[Tensor, Tensor], Tensor] = _answers,
    balance: Callable[[Tensor, Tensor], Tensor] = _balance,
    z: Callable[[Tensor], Tensor] = _z,
    over_layers: Callable[[Tensor], Tensor] = torch.mean,
    used: Callable[[Routings], Routings] = lambda routings: routings,
    weights: Callable[[float, float], tuple[float, float]] = lambda balance, z: (balance, z),
    join: Callable[[Tensor, Tensor], Tensor] = lambda answers, extra: answers + extra,
) -> Tensor:
    """Right but for the steps."""
    w, u = weights(balance_weight, z_weight)
    extra = [w * balance(scores, experts) + u * z(scores) for scores, experts in used(routings)]
    return join(answers(logits, targets), over_layers(torch.stack(extra)))


def _pooled(routings: Routings) -> Routings:
    return [(torch.cat([scores for scores, _ in routings]), torch.cat([experts for _, experts in routings]))]


def _everywhere(logits: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(logits.flatten(0, 1), targets.clamp(min=0).flatten())


def _over_all_places(logits: Tensor, targets: Tensor) -> Tensor:
    total = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORE_INDEX, reduction="sum")
    return total / targets.numel()


def _row_by_row(logits: Tensor, targets: Tensor) -> Tensor:
    pairs = zip(logits, targets, strict=True)
    losses = [F.cross_entropy(*pair, ignore_index=IGNORE_INDEX) for pair in pairs if (pair[1] >= 0).any()]
    return torch.stack(losses).mean()


MIXTURE_LOSS = Exercise(
    id="13.5",
    minutes=10,
    difficulty=3,
    importance=5,
    reference=mixture_loss,
    oracle=_oracle,
    cases=_cases,
    explain=_explain,
    misconceptions={
        "places without a target count": Say(
            "Places without a target (-100) count as if token 0 were right there: the model is asked to predict its "
            "questions, images and padding. Leave them out."
        ).to(_loss, answers=_everywhere),
        "divided by all places": Say(
            "The loss is divided by the number of all places. Only those with a target count: otherwise a row of "
            "images weighs next to nothing."
        ).to(_loss, answers=_over_all_places),
        "mean of the rows' means": Say(
            "Each row is averaged by itself, and then the rows. A token in a row of few answers then counts more than "
            "one in a row of many: one mean over all targets is needed."
        ).to(_loss, answers=_row_by_row),
        "targets shifted again": Say(
            "The targets are moved one place. They are the next tokens already: place t of the logits belongs to place "
            "t of the targets."
        ).to(_loss, answers=lambda logits, targets: _answers(logits[:, :-1], targets[:, 1:])),
        "sum instead of mean": Say("The losses of the targets are added up. Their mean is needed.").to(
            _loss,
            answers=lambda logits, targets: F.cross_entropy(
                logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORE_INDEX, reduction="sum"
            ),
        ),
        "layers added up": Say(
            "The routers' losses are added up over the layers. Their mean is needed, so that the weights mean the same "
            "in a deeper model."
        ).to(_loss, over_layers=torch.sum),
        "layers pooled": Say(
            "The tokens of all layers are put together, and balance is judged once. Layer by layer is needed: two "
            "layers that collapse on different experts would look even together."
        ).to(_loss, used=_pooled),
        "first layer only": Say("Only the first layer's router counts. All of them do.").to(
            _loss, used=lambda routings: routings[:1]
        ),
        "last layer only": Say("Only the last layer's router counts. All of them do.").to(
            _loss, used=lambda routings: routings[-1:]
        ),
        "no losses of the routers": Say(
            "Only the answers count. Without the losses of the routers, a few experts get all the tokens (lesson 08)."
        ).to(_loss, join=lambda answers, extra: answers),
        "no loss of the answers": Say("Only the routers count. The loss of the answers is missing.").to(
            _loss, join=lambda answers, extra: extra
        ),
        "no weights": Say("`balance_weight` and `z_weight` are not used.").to(
            _loss, weights=lambda balance, z: (1.0, 1.0)
        ),
        "weights swapped": Say("`balance_weight` and `z_weight` are swapped.").to(
            _loss, weights=lambda balance, z: (z, balance)
        ),
        "no z-loss": Say("The z-loss is missing: the routers' scores may grow without bounds.").to(
            _loss, weights=lambda balance, z: (balance, 0.0)
        ),
        "no balance": Say("The load-balancing loss is missing: nothing keeps one expert from getting everything.").to(
            _loss, weights=lambda balance, z: (0.0, z)
        ),
        "scores for probabilities": Say(
            "The load-balancing loss is given raw scores. It needs probabilities: a softmax over the experts."
        ).to(
            _loss,
            balance=lambda scores, experts: (
                scores.shape[-1]
                * F.one_hot(experts.flatten(), scores.shape[-1]).to(scores.dtype).mean(0)
                @ scores.mean(0)
            ),
        ),
        "z-loss of probabilities": Say(
            "The z-loss is given probabilities. It is about the size of the raw scores; probabilities have always the "
            "same."
        ).to(_loss, z=lambda scores: _z(scores.softmax(-1))),
        "counts for the load": Say(
            "The load counts tokens. It is the *fraction* of the choices that falls on each expert: `expert_load`."
        ).to(_loss, balance=lambda scores, experts: experts.numel() * _balance(scores, experts)),
        "first choices only": Say("The load counts first choices only. All choices of a token count.").to(
            _loss, balance=lambda scores, experts: _balance(scores, experts[:, :1])
        ),
    },
    parts=(EXPERT_LOAD, LOAD_BALANCING_LOSS, ROUTER_Z_LOSS, CROSS_ENTROPY),
    hints=(
        "Three losses of lessons 08 and 11 are all you need. Which of them is asked about the whole batch, and which "
        "layer by layer?",
        "For each layer: the load of its choices, `load_balancing_loss` of its *probabilities* and that load, "
        "`router_z_loss` of its scores; weigh and add. Then the mean over the layers, plus `cross_entropy`.",
        "`load = expert_load(experts, scores.shape[-1])`; `balance_weight * load_balancing_loss(scores.softmax(-1), "
        "load) + z_weight * router_z_loss(scores)` for each layer; `torch.stack(...).mean()` of them.",
    ),
)
