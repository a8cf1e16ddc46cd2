"""Decoding in its plainest form: what lessons 12 and 13 build, one text at a time.

    plain_generate     read the prompt once, then choose a token and read it, again and again
    plain_answer       the same after a question with images and audio, which are read once
    plain_beam_search  keep the texts with the highest log-probabilities, and extend them side by side
    verify_drafts      which drafts to accept, and from which distribution the token after them comes

:mod:`.decode`, :mod:`.beam_search` and :mod:`.speculative` do the same for batches, with options.

Source: Leviathan et al. 2023, arXiv:2211.17192, algorithm 1 (drafts).
"""

from collections.abc import Callable, Collection, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gemini_workshop.generation.cache import new_cache
from gemini_workshop.models.multimodal.stream import Media
from gemini_workshop.models.transformer import Transformer


@torch.inference_mode()
def plain_generate(
    model: Transformer,
    prompt_ids: Sequence[int],
    choose: Callable[[Tensor], Tensor],
    max_new_tokens: int,
    stop_id: int | None = None,
) -> list[int]:
    """The new tokens after a prompt. No token goes through the model twice.

    Args:
        choose: from logits of shape (1, V) to one token of shape (1,), such as ``greedy``.
        stop_id: a token that ends the text, and is not part of it.
    """
    cache = new_cache(model, 1, len(prompt_ids) + max_new_tokens)
    unread, new = list(prompt_ids), list[int]()
    while len(new) < max_new_tokens:
        logits = model(torch.tensor([unread], device=model.embedding.weight.device), cache)[:, -1]
        token = int(choose(logits))
        if token == stop_id:
            break
        new.append(token)
        unread = [token]
    return new


@torch.inference_mode()
def plain_answer(
    model: Transformer,
    question_ids: Sequence[int],
    media: Media,
    choose: Callable[[Tensor], Tensor],
    max_new_tokens: int,
    stop_ids: Collection[int],
) -> list[int]:
    """The new tokens after a question with media. No token, no image and no sound goes through the model twice.

    Args:
        media: what stands in the places that the question holds.
        choose: from logits of shape (1, V) to one token of shape (1,), such as ``greedy``.
        stop_ids: tokens that end the answer, and are not part of it.
    """
    cache = new_cache(model, 1, len(question_ids) + max_new_tokens)
    logits = model(torch.tensor([question_ids], device=model.embedding.weight.device), cache, media=media)[:, -1]
    answer: list[int] = []
    while len(answer) < max_new_tokens:
        token = choose(logits)
        if int(token) in stop_ids:
            break
        answer.append(int(token))
        if len(answer) < max_new_tokens:
            logits = model(token[None], cache)[:, -1]
    return answer


def plain_beam_search(
    log_probs_after: Callable[[list[list[int]]], Float[Tensor, "beams V"]],
    prompt_ids: Sequence[int],
    num_beams: int,
    max_new_tokens: int,
    stop_id: int | None = None,
) -> list[tuple[list[int], float]]:
    """The most likely continuations that a search with so many beams finds, best first.

    A text that ends with the stop id is finished: it stays among the beams as it is, as long as it is good enough.

    Args:
        log_probs_after: from texts of equal or different length to the log-probabilities of their next tokens.

    Returns:
        At most ``num_beams`` pairs: the new tokens, the stop id included, and the sum of their log-probabilities.
    """
    beams: list[tuple[list[int], float]] = [([], 0.0)]
    for _ in range(max_new_tokens):
        candidates = []
        rows = log_probs_after([[*prompt_ids, *text] for text, _ in beams]).tolist()
        for (text, score), row in zip(beams, rows, strict=True):
            if text and text[-1] == stop_id:
                candidates.append((text, score))
            else:
                candidates += [([*text, token], score + log_prob) for token, log_prob in enumerate(row)]
        beams = sorted(candidates, key=lambda beam: -beam[1])[:num_beams]
    return beams


def verify_drafts(
    drafts: Int[Tensor, " K"],
    draft_probs: Float[Tensor, "K V"],
    model_probs: Float[Tensor, "K+1 V"],
    uniforms: Float[Tensor, " K"],
) -> tuple[int, Float[Tensor, " V"]]:
    """How many drafts to accept, and the distribution from which the token after them is sampled.

    Args:
        draft_probs: the distribution that each draft was sampled from.
        model_probs: the model's distribution at the same places, and after the last draft.
        uniforms: a random number from 0 to 1 for each draft, which decides about it.
    """
    for i, draft in enumerate(drafts.tolist()):
        p, q = model_probs[i], draft_probs[i]
        if uniforms[i] * q[draft] >= p[draft]:
            rest = (p - q).clamp(min=0)
            return i, rest / rest.sum()
    return len(drafts), model_probs[-1]
