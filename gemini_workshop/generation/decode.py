"""From a prompt to text, one token at a time.

    prefill     read the whole prompt at once, fill the cache, score the next token
    decode_one  read one more token, score the next
    generate    prefill, then draw and decode_one until an end

The window: a model sees at most the ``context_tokens`` it was trained on. When they are full, the older half
is forgotten and the newer half is read again into an empty cache, so that text can go on for as long as one
likes.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gemini_workshop.config import GenerationConfig
from gemini_workshop.data.tokenizer import Tokenizer
from gemini_workshop.errors import WorkshopError
from gemini_workshop.generation.cache import KVCache
from gemini_workshop.generation.sampling import sample
from gemini_workshop.models.transformer import Transformer


@torch.inference_mode()
def prefill(model: Transformer, token_ids: Int[Tensor, "B T"], cache: KVCache) -> Float[Tensor, "B V"]:
    """Read tokens into the cache and score the successor of the last one."""
    return model(token_ids, cache)[:, -1]


def decode_one(model: Transformer, token_ids: Int[Tensor, " B"], cache: KVCache) -> Float[Tensor, "B V"]:
    """Read one more token of each sequence and score its successor."""
    return prefill(model, token_ids.unsqueeze(1), cache)


def generate(
    model: Transformer,
    prompt_ids: Sequence[int],
    config: GenerationConfig,
    *,
    stop_ids: Collection[int] = (),
) -> Iterator[int]:
    """Yield new tokens as they are drawn, up to ``max_new_tokens``; a stop id ends the stream and is not yielded.

    Of a prompt longer than the window, the model reads the end.

    Raises:
        WorkshopError: the prompt is empty, or one of its ids is outside the vocabulary.
    """
    window, vocab_size = model.config.context_tokens, model.config.vocab_size
    if not prompt_ids:
        raise WorkshopError("The prompt has 0 tokens. A model needs one to start from: the end of text, for example.")
    if max(prompt_ids) >= vocab_size:
        raise WorkshopError(
            f"token id {max(prompt_ids)} is outside the vocabulary of {vocab_size}. "
            "Was the text encoded with another tokenizer?"
        )
    generator = torch.Generator().manual_seed(config.seed)
    ids = list(prompt_ids)[-window:]
    cache, logits = _read_afresh(model, ids)
    for num_new in range(1, config.max_new_tokens + 1):
        token = int(sample(logits, config, generator))
        if token in stop_ids:
            return
        yield token
        if num_new == config.max_new_tokens:
            return
        ids.append(token)
        if len(cache[0]) == window:
            ids = ids[-(window // 2) :]
            cache, logits = _read_afresh(model, ids)
        else:
            logits = decode_one(model, torch.tensor([token], device=logits.device), cache)


def generate_text(model: Transformer, tokenizer: Tokenizer, prompt: str, config: GenerationConfig) -> Iterator[str]:
    """Yield the continuation of ``prompt`` in pieces as it is written, up to the end of the text.

    The prompt is read as the beginning of a document: the model sees the end of the one before it first.
    """
    end = tokenizer.end_of_text_id
    ids = generate(model, [end, *tokenizer.encode(prompt)], config, stop_ids={end})
    return text_pieces(ids, tokenizer)


def text_pieces(ids: Iterable[int], tokenizer: Tokenizer) -> Iterator[str]:
    """Decode a stream of tokens without ever splitting a character.

    A token can end in the middle of a character, which then decodes to ``�``. Such an ending is held back
    until the rest arrives, so the pieces joined are the decoded whole.
    """
    held: list[int] = []
    for token in ids:
        held.append(token)
        piece = tokenizer.decode(held)
        if not piece.endswith("�"):
            yield piece
            held = []
    if held:
        yield tokenizer.decode(held)


def _read_afresh(model: Transformer, ids: list[int]) -> tuple[KVCache, Float[Tensor, "1 V"]]:
    weight = model.embedding.weight
    cache = KVCache(model.config, 1, model.config.context_tokens, weight.dtype, weight.device)
    return cache, prefill(model, torch.tensor([ids], device=weight.device), cache)
