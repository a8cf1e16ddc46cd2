"""Attention through a window of 512 tokens, and of short whole texts by chunks, against PyTorch's kernel.

The window is compared with the kernel without one, and with the window as a mask. One sequence, 8 heads of 64 channels,
float32, one thread. Before anything is timed, it is checked that those that compute the same give the same output.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from gemini_workshop.benchmarks.measure import Comparison, comparison_table, cpu_seconds
from gemini_workshop.kernels.chunked_attention import chunked_causal_attention
from gemini_workshop.kernels.fused_attention import fused_causal_attention
from gemini_workshop.kernels.windowed_attention import windowed_causal_attention
from gemini_workshop.models.attention import AttentionFunction, AttentionRule
from gemini_workshop.tables import table
from gemini_workshop.training.memory import peak_bytes

LENGTHS, WINDOW_TOKENS = (2048, 4096, 8192), 512
NUM_HEADS, HEAD_DIM = 8, 64
MIB = 2**20
OURS, FULL, MASKED = "sliding window", "full causal", "band mask"
# Times as fast as the peer: what is promised, and what is aimed at, for a window of 512 tokens.
SPEED_GOALS: dict[tuple[str, str], dict[int, tuple[float, float]]] = {
    (FULL, "forward"): {2048: (1.25, 1.5), 4096: (1.9, 2.5), 8192: (3.5, 4.5)},
    (FULL, "forward + backward"): {2048: (1.15, 1.4), 4096: (1.5, 2.2), 8192: (2.0, 3.5)},
    (MASKED, "forward"): {2048: (2.2, 2.8), 4096: (4.2, 5.0), 8192: (8.5, 10.0)},
}
WHOLE_LENGTHS = (128, 256, 512, 1024)  # of texts that training reads whole
MEMORY_GOALS = {8192: (64, 40)}  # MiB at most


def report(
    lengths: Sequence[int] = LENGTHS,
    window_tokens: int = WINDOW_TOKENS,
    rounds: int = 5,
    whole_lengths: Sequence[int] = WHOLE_LENGTHS,
) -> str:
    """The tables of speed and of memory through a window, and of the speed of whole texts."""
    attentions, speed, memory = contestants(window_tokens), [], []
    for num_tokens in lengths:
        inputs = draw(num_tokens)
        check_same(attentions, inputs)
        has_goals = window_tokens == WINDOW_TOKENS
        speed += compare_speed(attentions, inputs, rounds, has_goals)
        memory.append(compare_memory(attentions, inputs, has_goals))
    speed.sort(key=lambda comparison: comparison.setting.rpartition(",")[0])  # stable: lengths stay in order
    header = ["", *attentions, "must", "aim", ""]
    return "\n\n".join(
        [
            comparison_table(f"Window of {window_tokens} tokens: CPU time against scaled_dot_product_attention", speed),
            table([header, *memory], "Memory of forward + backward beyond inputs and gradients, MiB"),
            comparison_table(
                "Whole texts by chunks, forward + backward, against scaled_dot_product_attention in float32",
                [row for length in whole_lengths for row in compare_chunks(length, rounds)],
            ),
        ]
    )


def contestants(window_tokens: int) -> dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]]:
    """Ours, and PyTorch's kernel without the window and with it."""
    rule = AttentionRule(window_tokens=window_tokens)

    def bound(attend: AttentionFunction, rule: AttentionRule) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
        return lambda query, key, value: attend(query, key, value, rule)

    return {
        OURS: bound(windowed_causal_attention, rule),
        FULL: bound(fused_causal_attention, replace(rule, window_tokens=None)),
        MASKED: bound(fused_causal_attention, rule),
    }


def draw(num_tokens: int) -> list[Tensor]:
    """Query, key and value."""
    generator = torch.Generator().manual_seed(0)
    shape = (1, NUM_HEADS, num_tokens, HEAD_DIM)
    return [torch.randn(shape, generator=generator).requires_grad_() for _ in range(3)]


def check_same(attentions: dict[str, Callable[..., Tensor]], inputs: list[Tensor]) -> None:
    """The windowed ones must agree, or there is nothing to compare."""
    with torch.no_grad():
        torch.testing.assert_close(attentions[OURS](*inputs), attentions[MASKED](*inputs))


def compare_speed(
    attentions: dict[str, Callable[..., Tensor]], inputs: list[Tensor], rounds: int, has_goals: bool
) -> list[Comparison]:
    """Forward alone, and with backward."""
    direction = torch.ones_like(inputs[0])

    def forward(attend: Callable[..., Tensor]) -> None:
        with torch.no_grad():
            attend(*inputs)

    def both(attend: Callable[..., Tensor]) -> None:
        torch.autograd.grad(attend(*inputs), inputs, direction)

    comparisons, num_tokens = [], inputs[0].shape[2]
    for what, step in {"forward": forward, "forward + backward": both}.items():
        steps = {name: lambda attend=attend, step=step: step(attend) for name, attend in attentions.items()}
        seconds = cpu_seconds(steps, rounds=rounds, title=f"{what}, {num_tokens:,} tokens")
        for peer in (FULL, MASKED):
            goals = SPEED_GOALS.get((peer, what), {}) if has_goals else {}
            must, aim = goals.get(num_tokens, (None, None))
            comparisons.append(
                Comparison(
                    setting=f"{peer}, {what}, {num_tokens} tokens",
                    ours_seconds=seconds[OURS],
                    peer_seconds=seconds[peer],
                    must=must,
                    aim=aim,
                )
            )
    return comparisons


def compare_chunks(num_tokens: int, rounds: int) -> list[Comparison]:
    """What training on a CPU computes, in float32 and in bfloat16; the kernel is faster in float32 than in bfloat16."""
    exact = draw(num_tokens)
    rounded = [x.detach().bfloat16().requires_grad_() for x in exact]
    query, key, value = exact
    ours, theirs = chunked_causal_attention(query, key, value), fused_causal_attention(query, key, value)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)

    def both(attend: Callable[..., Tensor], inputs: list[Tensor]) -> Callable[[], object]:
        return lambda: torch.autograd.grad(attend(*inputs), inputs, torch.ones_like(inputs[0]))

    steps = {
        "kernel": both(fused_causal_attention, exact),
        "float32": both(chunked_causal_attention, exact),
        "bfloat16": both(chunked_causal_attention, rounded),
    }
    seconds = cpu_seconds(steps, rounds=rounds, title=f"chunks, {num_tokens:,} tokens")
    return [
        Comparison(setting=f"{dtype}, {num_tokens} tokens", ours_seconds=seconds[dtype], peer_seconds=seconds["kernel"])
        for dtype in ("float32", "bfloat16")
    ]


def compare_memory(attentions: dict[str, Callable[..., Tensor]], inputs: list[Tensor], has_goals: bool) -> list[str]:
    """A row of the table: what each holds at its worst moment, besides what everybody has to hold."""
    gradients = sum(x.nbytes for x in inputs)

    def extra_mib(attend: Callable[..., Tensor]) -> float:
        peak = peak_bytes(lambda: torch.autograd.grad(attend(*inputs).sum(), inputs))
        return (peak - gradients) / MIB

    mib = {name: extra_mib(attend) for name, attend in attentions.items()}
    num_tokens = inputs[0].shape[2]
    row = [f"{num_tokens} tokens", *(f"{amount:.1f}" for amount in mib.values())]
    if not has_goals or num_tokens not in MEMORY_GOALS:
        return [*row, "", "", ""]
    must, aim = MEMORY_GOALS[num_tokens]
    verdict = "aim reached" if mib[OURS] <= aim else "kept" if mib[OURS] <= must else "MISSED"
    return [*row, f"{must}", f"{aim}", verdict]
