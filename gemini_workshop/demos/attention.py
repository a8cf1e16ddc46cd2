"""The attention of every head to one's own sentence, and what the model loses without some of them."""

from collections.abc import Collection
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from gemini_workshop.demos.limits import Limits
from gemini_workshop.demos.shelf import Loaded
from gemini_workshop.demos.vocabularies import token_texts
from gemini_workshop.evaluation.interpretability.heads import attention_maps, averaging_heads, head_costs

Head = tuple[int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadsAtWork:
    """What the heads of a model do with a sentence.

    Args:
        tokens: as text; the first is the end of the text before.
        maps: the weight on each key (last axis) for each query.
        costs: how much the loss rises when one head averages over all that it may see.
        loss_nats: the mean over the tokens.
        surprise: minus the logarithm of the probability of each token after the first, as the model is.
        surprise_without: the same with the heads that were switched off; equal where none was.
    """

    tokens: list[str]
    maps: Float[Tensor, "L H T T"]
    costs: Float[Tensor, "L H"]
    loss_nats: float
    surprise: Float[Tensor, " targets"]
    surprise_without: Float[Tensor, " targets"]

    @property
    def loss_off(self) -> float:
        """The loss with the heads that were switched off."""
        return float(self.surprise_without.mean())


def heads_at_work(loaded: Loaded, text: str, limits: Limits, without: Collection[Head] = ()) -> HeadsAtWork:
    """Read a sentence and look.

    Args:
        without: heads that give an equal weight to every token that they may see.

    Raises:
        WorkshopError: the sentence is empty or too long.
    """
    from gemini_workshop.data.tokenizers import prompt_ids

    model, tokenizer = loaded.served.model, loaded.served.tokenizer
    ids = torch.tensor(limits.ids_of(prompt_ids(tokenizer, text)), device=model.embedding.weight.device)
    with loaded.lock, torch.no_grad():
        before = surprises(model(ids[None])[0], ids)
        with averaging_heads(model, without):
            after = surprises(model(ids[None])[0], ids)
        return HeadsAtWork(
            tokens=token_texts(loaded.served, ids.tolist()),
            maps=attention_maps(model, ids, averaging=without).float(),
            costs=head_costs(model, ids[None], lambda logits, rows: surprises(logits[0], rows[0]).mean()),
            loss_nats=float(before.mean()),
            surprise=before,
            surprise_without=after,
        )


def surprises(logits: Float[Tensor, "T V"], token_ids: Int[Tensor, " T"]) -> Float[Tensor, " targets"]:
    """Minus the logarithm of the probability of each token, given those before it."""
    return F.cross_entropy(logits[:-1].float(), token_ids[1:], reduction="none").cpu()
