"""Linear layers whose weights are stored in fewer bits, because decoding waits for memory, not for arithmetic.

To write one token, every weight is read once and used once. In 16 bits there is half as much to read, in 8 a quarter.
What goes in and what comes out keeps its format, and sums are in float32.

    fp16   the weights rounded to float16: eleven significant bits
    int8   every row of the matrix divided by its own scale and rounded to -127 ... 127: seven bits

Source: Dettmers et al. 2022, arXiv:2208.07339, section 2.1, vector-wise quantization; here of the weights alone.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int8
from torch import Tensor, nn

INT8_MAX = 127
MANY_ROWS = 16  # from so many tokens at once on, arithmetic takes longer than reading the weights


def quantize_rows(weight: Float[Tensor, "N D"]) -> tuple[Int8[Tensor, "N D"], Float[Tensor, " N"]]:
    """Round every row to 8 bits; ``numbers * scales[:, None]`` is nearly the weight.

    Example:
        >>> quantize_rows(torch.tensor([[0.5, -1.27]]))
        (tensor([[  50, -127]], dtype=torch.int8), tensor([0.0100]))
    """
    scales = (weight.abs().amax(dim=1) / INT8_MAX).clamp_min(torch.finfo(weight.dtype).tiny)
    return (weight / scales[:, None]).round().to(torch.int8), scales


class Int8Linear(nn.Module):
    """``x W.T + b`` with the rows of W in 8 bits.

    For a few tokens on a CPU, a kernel multiplies bfloat16 activations with the 8-bit weights as they are. Where it is
    missing, and for many tokens, the weights are widened first.
    """

    numbers: Tensor
    scales: Tensor
    kernel_scales: Tensor

    def __init__(self, weight: Float[Tensor, "N D"], bias: Float[Tensor, " N"] | None = None) -> None:
        super().__init__()
        numbers, scales = quantize_rows(weight.detach())
        self.register_buffer("numbers", numbers)
        self.register_buffer("scales", scales)
        self.register_buffer("kernel_scales", scales.bfloat16())
        self.bias = bias
        self.has_kernel = _has_int8_kernel(weight.device)

    def forward(self, x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B N"]:
        """Multiply, in float32 or with bfloat16 activations."""
        rows = x.reshape(-1, x.shape[-1])
        if self.has_kernel and len(rows) < MANY_ROWS:
            product = torch._weight_int8pack_mm(rows.bfloat16(), self.numbers, self.kernel_scales).to(x.dtype)
        else:
            product = F.linear(rows, self.numbers.to(x.dtype)) * self.scales.to(x.dtype)
        if self.bias is not None:
            product = product + self.bias
        return product.view(*x.shape[:-1], -1)


class Float16Linear(nn.Module):
    """``x W.T + b`` with W in float16, packed for a kernel that reads and writes float32."""

    def __init__(self, weight: Float[Tensor, "N D"], bias: Float[Tensor, " N"] | None = None) -> None:
        super().__init__()
        self.packed = torch.ops.quantized.linear_prepack_fp16(weight.detach().float(), bias)

    def forward(self, x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B N"]:
        """Multiply; sums are in float32."""
        return torch.ops.quantized.linear_dynamic_fp16(x, self.packed)


def _has_int8_kernel(device: torch.device) -> bool:
    """Whether PyTorch has its private kernel for 8-bit weights, and takes these numbers."""
    if device.type != "cpu" or not hasattr(torch, "_weight_int8pack_mm"):
        return False
    try:
        x, numbers = torch.zeros(1, 32, dtype=torch.bfloat16), torch.zeros(16, 32, dtype=torch.int8)
        torch._weight_int8pack_mm(x, numbers, torch.ones(16, dtype=torch.bfloat16))
    except RuntimeError:
        return False
    return True
