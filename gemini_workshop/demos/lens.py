"""What each block of a model would predict after each token of a sentence."""

from dataclasses import dataclass

import torch

from gemini_workshop.demos.limits import Limits
from gemini_workshop.demos.shelf import Loaded
from gemini_workshop.demos.vocabularies import token_texts
from gemini_workshop.evaluation.interpretability.lens import lens_logits


@dataclass(frozen=True, kw_only=True, slots=True)
class Lens:
    """What is read off the stream: a row for the embedding and one for each block, a column for each token.

    Args:
        predicted: the most likely next token.
        probabilities: of the predicted ones.
        of_the_next: the probability of the token that does come next; none after the last.
    """

    tokens: list[str]
    predicted: list[list[str]]
    probabilities: list[list[float]]
    of_the_next: list[list[float]]


def read_off(loaded: Loaded, text: str, limits: Limits) -> Lens:
    """Read a sentence and look at the stream after each block.

    Raises:
        WorkshopError: the sentence is empty or too long.
    """
    from gemini_workshop.data.tokenizers import prompt_ids

    served = loaded.served
    ids = limits.ids_of(prompt_ids(served.tokenizer, text))
    with loaded.lock:
        logits = lens_logits(served.model, torch.tensor(ids, device=served.model.embedding.weight.device))
    best = logits.softmax(dim=-1)
    top = best.max(dim=-1)
    following = best[:, :-1].gather(-1, torch.tensor(ids[1:]).expand(len(best), -1)[..., None])[..., 0]
    return Lens(
        tokens=token_texts(served, ids),
        predicted=[token_texts(served, row) for row in top.indices.tolist()],
        probabilities=top.values.tolist(),
        of_the_next=following.tolist(),
    )
