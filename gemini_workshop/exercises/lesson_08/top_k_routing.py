"""Exercise 08.1, ``top_k_routing``: its cases, and what learners get wrong."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from gemini_workshop.exercises.core.comparison import same
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Invariant, Say
from gemini_workshop.exercises.core.tools import drawing, vector
from gemini_workshop.models.plain_moe import top_k_routing

Routed = tuple[Tensor, Tensor]


def _cases(generator: torch.Generator) -> list[Arguments]:
    draw = drawing(generator)
    probabilities = torch.tensor([[0.1, 0.4, 0.2, 0.3], [0.6, 0.05, 0.3, 0.05]])
    return [
        (probabilities.log(), 2),
        (probabilities.log(), 2, torch.tensor([0.0, -0.35, 0.15, 0.0])),
        (draw(3, 5), 2),
        (2 * draw(6, 4), 1),
        (draw(5, 7), 3, 0.3 * draw(7)),
        (draw(7, 6), 2, torch.tensor([0.5, 0.0, -0.5, 0.1, 0.0, -1.0])),
        (3 * draw(4, 8), 3, draw(8)),
    ]


def _probabilities(logits: Tensor) -> list[list[float]]:
    powers = [[math.exp(value) for value in row] for row in logits.tolist()]
    return [[power / sum(row) for power in row] for row in powers]


def _oracle(logits: Tensor, experts_per_token: int, selection_bias: Tensor | None = None) -> Routed:
    """Token by token: sort the experts, keep the first ones, divide their probabilities by their sum."""
    bias = [0.0] * logits.shape[-1] if selection_bias is None else selection_bias.tolist()
    experts, weights = [], []
    for row in _probabilities(logits):
        chosen = sorted(range(len(row)), key=lambda e: -(row[e] + bias[e]))[:experts_per_token]
        experts.append(chosen)
        weights.append([row[e] / sum(row[i] for i in chosen) for e in chosen])
    return torch.tensor(experts), torch.tensor(weights)


def _explain(function: Function, case: Arguments) -> str | None:
    (experts, weights), (right, right_weights) = function(*case), _oracle(*case)
    if experts.shape != right.shape or weights.shape != right.shape:
        return None
    if experts.is_floating_point():
        return "The experts came as numbers with decimals; their numbers, which are whole, are needed."
    for n, probabilities in enumerate(_probabilities(case[0])):
        given = f"Its probabilities are {vector(torch.tensor(probabilities))}."
        given += f" The bias is {vector(case[2])}." if len(case) > 2 else ""
        if not same(experts[n], right[n]):
            return f"Token {n} goes to experts {experts[n].tolist()}; {right[n].tolist()} are needed. {given}"
        if not same(weights[n], right_weights[n]):
            got, needed = vector(weights[n]), vector(right_weights[n])
            return f"Token {n} goes to experts {right[n].tolist()} with weights {got}; {needed} is needed. {given}"
    return None


def _no_gradient(function: Function) -> str | None:
    logits = torch.randn(3, 5, generator=torch.Generator().manual_seed(1), requires_grad=True)
    _, weights = function(logits, 2)
    if getattr(weights, "requires_grad", True):
        return None
    return "No gradient would reach the router: the weights have lost their connection with `logits`."


def _largest(ranks: Tensor, k: int) -> Tensor:
    return ranks.topk(k, dim=-1).indices


def _to_sum_one(weights: Tensor) -> Tensor:
    return weights / weights.sum(dim=-1, keepdim=True)


def _route(
    logits: Tensor,
    k: int,
    bias: Tensor | None = None,
    *,
    score: Callable[[Tensor], Tensor] = lambda logits: logits.softmax(-1),
    rank: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda logits, scores, bias: scores + bias,
    choose: Callable[[Tensor, int], Tensor] = _largest,
    weigh: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda scores, ranks, experts: scores.gather(-1, experts),
    finish: Callable[[Tensor], Tensor] = _to_sum_one,
) -> Routed:
    """Right but for the steps: scores, ranks, the choice, the weights, and what is done to them in the end."""
    scores = score(logits)
    ranks = rank(logits, scores, torch.zeros(logits.shape[-1]) if bias is None else bias)
    experts = choose(ranks, k)
    return experts, finish(weigh(scores, ranks, experts))


def _bias_in_the_softmax(logits: Tensor, k: int, bias: Tensor | None = None) -> Routed:
    return _route(logits if bias is None else logits + bias, k)


def _by_probability_alone(logits: Tensor, k: int, bias: Tensor | None = None) -> Routed:
    experts, weights = _route(logits, k, bias)
    order = weights.argsort(dim=-1, descending=True)
    return experts.gather(-1, order), weights.gather(-1, order)


def _weights_of_all(logits: Tensor, k: int, bias: Tensor | None = None) -> Routed:
    experts, weights = _route(logits, k, bias)
    return experts, torch.zeros_like(logits).scatter(-1, experts, weights)


TOP_K_ROUTING = Exercise(
    id="08.1",
    minutes=8,
    difficulty=3,
    importance=5,
    reference=top_k_routing,
    oracle=_oracle,
    cases=_cases,
    explain=_explain,
    invariants=(Invariant(name="the router gets a gradient", broken=_no_gradient),),
    misconceptions={
        "weights do not sum to one": Say(
            "The weights of the chosen experts are their probabilities among all experts, so they sum to less than 1, "
            "and the layer's output shrinks. Divide them by their sum."
        ).to(_route, finish=lambda weights: weights),
        "divided by the number of experts": Say(
            "The weights are divided by the number of chosen experts, so they do not sum to 1. Divide by their sum."
        ).to(_route, finish=lambda weights: weights / weights.shape[-1]),
        "bias in the weights": Say(
            "The bias has entered the weights. It only decides who is chosen: how much a chosen expert counts is still "
            "up to the probabilities."
        ).to(_route, weigh=lambda scores, ranks, experts: ranks.gather(-1, experts)),
        "bias ignored": Say("The bias changes nothing. It takes part in the choice of the experts.").to(
            _route, rank=lambda logits, scores, bias: scores
        ),
        "bias subtracted": Say(
            "The bias is subtracted. A larger bias should make an expert more likely to be chosen."
        ).to(_route, rank=lambda logits, scores, bias: scores - bias),
        "bias added to the logits": Say(
            "The bias is added to the logits to choose. It belongs to the probabilities: choose by probability plus "
            "bias."
        ).to(_route, rank=lambda logits, scores, bias: logits + bias),
        "bias in the softmax": Say(
            "The bias is added before the softmax, so it changes the probabilities, and with them the weights. It "
            "should only take part in the choice."
        ).to(_bias_in_the_softmax),
        "least probable experts": Say("These are the experts with the smallest scores. The best ones are needed.").to(
            _route, choose=lambda ranks, k: ranks.topk(k, dim=-1, largest=False).indices
        ),
        "softmax over the tokens": Say(
            "The softmax runs over the tokens. Each token distributes its probability over the experts: the last axis."
        ).to(_route, score=lambda logits: logits.softmax(0)),
        "equal weights": Say(
            "All chosen experts have the same weight. Then the router learns nothing: it gets its gradient through the "
            "weights, which have to be made of its probabilities."
        ).to(_route, finish=lambda weights: torch.full_like(weights, 1 / weights.shape[-1])),
        "logits as weights": Say(
            "The weights are made of the logits themselves, which may be negative. Make them of the probabilities."
        ).to(_route, score=lambda logits: logits),
        "softmax of probabilities": Say(
            "The probabilities of the chosen have gone through a softmax once more, which makes them nearly equal. "
            "Divide by their sum. (A softmax of the chosen *logits* would be right.)"
        ).to(_route, finish=lambda weights: weights.softmax(-1)),
        "weights of the first columns": Say(
            "The weights are those of the first experts in the list, and not of the chosen ones. `gather` picks "
            "entries by their number."
        ).to(_route, weigh=lambda scores, ranks, experts: scores[:, : experts.shape[-1]]),
        "experts sorted by number": Say(
            "The experts are sorted by their number. The best one comes first, so that “first choice” means something."
        ).to(_route, choose=lambda ranks, k: _largest(ranks, k).sort(dim=-1).values),
        "worst of the chosen first": Say("The right experts, with the best one last. It comes first.").to(
            _route, choose=lambda ranks, k: _largest(ranks, k).flip(-1)
        ),
        "sorted by probability alone": Say(
            "The right experts, sorted by their probabilities alone. The best comes first, by what they were chosen "
            "for: probability plus bias."
        ).to(_by_probability_alone),
        "weights of all experts": Say(
            "The weights have a column for every expert. Needed is one for each *chosen* expert, in the same order."
        ).to(_weights_of_all),
        "weights first": Say("The two results are exchanged: first the numbers of the experts, then the weights.").to(
            lambda logits, k, bias=None: _route(logits, k, bias)[::-1]
        ),
        "what topk returns": Say(
            "`topk` returns values first and indices second, and this is what came back. First the numbers of the "
            "experts, then weights made of their probabilities."
        ).to(lambda logits, k, bias=None: (logits.softmax(-1) + (0.0 if bias is None else bias)).topk(k)),
        "one sum for all tokens": Say(
            "The weights are divided by one sum over all tokens. Each token has a sum of its own: along the last axis, "
            "with `keepdim=True`."
        ).to(_route, finish=lambda weights: weights / weights.sum()),
        "one expert only": Say("Each token goes to its single best expert, however many were asked for.").to(
            _route, choose=lambda ranks, k: _largest(ranks, 1)
        ),
        "experts choose tokens": Say(
            "`topk` runs over the tokens: each expert chooses its tokens. (That exists, as expert choice routing.) "
            "Here each token chooses its experts, along the last axis."
        ).to(_route, choose=lambda ranks, k: ranks.topk(k, dim=0).indices),
    },
    hints=(
        "Three questions: how probable is each expert, which are the best, and how much does each of these count?",
        "`topk` returns values and indices. Choose by probability plus bias, but take the weights from the "
        "probabilities alone: `gather(-1, experts)` picks them. Then divide each token's weights by their sum.",
        "`experts = (probabilities + selection_bias).topk(experts_per_token, dim=-1).indices`, without the bias if it "
        "is None; `weights = probabilities.gather(-1, experts)`; divide by `weights.sum(dim=-1, keepdim=True)`.",
    ),
)
