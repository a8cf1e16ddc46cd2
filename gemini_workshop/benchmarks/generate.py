"""Writing text: against transformers' Llama on the same weights, against no cache, and from a cold start.

A model is drawn at random, and transformers gets the same weights. Before anything is timed, both must write the same
tokens. The time of a token is that of a long text less that of a short one, divided by the difference.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gemini_workshop.benchmarks.measure import Comparison, comparison_table, cpu_seconds
from gemini_workshop.checkpoint import load_pretrained
from gemini_workshop.config import GenerationConfig, ModelConfig, RotaryConfig
from gemini_workshop.errors import WorkshopError
from gemini_workshop.generation.cache import new_cache
from gemini_workshop.generation.decode import decode_one, generate_text, prefill
from gemini_workshop.generation.fast.compiled import compiled_copy
from gemini_workshop.generation.fast.lean import lean_copy
from gemini_workshop.kernels.accelerate import accelerate
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.tables import table

PEER = "transformers"
PROMPT_TOKENS = 128
Goals = dict[str, tuple[float, float]]


@dataclass(frozen=True, kw_only=True, slots=True)
class LlamaSize:
    """A Llama, and what is promised there: times as fast, must and aim, by contestant."""

    name: str
    num_layers: int
    embed_dim: int
    num_heads: int
    ffn_dim: int
    vocab_size: int
    new_tokens: int
    goals: Goals


WORKSHOP = LlamaSize(
    name="6 layers, 256 wide, 4,096 tokens",
    num_layers=6,
    embed_dim=256,
    num_heads=4,
    ffn_dim=704,
    vocab_size=4096,
    new_tokens=64,
    goals={
        "fp32": (2.0, 2.6),
        "fp32, compiled": (2.4, 4.0),
        "int8": (3.0, 5.0),
        "int8, compiled": (3.6, 5.0),
        "with a cache": (7.5, 9.0),
    },
)
LARGER = LlamaSize(
    name="8 layers, 512 wide, 32,000 tokens",
    num_layers=8,
    embed_dim=512,
    num_heads=8,
    ffn_dim=1376,
    vocab_size=32_000,
    new_tokens=24,
    goals={"fp32": (1.3, 1.5), "bf16": (1.8, 2.2), "int8": (3.3, 4.0), "prefill": (1.03, 1.15)},
)
QUICK = LlamaSize(
    name="quick",
    num_layers=1,
    embed_dim=32,
    num_heads=2,
    ffn_dim=48,
    vocab_size=64,
    new_tokens=3,
    goals=WORKSHOP.goals,
)


def report(rounds: int = 5, is_quick: bool = False, with_compile: bool = False) -> str:
    """A table for each size, one about the cache and one about the start."""
    sizes = (QUICK,) if is_quick else (WORKSHOP, LARGER)
    tables = [
        comparison_table(
            f"One more token of a Llama of {size.name}, batch 1, against transformers' generate in fp32",
            compare(size, rounds, with_compile),
        )
        for size in sizes
    ]
    cached = compare_with_no_cache(sizes[0], 4 if is_quick else 128, rounds=1 if is_quick else 3)
    tables.append(comparison_table("A token with a cache, against reading the whole text again", [cached]))
    return "\n\n".join([*tables, start_table(rounds)])


def compare(size: LlamaSize, rounds: int, with_compile: bool) -> list[Comparison]:
    """The model as it is, its lean copies and, if asked for, these compiled; at last, reading the prompt."""
    model = drawn(size)
    peer = transformers_copy(model)
    models = {"fp32, as in the lessons": model}
    models |= {weights: lean_copy(model, weights) for weights in ("fp32", "bf16", "int8")}
    if with_compile:
        models |= {f"{weights}, compiled": compiled_copy(models[weights]) for weights in ("fp32", "bf16", "int8")}
    prompt = torch.randint(size.vocab_size, (1, PROMPT_TOKENS), generator=torch.Generator().manual_seed(0))
    check_same(model, peer, prompt)

    writers: dict[str, Callable[[int], Any]] = {name: _writer(each, prompt) for name, each in models.items()}
    writers[PEER] = lambda new_tokens: peer_tokens(peer, prompt, new_tokens)
    runs = {(name, number): _call(write, number) for name, write in writers.items() for number in (1, size.new_tokens)}
    seconds = cpu_seconds({f"{name} {number}": run for (name, number), run in runs.items()}, rounds=rounds)

    def per_token(name: str) -> float:
        return (seconds[f"{name} {size.new_tokens}"] - seconds[f"{name} 1"]) / (size.new_tokens - 1)

    rows = [_comparison(name, per_token(name), per_token(PEER), size.goals.get(name)) for name in models]
    prefill_seconds = seconds["fp32 1"], seconds[f"{PEER} 1"]
    return [
        *rows,
        _comparison(f"fp32, the first token after {PROMPT_TOKENS}", *prefill_seconds, size.goals.get("prefill")),
    ]


def compare_with_no_cache(size: LlamaSize, new_tokens: int, rounds: int) -> Comparison:
    """Our model after 128 tokens: one token at a time with a cache, or the whole text for each."""
    model = lean_copy(drawn(size))
    prompt = torch.randint(size.vocab_size, (1, PROMPT_TOKENS), generator=torch.Generator().manual_seed(0))

    @torch.inference_mode()
    def uncached() -> None:
        ids = prompt
        for _ in range(new_tokens):
            logits = model.logits(model.hidden_states(ids)[:, -1])
            ids = torch.cat([ids, logits.argmax(dim=-1, keepdim=True)], dim=1)

    seconds = cpu_seconds({"cached": _call(_writer(model, prompt), new_tokens), "uncached": uncached}, rounds=rounds)
    each = {name: taken / new_tokens for name, taken in seconds.items()}
    goals = size.goals["with a cache"]
    return _comparison(f"{PROMPT_TOKENS} + {new_tokens} tokens", each["cached"], each["uncached"], goals)


def start_table(rounds: int) -> str:
    """Seconds from nothing to the first word of the model that ships."""
    imports = [_import_seconds() for _ in range(rounds)]
    loads, firsts = [], []
    for _ in range(rounds):
        start = time.perf_counter()
        model, tokenizer = load_pretrained()
        loads.append(time.perf_counter() - start)
        start = time.perf_counter()
        next(generate_text(model, tokenizer, "Once upon a time", GenerationConfig()))
        firsts.append(time.perf_counter() - start)
    rows = [
        ("import gemini_workshop, beyond import torch", imports, 0.15),
        ("load the model that ships", loads, 1.0),
        ("first piece of text after that", firsts, 0.3),
    ]
    lines = [[name, f"{min(s):.3f}", f"{most:g}", "kept" if min(s) <= most else "MISSED"] for name, s, most in rows]
    return table([["", "measured", "at most", ""], *lines], "The start, wall seconds, the best of a few")


def drawn(size: LlamaSize) -> Transformer:
    """A Llama with every matrix drawn at random: zeros would be no work for some kernels."""
    config = ModelConfig(
        vocab_size=size.vocab_size,
        context_tokens=1024,
        embed_dim=size.embed_dim,
        num_layers=size.num_layers,
        num_heads=size.num_heads,
        num_kv_heads=size.num_heads,
        head_dim=size.embed_dim // size.num_heads,
        ffn_dim=size.ffn_dim,
        rope=RotaryConfig(base=10_000.0),
        norm_eps=1e-5,
        activation="silu",
        tied_head=False,
    )
    generator = torch.Generator().manual_seed(0)
    model = Transformer(config, generator).eval()
    for weight in model.parameters():
        if weight.ndim > 1:
            nn.init.normal_(weight, std=weight.shape[-1] ** -0.5, generator=generator)
    accelerate(model)
    return model


def transformers_copy(model: Transformer) -> Any:
    """The same model in transformers."""
    from transformers import LlamaForCausalLM

    from gemini_workshop.models.families import save_huggingface

    with tempfile.TemporaryDirectory() as folder:
        save_huggingface(model, folder)
        return LlamaForCausalLM.from_pretrained(folder).eval()


def check_same(model: Transformer, peer: Any, prompt: Tensor) -> None:
    """Both must write the same, or there is nothing to compare."""
    ours, theirs = write(model, prompt, 4), peer_tokens(peer, prompt, 4)[0, prompt.shape[1] :].tolist()
    if ours != theirs:
        raise WorkshopError(f"On equal weights, we wrote {ours} and transformers {theirs}: one of both is broken.")


def write(model: Transformer, prompt: Tensor, new_tokens: int) -> list[int]:
    """Greedy decoding."""
    cache = new_cache(model, max_tokens=prompt.shape[1] + new_tokens)
    tokens = prefill(model, prompt, cache).argmax(dim=-1)
    written = [int(tokens)]
    for _ in range(new_tokens - 1):
        tokens = decode_one(model, tokens, cache).argmax(dim=-1)
        written.append(int(tokens))
    return written


def peer_tokens(peer: Any, prompt: Tensor, new_tokens: int) -> Tensor:
    """Greedy decoding by transformers."""
    limits = {"max_new_tokens": new_tokens, "min_new_tokens": new_tokens}
    return peer.generate(prompt, attention_mask=torch.ones_like(prompt), do_sample=False, pad_token_id=0, **limits)


def _writer(model: Transformer, prompt: Tensor) -> Callable[[int], list[int]]:
    return lambda new_tokens: write(model, prompt, new_tokens)


def _call(function: Callable[[int], Any], argument: int) -> Callable[[], Any]:
    return lambda: function(argument)


def _import_seconds() -> float:
    """In a fresh process that has imported torch."""
    code = "import time, torch; start = time.perf_counter(); import gemini_workshop; print(time.perf_counter() - start)"
    return float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)


def _comparison(setting: str, ours: float, peer: float, goals: tuple[float, float] | None) -> Comparison:
    must, aim = goals or (None, None)
    return Comparison(setting=setting, ours_seconds=ours, peer_seconds=peer, must=must, aim=aim)
