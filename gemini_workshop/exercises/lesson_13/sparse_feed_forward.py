"""Exercise 13.4, ``sparse_feed_forward``: its cases, and what learners get wrong."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from gemini_workshop.exercises.core.comparison import same
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Invariant, Say
from gemini_workshop.exercises.core.tools import drawing, vector
from gemini_workshop.exercises.lesson_08.moe_forward import MOE_FORWARD
from gemini_workshop.exercises.lesson_08.tools import drawn_experts
from gemini_workshop.exercises.lesson_08.top_k_routing import TOP_K_ROUTING
from gemini_workshop.models.plain_sparse import sparse_feed_forward

Layer = Callable[[Tensor], Tensor]


def _case(generator: torch.Generator, B: int, T: int, D: int, E: int, A: int) -> Arguments:
    draw = drawing(generator)
    *experts, shared = drawn_experts(generator, E + 1, D)
    return draw(B, T, D), draw(E, D), experts, shared, A


def _cases(generator: torch.Generator) -> list[Arguments]:
    return [
        _case(generator, 1, 2, 3, 4, 1),
        _case(generator, 2, 3, 4, 5, 2),
        _case(generator, 3, 4, 2, 6, 3),
        _case(generator, 2, 5, 6, 4, 2),
    ]


def _oracle(x: Tensor, router: Tensor, experts: Sequence[Layer], shared: Layer, experts_per_token: int) -> Tensor:
    """Token by token, in float64."""
    result = torch.zeros_like(x).double()
    for b, t in torch.cartesian_prod(torch.arange(x.shape[0]), torch.arange(x.shape[1])).tolist():
        token = x[b, t].double()
        scores = torch.tensor([float((row * token).sum()) for row in router.double()])
        best = sorted(range(len(router)), key=lambda e: -float(scores[e]))[:experts_per_token]
        odds = torch.exp(scores[best] - scores[best].max()).double()
        for e, weight in zip(best, odds / odds.sum(), strict=True):
            result[b, t] += weight * experts[e](token[None])[0]
        result[b, t] += shared(token[None])[0]
    return result


def _explain(function: Function, case: Arguments) -> str | None:
    got, needed = function(*case), _oracle(*case)
    x, router, *_, A = case
    for b in range(len(x)):
        for t in range(x.shape[1]):
            if not same(got[b, t], needed[b, t]):
                best = (router @ x[b, t]).topk(A).indices.tolist()
                return (
                    f"Token {t} of text {b}, whose best experts are {best}, became {vector(got[b, t])}; "
                    f"{vector(needed[b, t])} is needed."
                )
    return None


def _computes_what_nobody_chose(function: Function) -> str | None:
    x, router, experts, shared, A = _case(torch.Generator().manual_seed(5), 2, 6, 3, 5, 2)
    for layer in (*experts, shared):
        layer.rows = 0
    function(x, router, experts, shared, A)
    rows = sum(layer.rows for layer in experts)
    if rows > x.shape[0] * x.shape[1] * A:
        return (
            f"The experts were given {rows} rows for 12 tokens of {A} choices each. Each computes the tokens that "
            "chose it and no others; that is what a sparse layer saves."
        )
    return None


def _renormalized(scores: Tensor, experts: Tensor) -> Tensor:
    weights = scores.softmax(-1).gather(-1, experts)
    return weights / weights.sum(-1, keepdim=True)


def _sparse(
    x: Tensor,
    router: Tensor,
    experts: Sequence[Layer],
    shared: Layer,
    experts_per_token: int,
    *,
    choose: Callable[[Tensor, int], Tensor] = lambda scores, k: scores.topk(k).indices,
    weigh: Callable[[Tensor, Tensor], Tensor] = _renormalized,
    add_shared: Callable[[Tensor, Tensor, int], Tensor] = lambda routed, other, _: routed + other,
    shape: Callable[[Tensor, Tensor], Tensor] = lambda output, x: output.view(x.shape),
    seen: Callable[[Tensor], Tensor] = lambda tokens: tokens,
    finish: Callable[[Tensor, Tensor], Tensor] = lambda output, x: output,
) -> Tensor:
    """Right but for the steps."""
    tokens = x.flatten(0, 1)
    scores = seen(tokens) @ router.T
    chosen = choose(scores, experts_per_token)
    weights = weigh(scores, chosen)
    routed = torch.zeros_like(tokens)
    for e, layer in enumerate(experts):
        rows, places = torch.where(chosen == e)
        routed = routed.index_add(0, rows, layer(tokens[rows]) * weights[rows, places].unsqueeze(-1))
    return finish(add_shared(shape(routed, x), shared(x), experts_per_token), x)


SPARSE_FEED_FORWARD = Exercise(
    id="13.4",
    minutes=8,
    difficulty=3,
    importance=5,
    reference=sparse_feed_forward,
    oracle=_oracle,
    cases=_cases,
    explain=_explain,
    invariants=(Invariant(name="each expert computes its own tokens only", broken=_computes_what_nobody_chose),),
    misconceptions={
        "no shared expert": Say(
            "The shared expert is missing. It sees every token, and its answer is added to that of the chosen ones."
        ).to(_sparse, add_shared=lambda routed, other, _: routed),
        "only the shared expert": Say("Only the shared expert answers. The chosen ones are missing.").to(
            _sparse, add_shared=lambda routed, other, _: other
        ),
        "shared expert averaged in": Say(
            "The answers of the chosen experts and of the shared one are averaged. They are added."
        ).to(_sparse, add_shared=lambda routed, other, _: (routed + other) / 2),
        "shared expert as one of the choices": Say(
            "The shared expert gets a weight as if it were one of the choices. No router decides about it: its answer "
            "is added as it is."
        ).to(_sparse, add_shared=lambda routed, other, k: (k * routed + other) / (k + 1)),
        "shared expert after the others": Say(
            "The shared expert reads what the chosen ones have made. It reads the token, as they do."
        ).to(lambda x, router, experts, shared, k: _in_a_row(x, router, experts, shared, k)),
        "input added": Say("The token itself is added. The residual stream does that, outside of the layer.").to(
            _sparse, finish=lambda output, x: output + x
        ),
        "best expert only": Say("Only the best expert answers. A token goes to `experts_per_token` of them.").to(
            _sparse, choose=lambda scores, k: scores.topk(1).indices
        ),
        "the worst experts": Say("The experts with the *lowest* scores are chosen.").to(
            _sparse, choose=lambda scores, k: scores.topk(k, largest=False).indices
        ),
        "all experts": Say(
            "All experts answer. A token goes to its best `experts_per_token` and to no other: that makes it sparse."
        ).to(_sparse, choose=lambda scores, k: scores.argsort(-1, descending=True)),
        "weights not made to sum to one": Say(
            "The weights of the chosen experts do not sum to 1. The softmax was taken over all experts: divide by the "
            "sum of the chosen ones, as `top_k_routing` does."
        ).to(_sparse, weigh=lambda scores, experts: scores.softmax(-1).gather(-1, experts)),
        "softmax twice": Say(
            "The scores go through a softmax before `top_k_routing`, which takes one itself. Twice makes the weights "
            "more alike than the router said."
        ).to(_sparse, weigh=lambda scores, experts: _renormalized(scores.softmax(-1), experts)),
        "scores for weights": Say("The raw scores are the weights. A softmax makes probabilities of them first.").to(
            _sparse, weigh=lambda scores, experts: scores.gather(-1, experts)
        ),
        "chosen experts alike": Say("All chosen experts count alike. The router says how much each of them counts.").to(
            _sparse, weigh=lambda scores, experts: torch.full_like(scores.gather(-1, experts), 1 / experts.shape[1])
        ),
        "no weights": Say("The answers are added up without the router's weights.").to(
            _sparse, weigh=lambda scores, experts: torch.ones_like(scores.gather(-1, experts))
        ),
        "texts and tokens mixed up": Say(
            "The tokens come back in other places: they were counted text by text, and put back token by token."
        ).to(_sparse, shape=lambda output, x: output.view(x.shape[1], x.shape[0], -1).transpose(0, 1)),
        "all texts are routed as the first": Say(
            "Every text goes where the first one goes. Each token is routed by itself."
        ).to(_sparse, seen=lambda tokens: tokens[:1].expand_as(tokens)),
    },
    parts=(TOP_K_ROUTING, MOE_FORWARD),
    hints=(
        "The router and the experts want rows, (N, D); you have (B, T, D). What flattens the first two axes, and what "
        "brings them back?",
        "Scores are the product of each token with each row of `router`. `top_k_routing` and `moe_forward` of lesson "
        "08 do the rest; the shared expert can be given x as it is.",
        "`tokens = x.flatten(0, 1)`; `chosen, weights = top_k_routing(tokens @ router.T, experts_per_token)`; then "
        "`moe_forward(tokens, chosen, weights, experts).view(x.shape) + shared(x)`.",
    ),
)


def _in_a_row(x: Tensor, router: Tensor, experts: Sequence[Layer], shared: Layer, experts_per_token: int) -> Tensor:
    routed = _sparse(x, router, experts, shared, experts_per_token, add_shared=lambda routed, other, _: routed)
    return routed + shared(routed)
