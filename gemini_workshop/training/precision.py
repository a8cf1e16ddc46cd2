"""The number format of the matrix products, and which one is fastest here.

Sixteen bits are two to seven times as fast where the processor has instructions for them, and slower than thirty-two
where it does not. The processor's name is not a reliable guide, so a short measurement decides.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Int
from torch import Tensor

from gemini_workshop.kernels.backends import fast_causal_attention
from gemini_workshop.kernels.chunked_attention import suits_chunks
from gemini_workshop.models.attention import AttentionRule
from gemini_workshop.models.transformer import Transformer

Precision = Literal["fp32", "bf16", "fp16"]
WORTHWHILE = 0.9  # 16 bits must take less than this fraction of the time of 32, which are more exact
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def attention_on_cpu(query: Tensor, key: Tensor, value: Tensor, rule: AttentionRule) -> Tensor:
    """Attention under autocast: in its dtype by products of chunks, or else in float32.

    PyTorch's fused kernel is slower in bfloat16 than in float32 in the backward pass, where a CPU has no matrix units.
    """
    device = query.device.type
    low = torch.get_autocast_dtype(device)
    dtype = low if suits_chunks(query, key, rule, low) else torch.float32
    with torch.autocast(device, enabled=False):
        return fast_causal_attention(query.to(dtype), key.to(dtype), value.to(dtype), rule)


@contextmanager
def matrix_products_in(precision: str, model: Transformer) -> Iterator[None]:
    """Inside, matrix products take ``precision`` (fp32, bf16 or fp16); weights, norms and the loss stay in float32."""
    if precision == "fp32":
        yield
        return
    device = next(model.parameters()).device.type
    attention = model.attention_by(attention_on_cpu) if device == "cpu" else nullcontext()
    with attention, torch.autocast(device, dtype=DTYPES[precision]):
        yield


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasuredPrecision:
    """Seconds that a batch takes, forward and backward, in each number format."""

    seconds: dict[Precision, float]

    @property
    def fastest(self) -> Precision:
        """The format to use: float32, unless another one is clearly faster."""
        best = min(self.seconds, key=self.seconds.__getitem__)
        return best if self.seconds[best] < WORTHWHILE * self.seconds["fp32"] else "fp32"

    def __str__(self) -> str:
        """For example ``bf16 (12.1 ms per batch; fp32 20.3 ms)``."""
        others = "; ".join(f"{name} {1e3 * s:.1f} ms" for name, s in self.seconds.items() if name != self.fastest)
        return f"{self.fastest} ({1e3 * self.seconds[self.fastest]:.1f} ms per batch; {others})"


def measure_precision(model: Transformer, inputs: Int[Tensor, "B T"], rounds: int = 3) -> MeasuredPrecision:
    """Time one batch in float32 and bfloat16, alternating; the best of the rounds counts.

    Neither weights nor gradients nor random generators are touched.
    """
    device = next(model.parameters()).device
    inputs = inputs.to(device)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    seconds: dict[Precision, float] = {"fp32": math.inf, "bf16": math.inf}
    for round_number in range(rounds + 1):
        for precision in seconds:
            start = time.perf_counter()
            with matrix_products_in(precision, model):
                logits = model(inputs)
            torch.autograd.grad(logits.float().logsumexp(dim=-1).mean(), weights, allow_unused=True)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            if round_number > 0:  # the first warms up
                seconds[precision] = min(seconds[precision], time.perf_counter() - start)
    return MeasuredPrecision(seconds=seconds)
