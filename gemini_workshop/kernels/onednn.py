"""Float32 matrix products by oneDNN, the library that PyTorch uses for bfloat16: a tenth faster on some CPUs.

PyTorch hands float32 products to oneDNN only if it may round on the way. Where rounding would gain nothing on a CPU,
oneDNN does not round, and the result is exact. A measurement decides whether that is so here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor

ROUNDING = 1e-5  # relative; products in float32 stay below, products of numbers rounded to bfloat16 or TF32 far above


@contextmanager
def onednn_products(x: Tensor) -> Iterator[None]:
    """Inside, float32 products of tensors like ``x`` are computed by oneDNN, if that is as exact."""
    if x.dtype != torch.float32 or x.device.type != "cpu" or torch.compiler.is_compiling() or not is_exact():
        yield
        return
    matmul = _setting()
    before, matmul.fp32_precision = matmul.fp32_precision, "bf16"
    try:
        yield
    finally:
        matmul.fp32_precision = before


@cache
def is_exact() -> bool:
    """Whether oneDNN computes in float32 although it is allowed to round to bfloat16."""
    matmul = _setting()
    if matmul is None or not torch.backends.mkldnn.is_available():
        return False
    generator = torch.Generator().manual_seed(0)
    left, right = torch.randn(2, 256, 256, generator=generator)
    before, matmul.fp32_precision = matmul.fp32_precision, "bf16"
    try:
        with torch.autocast("cpu", enabled=False):
            product = left @ right
    finally:
        matmul.fp32_precision = before
    exact = left.double() @ right.double()
    return bool((product - exact).norm() < ROUNDING * exact.norm())


def _setting() -> Any:
    """PyTorch's setting for products on CPUs; it exists since 2.9."""
    return getattr(torch.backends.mkldnn, "matmul", None)
