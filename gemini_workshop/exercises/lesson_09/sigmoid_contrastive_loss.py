"""Exercise 09.6, ``sigmoid_contrastive_loss``: its cases, and what learners get wrong."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from gemini_workshop.exercises.core.battery.declaration import Battery
from gemini_workshop.exercises.core.comparison import number, same
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Say
from gemini_workshop.exercises.core.tools import drawing
from gemini_workshop.models.multimodal.contrastive import sigmoid_contrastive_loss

Number = Tensor | float


def _cases(generator: torch.Generator) -> list[Arguments]:
    draw = drawing(generator)
    return [
        (torch.tensor([[3.0, 0.0], [0.0, 2.0]]), torch.tensor([[1.0, 0.0], [0.0, 5.0]]), 1.0, 0.0),
        (draw(3, 4), draw(3, 4), 2.0, -1.0),
        (3 * draw(5, 6), draw(5, 6), torch.tensor(4.0), torch.tensor(-2.5)),
        (draw(4, 3), draw(4, 3), 300.0, -10.0),
    ]


def _beyond(generator: torch.Generator) -> list[Arguments]:
    draw = drawing(generator)
    return [(draw(40, 24), draw(40, 24), 10.0, -10.0)]


def _oracle(images: Tensor, captions: Tensor, scale: Number, bias: Number) -> Tensor:
    """One pair after the other: ln(1 + exp(-logit)) where they belong together, ln(1 + exp(logit)) elsewhere."""
    images, captions, total = images.double(), captions.double(), torch.tensor(0.0, dtype=torch.float64)
    for i, image in enumerate(images):
        for j, caption in enumerate(captions):
            cosine = image @ caption / (image.norm() * caption.norm())
            logit = scale * cosine + bias
            total = total + torch.logaddexp(torch.zeros_like(logit), -logit if i == j else logit)
    return total / len(images)


def _explain(function: Function, case: Arguments) -> str | None:
    images, _, scale, bias = case
    got, expected = function(*case), _oracle(*case)
    if same(got, expected):
        return None
    return (
        f"{len(images)} images and their captions, scale {number(scale)}, bias {number(bias)}: it gave {number(got)}; "
        f"{number(expected)} is needed."
    )


def _unit(x: Tensor) -> Tensor:
    return x / x.norm(dim=-1, keepdim=True)


def _signs(cosines: Tensor) -> Tensor:
    return 2 * torch.eye(len(cosines)) - 1


def _logits(cosines: Tensor, scale: Number, bias: Number) -> Tensor:
    return scale * cosines + bias


def _pairs(
    images: Tensor,
    captions: Tensor,
    scale: Number,
    bias: Number,
    *,
    image: Callable[[Tensor], Tensor] = _unit,
    caption: Callable[[Tensor], Tensor] = _unit,
    logits: Callable[[Tensor, Number, Number], Tensor] = _logits,
    signs: Callable[[Tensor], Tensor] = _signs,
    cost: Callable[[Tensor], Tensor] = lambda signed: -F.logsigmoid(signed),
    total: Callable[[Tensor], Tensor] = lambda costs: costs.sum() / len(costs),
) -> Tensor:
    """Right but for the steps: the vectors, the logits, who belongs together, the cost of a pair, and the total."""
    cosines = image(images) @ caption(captions).T
    return total(cost(signs(cosines) * logits(cosines, scale, bias)))


def _own_cosines(images: Tensor, captions: Tensor, scale: Number, bias: Number) -> Tensor:
    cosines = F.cosine_similarity(images, captions)
    return -F.logsigmoid(_signs(cosines) * _logits(cosines, scale, bias)).sum() / len(images)


def _softmax(images: Tensor, captions: Tensor, scale: Number, bias: Number) -> Tensor:
    logits = _logits(_unit(images) @ _unit(captions).T, scale, bias)
    return F.cross_entropy(logits, torch.arange(len(images)))


def _clip(images: Tensor, captions: Tensor, scale: Number, bias: Number) -> Tensor:
    return (_softmax(images, captions, scale, bias) + _softmax(captions, images, scale, bias)) / 2


SIGMOID_CONTRASTIVE_LOSS = Exercise(
    id="09.6",
    minutes=10,
    difficulty=3,
    importance=3,
    reference=sigmoid_contrastive_loss,
    oracle=_oracle,
    cases=_cases,
    explain=_explain,
    battery=Battery(beyond=_beyond),
    misconceptions={
        "not normalized": Say(
            "The vectors keep their lengths, so that long ones count more. A cosine needs vectors of length 1."
        ).to(_pairs, image=lambda x: x, caption=lambda x: x),
        "images not normalized": Say("The images keep their lengths. Both sides need vectors of length 1.").to(
            _pairs, image=lambda x: x
        ),
        "captions not normalized": Say("The captions keep their lengths. Both sides need vectors of length 1.").to(
            _pairs, caption=lambda x: x
        ),
        "normalized over the batch": Say(
            "Each channel is normalized over the batch. Each image, and each caption, should be a vector of length 1."
        ).to(_pairs, image=lambda x: F.normalize(x, dim=0), caption=lambda x: F.normalize(x, dim=0)),
        "divided by one length": Say(
            "All vectors are divided by one number, the length of the whole batch. Each image, and each caption, has a "
            "length of its own: `dim=-1`."
        ).to(_pairs, image=lambda x: x / x.norm(), caption=lambda x: x / x.norm()),
        "own cosines for all": Say(
            "There is one cosine for each image: that with its own caption. A table is needed, of every image with "
            "every caption."
        ).to(_own_cosines),
        "softmax": Say(
            "This is a softmax over the captions, as in CLIP: which caption is it? Asked is of each pair by itself: do "
            "these two belong together, yes or no?"
        ).to(_softmax),
        "softmax both ways": Say(
            "This is CLIP's loss: a softmax over the captions and one over the images. SigLIP asks of each pair by "
            "itself: do these two belong together, yes or no?"
        ).to(_clip),
        "bias left out": Say(
            "The bias is missing. Nearly all pairs do not belong together, and a negative bias says so from the start."
        ).to(_pairs, logits=lambda cosines, scale, bias: scale * cosines),
        "bias subtracted": Say("The bias is subtracted. It is added to the scaled cosines.").to(
            _pairs, logits=lambda cosines, scale, bias: scale * cosines - bias
        ),
        "bias scaled": Say("The bias is multiplied by the scale. First scale the cosines, then add the bias.").to(
            _pairs, logits=lambda cosines, scale, bias: scale * (cosines + bias)
        ),
        "scale left out": Say(
            "The scale is missing. Cosines lie between -1 and 1, too close together for a sigmoid to be sure."
        ).to(_pairs, logits=lambda cosines, scale, bias: cosines + bias),
        "divided by the scale": Say(
            "The cosines are divided by the scale, as by a temperature. Here it is a factor."
        ).to(_pairs, logits=lambda cosines, scale, bias: cosines / scale + bias),
        "mean of all pairs": Say(
            "This is the mean over all pairs. The sum is divided by the number of images only, so that each image's "
            "own caption keeps its weight however large the batch is."
        ).to(_pairs, total=lambda costs: costs.mean()),
        "not divided": Say("The sum over all pairs is not divided by the number of images.").to(
            _pairs, total=lambda costs: costs.sum()
        ),
        "own captions only": Say(
            "Only the pairs on the diagonal count. Then all vectors may become the same: the other pairs have to be "
            "pushed apart."
        ).to(_pairs, total=lambda costs: costs.diagonal().sum() / len(costs)),
        "others only": Say("Only the pairs off the diagonal count. Then nothing pulls an image to its own caption.").to(
            _pairs, total=lambda costs: (costs.sum() - costs.diagonal().sum()) / len(costs)
        ),
        "everything belongs together": Say(
            "All pairs are pulled together. Off the diagonal the logit gets a minus: there the answer is no."
        ).to(_pairs, signs=torch.ones_like),
        "zero in place of minus one": Say(
            "Pairs that do not belong together have the factor 0, so that their logits no longer matter. It is -1."
        ).to(_pairs, signs=lambda cosines: torch.eye(len(cosines))),
        "signs exchanged": Say(
            "Each image is pushed away from its own caption and pulled to all others. The diagonal belongs together."
        ).to(_pairs, signs=lambda cosines: 1 - 2 * torch.eye(len(cosines))),
        "negative": Say(
            "The loss is negative: better pairs make it larger. Take the *negative* logarithm of the probability."
        ).to(_pairs, cost=F.logsigmoid),
        "sigmoid then logarithm": Say(
            "The logarithm of the sigmoid in two steps: a sigmoid of -100 is 0 in float32, and its logarithm is minus "
            "infinity. `F.logsigmoid` does both at once, safely."
        ).to(_pairs, cost=lambda signed: -signed.sigmoid().log()),
        "no logarithm": Say(
            "This adds up the probabilities of being wrong. Their logarithm is missing: a loss that is sure of a wrong "
            "answer should be large without a bound."
        ).to(_pairs, cost=lambda signed: 1 - signed.sigmoid()),
    },
    hints=(
        "A table: a row per image, a column per caption. In which cells is “yes” the right answer? What is the loss "
        "of a yes-or-no question whose logit you know?",
        "Cosines are products of normalized vectors. Then scale and bias; then +1 on the diagonal and -1 elsewhere, "
        "times the logit; then `F.logsigmoid`, which is safe for large numbers.",
        "`logits = scale * (F.normalize(images, dim=-1) @ F.normalize(captions, dim=-1).T) + bias`, "
        "`signs = 2 * torch.eye(len(images)) - 1`; the loss is minus the sum of `F.logsigmoid(...)` by the number of "
        "images.",
    ),
)
