"""The number format of the matrix products."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor

from gemini_workshop.models.attention import AttentionRule
from gemini_workshop.models.backends import fast_causal_attention
from gemini_workshop.models.transformer import Transformer

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def attention_in_float32(query: Tensor, key: Tensor, value: Tensor, rule: AttentionRule) -> Tensor:
    """Attention kept out of autocast: on CPUs the fused kernel's bfloat16 backward is slower than its float32 one."""
    with torch.autocast(query.device.type, enabled=False):
        return fast_causal_attention(query.float(), key.float(), value.float(), rule)


@contextmanager
def matrix_products_in(precision: str, model: Transformer) -> Iterator[None]:
    """Inside, matrix products take ``precision`` (fp32, bf16 or fp16); weights, norms and the loss stay in float32."""
    if precision == "fp32":
        yield
        return
    device = next(model.parameters()).device.type
    attention = model.attention_by(attention_in_float32) if device == "cpu" else nullcontext()
    with attention, torch.autocast(device, dtype=DTYPES[precision]):
        yield
