"""Exercise 08.2, ``moe_forward``: its cases, and what learners get wrong."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from gemini_workshop.exercises.core.comparison import same
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Invariant, Say
from gemini_workshop.exercises.core.tools import drawing, vector
from gemini_workshop.exercises.lesson_08.tools import drawn_choices, drawn_experts
from gemini_workshop.models.plain_moe import moe_forward

Layer = Callable[[Tensor], Tensor]
Layers = Sequence[Layer]


def _cases(generator: torch.Generator) -> list[Arguments]:
    draw = drawing(generator)

    def case(N: int, D: int, E: int, A: int) -> Arguments:
        weights = draw(N, A).softmax(-1)
        return draw(N, D), drawn_choices(generator, N, E, A), weights, drawn_experts(generator, E, D)

    x, experts, weights, layers = case(5, 3, 4, 2)
    some_dropped = weights * torch.tensor([[1, 1], [0, 1], [1, 0], [0, 0], [1, 1]])
    one_for_all = torch.full((6, 1), 1)
    return [
        case(2, 3, 4, 1),
        case(3, 2, 4, 2),
        (x, experts, some_dropped, layers),
        (draw(6, 2), one_for_all, draw(6, 1).abs(), drawn_experts(generator, 3, 2)),
        case(4, 5, 6, 3),
        case(9, 4, 3, 2),
    ]


def _oracle(x: Tensor, experts: Tensor, weights: Tensor, layers: Layers) -> Tensor:
    """Token by token, choice by choice, in float64."""
    rows = []
    for token, chosen, scales in zip(x.double(), experts.tolist(), weights.tolist(), strict=True):
        answers = [scale * layers[e](token[None])[0] for e, scale in zip(chosen, scales, strict=True)]
        rows.append(torch.stack(answers).sum(0))
    return torch.stack(rows)


def _explain(function: Function, case: Arguments) -> str | None:
    got, expected = function(*case), _oracle(*case)
    for n, (row, needed) in enumerate(zip(got, expected, strict=True)):
        if not same(row, needed):
            goes = f"It goes to experts {case[1][n].tolist()} with weights {vector(case[2][n])}."
            return f"Token {n} became {vector(row)}; {vector(needed)} is needed. {goes}"
    return None


def _computes_what_nobody_chose(function: Function) -> str | None:
    x, experts, weights, layers = _cases(torch.Generator().manual_seed(1))[-2]
    for layer in layers:
        layer.rows = 0
    function(x, experts, weights, layers)
    for e, layer in enumerate(layers):
        chosen = int((experts == e).sum())
        if layer.rows > chosen:
            return (
                f"Expert {e} was given {layer.rows} rows, and {chosen} of the {len(x)} tokens chose it. A layer of "
                "experts pays off because each expert computes its own tokens and no others, once."
            )
    return None


def _by_expert(
    x: Tensor,
    experts: Tensor,
    weights: Tensor,
    layers: Layers,
    *,
    token_of: Callable[[Tensor, Tensor], Tensor] = lambda choices, experts: choices // experts.shape[1],
    scale: Callable[[Tensor, Tensor], Tensor] = lambda weights, order: weights.flatten()[order],
    answer: Callable[[Layer, Tensor, Tensor], Tensor] = lambda layer, rows, scales: scales * layer(rows),
    add: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda output, tokens, rows: output.index_add(0, tokens, rows),
    finish: Callable[[Tensor, Tensor], Tensor] = lambda output, x: output,
) -> Tensor:
    """Right but for the steps: whose row a choice is, its weight, an expert's answer, and how it is added."""
    order = experts.flatten().argsort(stable=True)
    tokens, scales, in_order = token_of(order, experts), scale(weights, order), experts.flatten()[order]
    output = torch.zeros_like(x)
    for e, layer in enumerate(layers):
        own = in_order == e
        if own.any():
            output = add(output, tokens[own], answer(layer, x[tokens[own]], scales[own, None]))
    return finish(output, x)


def _overwritten(output: Tensor, tokens: Tensor, rows: Tensor) -> Tensor:
    output[tokens] = rows
    return output


def _left_in_order_of_experts(x: Tensor, experts: Tensor, weights: Tensor, layers: Layers) -> Tensor:
    """The answers are never put back: the first rows of the result are those of expert 0."""
    flat, A = experts.flatten(), experts.shape[1]
    order = flat.argsort(stable=True).tolist()
    answers = [weights.flatten()[i] * layers[int(flat[i])](x[i // A][None])[0] for i in order]
    return torch.stack(answers).view(*experts.shape, -1).sum(1)


def _by_place(x: Tensor, experts: Tensor, weights: Tensor, layers: Layers) -> Tensor:
    places = torch.arange(experts.shape[1]).expand(experts.shape)
    return _by_expert(x, places, weights, layers)


def _all_experts(x: Tensor, experts: Tensor, weights: Tensor, layers: Layers) -> Tensor:
    return torch.stack([layer(x) for layer in layers]).mean(0)


MOE_FORWARD = Exercise(
    id="08.2",
    minutes=15,
    difficulty=4,
    importance=5,
    reference=moe_forward,
    oracle=_oracle,
    cases=_cases,
    explain=_explain,
    invariants=(Invariant(name="each expert computes its own tokens only", broken=_computes_what_nobody_chose),),
    misconceptions={
        "weights left out": Say(
            "The answers of a token's experts are added up without their weights. Then no gradient reaches the router."
        ).to(_by_expert, answer=lambda layer, rows, scales: layer(rows)),
        "answers overwritten": Say(
            "A token has several experts, and each new answer replaces the one before. They have to be *added*: "
            "`index_add`, or `+=`."
        ).to(_by_expert, add=_overwritten),
        "first choice only": Say("Only each token's first choice is computed. All of its choices count.").to(
            lambda x, experts, weights, layers: _by_expert(x, experts[:, :1], weights[:, :1], layers)
        ),
        "last choice only": Say("Only each token's last choice is computed. All of its choices count.").to(
            lambda x, experts, weights, layers: _by_expert(x, experts[:, -1:], weights[:, -1:], layers)
        ),
        "weights on the input": Say(
            "The weight multiplies what goes *into* the expert. An expert is not linear, so that is something else: "
            "multiply what comes out."
        ).to(_by_expert, answer=lambda layer, rows, scales: layer(scales * rows)),
        "weights not sorted": Say(
            "The tokens were sorted by expert and the weights were not, so a token's answer is multiplied by the "
            "weight of another. Sort both by the same order."
        ).to(_by_expert, scale=lambda weights, order: weights.flatten()),
        "first weight for all": Say(
            "Every answer is multiplied by the weight of its token's *first* choice. Each choice has a weight of its "
            "own: `weights[tokens, places]`."
        ).to(_by_expert, scale=lambda weights, order: weights[:, :1].expand(weights.shape).flatten()[order]),
        "choices taken for tokens": Say(
            "Wrong tokens reach the experts. With A choices per token, choice number i belongs to token i // A, not to "
            "i % N."
        ).to(_by_expert, token_of=lambda choices, experts: choices % len(experts)),
        "left in order of the experts": Say(
            "The answers are still in the order of the experts. Each has to go back to the token that it belongs to."
        ).to(_left_in_order_of_experts),
        "place instead of number": Say(
            "The number of a choice (first, second) is used where the number of the expert is needed: what stands in "
            "`experts`."
        ).to(_by_place),
        "weights made to sum to one": Say(
            "The weights were divided by their sum here. They come as they should be used: where they sum to less than "
            "1, that is on purpose."
        ).to(
            lambda x, experts, weights, layers: _by_expert(
                x, experts, weights / weights.sum(-1, keepdim=True).clamp(min=1e-9), layers
            )
        ),
        "mean instead of weights": Say(
            "The answers are averaged, whatever their weights. The router says how much each of them counts."
        ).to(
            lambda x, experts, weights, layers: _by_expert(
                x, experts, torch.full_like(weights, 1 / weights.shape[1]), layers
            )
        ),
        "divided by the number of choices": Say(
            "The weighted sum is divided by the number of choices. The weights are there for that already."
        ).to(
            lambda x, experts, weights, layers: _by_expert(x, experts, weights / weights.shape[1], layers),
        ),
        "input added": Say(
            "The token itself is added to the result. The residual stream does that, outside of the layer: a token "
            "without any weight gets zeros here."
        ).to(_by_expert, finish=lambda output, x: output + x),
        "tokens without weight passed through": Say(
            "A token whose weights are all zero comes out as it went in. The layer adds nothing for it: zeros. The "
            "residual stream keeps the token."
        ).to(
            _by_expert,
            finish=lambda output, x: torch.where((output == 0).all(-1, keepdim=True), x, output),
        ),
        "all experts averaged": Say(
            "All experts compute all tokens, and their mean is returned. Which experts a token goes to is in `experts`."
        ).to(_all_experts),
    },
    hints=(
        "Walk through the experts, not through the tokens. Which tokens chose this one, and as which of their choices?",
        "`tokens, places = torch.where(experts == e)` finds both. Give the expert the rows `x[tokens]`, multiply its "
        "answers by `weights[tokens, places]` with an axis added at the end, and add them to the rows of those tokens.",
        "`output = output.index_add(0, tokens, layer(x[tokens]) * weights[tokens, places].unsqueeze(-1))`, for every "
        "expert in turn, beginning with `torch.zeros_like(x)`.",
    ),
)
