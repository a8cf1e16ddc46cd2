"""Exercise 12.9, ``verify_drafts``: its cases, and what learners get wrong."""

from collections.abc import Callable

import torch
from torch import Tensor

from gemini_workshop.exercises.core.battery.declaration import Battery
from gemini_workshop.exercises.core.comparison import number, same
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Invariant, Say
from gemini_workshop.exercises.core.tools import vector
from gemini_workshop.generation.plain import verify_drafts

Result = tuple[int, Tensor]


def _cases(generator: torch.Generator) -> list[Arguments]:
    q = torch.tensor([[0.6, 0.3, 0.1]])
    p = torch.tensor([[0.3, 0.5, 0.2], [0.1, 0.2, 0.7]])
    drafts, draft_probs, model_probs = torch.tensor([2, 0, 1]), _rows(generator, 3, 4), _rows(generator, 4, 4)
    ratios = model_probs[:3].gather(1, drafts[:, None])[:, 0] / draft_probs.gather(1, drafts[:, None])[:, 0]
    low = 0.9 * ratios.clamp(max=1)
    return [
        (torch.tensor([0]), q, p, torch.tensor([0.4])),
        (torch.tensor([0]), q, p, torch.tensor([0.6])),
        (torch.tensor([1]), q, p, torch.tensor([0.97])),
        (torch.tensor([0]), q, p, torch.tensor([0.97])),
        (drafts, draft_probs, model_probs, low),
        (drafts, draft_probs, model_probs, torch.tensor([float(low[0]), *_rejecting(ratios[1]), float(low[2])])),
        (*_sure_to_reject(generator), torch.tensor([0.02, 0.35, 0.01, 0.03])),
        (drafts, draft_probs, model_probs, torch.tensor([*_rejecting(ratios[0]), float(low[1]), float(low[2])])),
    ]


def _rows(generator: torch.Generator, *shape: int) -> Tensor:
    return (1.2 * torch.randn(*shape, generator=generator)).softmax(-1)


def _rejecting(ratio: Tensor) -> list[float]:
    """A uniform number that rejects a draft of this ratio, or nearly 1 where none does."""
    return [float((1 + ratio) / 2) if ratio < 1 else 0.999]


def _sure_to_reject(generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Five tokens, four drafts; the model gives the second draft a third of what the draft had."""
    draft_probs, model_probs = _rows(generator, 4, 5), _rows(generator, 5, 5)
    draft_probs[1] = torch.tensor([0.1, 0.1, 0.6, 0.15, 0.05])
    model_probs[1] = torch.tensor([0.25, 0.05, 0.2, 0.1, 0.4])
    return torch.tensor([3, 2, 0, 4]), draft_probs, model_probs


def _oracle(drafts: Tensor, draft_probs: Tensor, model_probs: Tensor, uniforms: Tensor) -> Result:
    """The definition in plain numbers."""
    num_accepted = 0
    for i, token in enumerate(drafts.tolist()):
        ratio = float(model_probs[i, token]) / float(draft_probs[i, token])
        if float(uniforms[i]) < min(1.0, ratio):
            num_accepted += 1
            continue
        left = [max(0.0, a - b) for a, b in zip(model_probs[i].tolist(), draft_probs[i].tolist(), strict=True)]
        return num_accepted, torch.tensor([each / sum(left) for each in left], dtype=torch.double)
    return num_accepted, model_probs[-1].double()


def _explain(function: Function, case: Arguments) -> str | None:
    (got, next_probs), (expected, needed) = function(*case), _oracle(*case)
    drafts, draft_probs, model_probs, uniforms = case
    if not same(got, expected):
        i = min(int(got), expected, len(drafts) - 1)
        p, q = model_probs[i, drafts[i]], draft_probs[i, drafts[i]]
        return (
            f"It accepts {int(got)} of {len(drafts)} drafts; {expected} is needed. Draft {i} has p = {number(p)}, "
            f"q = {number(q)}, and its random number is {number(uniforms[i])}."
        )
    if expected < len(drafts):
        p, q = vector(model_probs[expected]), vector(draft_probs[expected])
        return (
            f"Draft {expected} is rejected, with p = {p} and q = {q}. The next token comes from {vector(next_probs)}; "
            f"{vector(needed)} is needed."
        )
    return f"All drafts are accepted. The next token comes from {vector(next_probs)}; {vector(needed)} is needed."


def _not_the_models(function: Function) -> str | None:
    """One draft, and every random number from 0 to 1 in small steps: how often does each token come up?"""
    p, q = torch.tensor([0.3, 0.5, 0.2]), torch.tensor([0.6, 0.3, 0.1])
    both, steps = torch.stack([p, p]), 100
    comes_up = torch.zeros(3)
    for token in range(3):
        for step in range(steps):
            uniform = torch.tensor([(step + 0.5) / steps])
            accepted, probs = function(torch.tensor([token]), q[None], both, uniform)
            if not isinstance(probs, Tensor) or probs.shape != p.shape:
                return None  # said better elsewhere
            comes_up += float(q[token]) / steps * (torch.eye(3)[token] if accepted else probs)
    if torch.allclose(comes_up.double(), p.double(), atol=0.012):
        return None
    return (
        f"Over all random numbers the next token comes up as {vector(comes_up)}; it should be the model's {vector(p)}."
    )


def _over(rest: Tensor) -> Tensor:
    return rest / rest.sum()


def _verify(
    drafts: Tensor,
    draft_probs: Tensor,
    model_probs: Tensor,
    uniforms: Tensor,
    *,
    accepts: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda p, q, u: u * q < p,
    goes_on: bool = False,
    rest: Callable[[Tensor, Tensor], Tensor] = lambda p, q: _over((p - q).clamp(min=0)),
    rest_at: Callable[[int], int] = lambda i: i,
    last: int = -1,
) -> Result:
    """The right steps, with a place to go wrong at each of them."""
    places = range(len(drafts))
    is_accepted = [bool(accepts(model_probs[i, d], draft_probs[i, d], uniforms[i])) for i, d in enumerate(drafts)]
    rejected = [i for i in places if not is_accepted[i]]
    if not rejected:
        return len(drafts), model_probs[last]
    at = min(max(rest_at(rejected[0]), 0), len(drafts) - 1)
    return sum(is_accepted) if goes_on else rejected[0], rest(model_probs[at], draft_probs[at])


def _counted(drafts: Tensor, draft_probs: Tensor, model_probs: Tensor, uniforms: Tensor) -> Result:
    places = torch.arange(len(drafts))
    accepted = int((uniforms * draft_probs[places, drafts] < model_probs[places, drafts]).sum())
    if accepted == len(drafts):
        return accepted, model_probs[-1]
    return accepted, _over((model_probs[accepted] - draft_probs[accepted]).clamp(min=0))


VERIFY_DRAFTS = Exercise(
    id="12.9",
    minutes=12,
    difficulty=4,
    importance=4,
    reference=verify_drafts,
    oracle=_oracle,
    cases=_cases,
    battery=Battery(gradients=False),  # sampling: nobody trains through it
    explain=_explain,
    invariants=(Invariant(name="the model's distribution", broken=_not_the_models),),
    misconceptions={
        "all accepted": Say("Every draft is accepted, so the text is the draft's and not the model's.").to(
            _verify, accepts=lambda p, q, u: u < 2
        ),
        "accepted only if p is at least q": Say(
            "A draft with p below q is always rejected; the random number is not used. Then it comes up too rarely: "
            "accept it with probability p / q."
        ).to(_verify, accepts=lambda p, q, u: p >= q),
        "accepted with probability p": Say(
            "A draft is accepted with probability p, whatever q is. A draft comes up with probability q already: which "
            "factor makes p of it?"
        ).to(_verify, accepts=lambda p, q, u: u < p),
        "ratio upside down": Say(
            "A draft is accepted with probability q / p. It is the other way round: what the draft proposes too often "
            "(q above p) has to be rejected at times."
        ).to(_verify, accepts=lambda p, q, u: u * p < q),
        "accepted if likely enough": Say(
            "A draft is accepted if p is above one half. Compare the random number with p / q."
        ).to(_verify, accepts=lambda p, q, u: p > 0.5),
        "random number upside down": Say(
            "A draft is accepted when the random number is *above* p / q, so it is accepted with the probability with "
            "which it should be rejected."
        ).to(_verify, accepts=lambda p, q, u: u * q >= p),
        "goes on after a rejection": Say(
            "Drafts after a rejected one are accepted, too. They were written to follow a token that is not there: "
            "stop at the first rejection."
        ).to(_verify, goes_on=True),
        "all drafts judged, then counted": Say(
            "All drafts that pass are counted, also those after a rejected one. They were written to follow a token "
            "that is not there: stop at the first rejection."
        ).to(_counted),
        "the model's own distribution": Say(
            "After a rejection the token comes from p. What the draft would have proposed then comes up too often: "
            "it had its chance before. Take only what p has beyond q."
        ).to(_verify, rest=lambda p, q: p),
        "the draft's distribution": Say("After a rejection the token comes from the draft's distribution.").to(
            _verify, rest=lambda p, q: q
        ),
        "what q has beyond p": Say(
            "After a rejection the token comes from what q has beyond p. The draft proposes those too often already; "
            "what is missing is what p has beyond q."
        ).to(_verify, rest=lambda p, q: _over((q - p).clamp(min=0))),
        "absolute difference": Say(
            "After a rejection the token comes from |p - q|. Where q is above p, nothing is missing: zero there, and "
            "not the difference without its sign."
        ).to(_verify, rest=lambda p, q: _over((p - q).abs())),
        "not scaled": Say("What p has beyond q does not sum to one. Divide it by its sum.").to(
            _verify, rest=lambda p, q: (p - q).clamp(min=0)
        ),
        "softmax of the difference": Say(
            "A softmax is taken of p - q. These are probabilities and no logits: cut off below zero, and divide by the "
            "sum."
        ).to(_verify, rest=lambda p, q: (p - q).softmax(-1)),
        "negative numbers kept": Say(
            "p - q is divided by its sum with its negative entries. Cut them off at zero first."
        ).to(_verify, rest=lambda p, q: p - q),
        "the next place": Say(
            "After a rejection the next token comes from the distributions at the place *after* the rejected draft. It "
            "takes that draft's place."
        ).to(_verify, rest_at=lambda i: i + 1),
        "the place before": Say(
            "After a rejection the next token comes from the distributions at the place *before* the rejected draft. "
            "It takes that draft's place."
        ).to(_verify, rest_at=lambda i: i - 1),
        "no token after the last draft": Say(
            "When all drafts are accepted, the next token comes from the model's distribution at the *last draft's* "
            "place. The model has one more, after all drafts."
        ).to(_verify, last=-2),
    },
    hints=(
        "One draft after the other, up to the first rejection. Where p is at least q, always accept. Where p is half "
        "of q, accept every second time: what do you compare the random number with?",
        "Accept draft i if `uniforms[i] < p / q`, with p and q the probabilities of that token. At the first rejection "
        "return i, and what p has beyond q in all tokens, scaled to sum to one.",
        "`rest = (model_probs[i] - draft_probs[i]).clamp(min=0)`, then `rest / rest.sum()`. After the loop all are "
        "accepted: return their number, and the last row of `model_probs`.",
    ),
)
