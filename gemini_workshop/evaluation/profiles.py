"""Models side by side on the same texts: how well each predicts them, what each writes, how varied and how fast.

Losses per token cannot be compared between tokenizers; bits per byte can. So each document is scored by itself, after
an end of text, and its bytes are counted, whatever the tokens are.
"""

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from gemini_workshop.config import GenerationConfig
from gemini_workshop.data.tokenizers import Tokenizer, prompt_ids, start_ids
from gemini_workshop.evaluation.diversity import distinct_n, self_bleu
from gemini_workshop.evaluation.floors import bits_per_byte
from gemini_workshop.evaluation.likelihood import strided_log_probs
from gemini_workshop.evaluation.throughput import measure_throughput
from gemini_workshop.generation.decode import generate_text
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.tables import table


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """One model.

    Args:
        samples: one a prompt and seed, the prompt included.
        distinct: distinct-1, -2 and -3 of what was written; 0 where nothing is that long.
        self_bleu: None without sacrebleu.
    """

    name: str
    parameters: int
    vocab_size: int
    nats_per_token: float
    bits_per_byte: float
    samples: tuple[str, ...]
    distinct: tuple[float, float, float]
    self_bleu: float | None
    written_tokens_per_second: float


def score_documents(
    model: Transformer,
    tokenizer: Tokenizer,
    documents: Sequence[str],
    progress: Callable[[int], object] = lambda _: None,
) -> tuple[float, float]:
    """Nats per token and bits per byte over all documents, each read from its beginning.

    Args:
        progress: called with 1 after each document.
    """
    nats, num_tokens = 0.0, 0
    for document in documents:
        ids = [*(start_ids(tokenizer) or [tokenizer.end_of_text_id]), *tokenizer.encode(document)]
        token_ids = torch.tensor(ids, device=model.embedding.weight.device)
        nats -= float(strided_log_probs(model, token_ids).double().sum())
        num_tokens += len(ids) - 1
        progress(1)
    num_bytes = sum(len(document.encode()) for document in documents)
    return nats / num_tokens, bits_per_byte(nats / num_tokens, num_tokens, num_bytes)


def profile(
    name: str,
    model: Transformer,
    tokenizer: Tokenizer,
    documents: Sequence[str],
    prompts: Sequence[str],
    generation: GenerationConfig,
    samples_per_prompt: int = 2,
) -> Profile:
    """Measure one model; every model gets the same documents, prompts and seeds."""
    nats, bits = score_documents(model, tokenizer, documents)
    written = [
        "".join(generate_text(model, tokenizer, prompt, replace(generation, seed=generation.seed + number)))
        for prompt in prompts
        for number in range(samples_per_prompt)
    ]
    started = [prompt for prompt in prompts for _ in range(samples_per_prompt)]
    one, two, three = (_distinct(written, n) for n in (1, 2, 3))
    has_sacrebleu = importlib.util.find_spec("sacrebleu") is not None
    speed = measure_throughput(model, prompt_ids(tokenizer, prompts[0]), rounds=1)
    return Profile(
        name=name,
        parameters=model.num_parameters(),
        vocab_size=model.config.vocab_size,
        nats_per_token=nats,
        bits_per_byte=bits,
        samples=tuple(prompt + text for prompt, text in zip(started, written, strict=True)),
        distinct=(one, two, three),
        self_bleu=self_bleu(written) if has_sacrebleu and len(written) > 1 else None,
        written_tokens_per_second=speed.written_tokens_per_second,
    )


def profiles_table(profiles: Sequence[Profile]) -> str:
    """All models as plain text, one per row, then the first sample of each."""
    heads = ["", "parameters", "vocabulary", "nats/token", "bits/byte", "distinct-2", "self-BLEU", "tokens/s"]
    rows = [
        [
            each.name,
            f"{each.parameters:,}",
            f"{each.vocab_size:,}",
            f"{each.nats_per_token:.4f}",
            f"{each.bits_per_byte:.4f}",
            f"{each.distinct[1]:.3f}",
            "-" if each.self_bleu is None else f"{each.self_bleu:.1f}",
            f"{each.written_tokens_per_second:,.0f}",
        ]
        for each in profiles
    ]
    samples = [line for each in profiles for line in ("", f"--- {each.name}", *each.samples[:1])]
    return "\n".join([table([heads, *rows]), *samples])


def _distinct(texts: Sequence[str], n: int) -> float:
    return distinct_n(texts, n) if any(len(text.split()) >= n for text in texts) else 0.0
