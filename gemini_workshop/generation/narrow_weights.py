"""Linear layers for decoding, which waits for memory and not for arithmetic: a token needs every weight once.

    fp32   the weights as they are, column after column: one token's product is a sum of columns
    bf16   rounded to bfloat16, eight significant bits: half as much to read
    int8   every row divided by its own scale and rounded to -127 ... 127, seven bits: a quarter

What goes in and what comes out stays as it is, and sums are in float32. The fast kernels are private to PyTorch; where
one is missing, an ordinary product takes its place. In compiled code, one token's product is written out as products
and sums: made into a loop over the rows, it reads memory in one stream, which libraries made for large products do not.

Source: Dettmers et al. 2022, arXiv:2208.07339, section 2.1, vector-wise quantization; here of the weights alone.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int8, Shaped
from torch import Tensor, nn

INT8_MAX = 127
FEW_TOKENS = 16  # with more at once, arithmetic takes longer than reading the weights
SUM = 0  # PyTorch's number for it in embedding_bag
LONG_COLUMN = 4096  # a sum of longer columns does not stay in the fastest memory while it grows


def quantize_rows(weight: Float[Tensor, "N D"]) -> tuple[Int8[Tensor, "N D"], Float[Tensor, " N"]]:
    """Round every row to 8 bits; ``numbers * scales[:, None]`` is nearly the weight.

    Example:
        >>> quantize_rows(torch.tensor([[0.5, -1.27]]))
        (tensor([[  50, -127]], dtype=torch.int8), tensor([0.0100]))
    """
    scales = (weight.abs().amax(dim=1) / INT8_MAX).clamp_min(torch.finfo(weight.dtype).tiny)
    return (weight / scales[:, None]).round().to(torch.int8), scales


def row_products(weight: Tensor, x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B N"]:
    """``weight x`` of one token, written out."""
    row = x.as_strided((1, x.shape[-1]), (x.shape[-1], 1))  # makes a compiler finish x before it starts on the rows
    return (weight.to(x.dtype) * row).sum(dim=-1).view(*x.shape[:-1], -1)


class DecodingLinear(nn.Module):
    """``x W.T + b``, fast for a single token."""

    weight: Tensor

    def __init__(self, weight: Shaped[Tensor, "N D"], bias: Float[Tensor, " N"] | None = None) -> None:
        super().__init__()
        self.register_buffer("weight", weight.detach())
        self.bias = bias
        is_float32_on_cpu = self.weight.device.type == "cpu" and self.weight.dtype == torch.float32
        self.packed = self.weight.T.contiguous() if is_float32_on_cpu else None
        self.every_column, self.start = torch.arange(self.weight.shape[1]), torch.zeros(1, dtype=torch.int64)

    def forward(self, x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B N"]:
        """Multiply."""
        num_tokens = x.numel() // x.shape[-1]
        if num_tokens > FEW_TOKENS:
            product = self.many(x)
        elif num_tokens == 1 and torch.compiler.is_compiling():
            product = self.written_out(x)
        else:
            product = self.few(x)
        return product if self.bias is None else product + self.bias

    __call__ = forward

    def few(self, x: Tensor) -> Tensor:
        """The product of a few tokens."""
        if self.packed is None or x.numel() > x.shape[-1]:
            return F.linear(x, self.weight)
        if self.packed.shape[1] > LONG_COLUMN:
            return x @ self.packed
        columns, numbers = self.every_column, x.flatten()
        total = torch.embedding_bag(self.packed, columns, self.start, mode=SUM, per_sample_weights=numbers)[0]
        return total.view(*x.shape[:-1], -1)

    def many(self, x: Tensor) -> Tensor:
        """The product of many tokens."""
        return F.linear(x, self.weight)

    def written_out(self, x: Tensor) -> Tensor:
        """The product of one token, as compiled code has it."""
        return row_products(self.weight, x)


class BFloat16Linear(DecodingLinear):
    """``x W.T + b`` with W, and what goes in, in bfloat16."""

    def __init__(self, weight: Float[Tensor, "N D"], bias: Float[Tensor, " N"] | None = None) -> None:
        super().__init__(weight.bfloat16(), bias)
        self.packed = _packed_for_onednn(self.weight)

    def few(self, x: Tensor) -> Tensor:
        """The product of a few tokens."""
        if self.packed is None:
            return self.many(x)
        return torch.ops.mkldnn._linear_pointwise(x.bfloat16(), self.packed, None, "none", [], "").to(x.dtype)

    def many(self, x: Tensor) -> Tensor:
        """The product of many tokens."""
        return F.linear(x.bfloat16(), self.weight).to(x.dtype)


class Int8Linear(DecodingLinear):
    """``x W.T + b`` with the rows of W in 8 bits. For many tokens, the weights are widened first."""

    scales: Tensor

    def __init__(self, weight: Float[Tensor, "N D"], bias: Float[Tensor, " N"] | None = None) -> None:
        numbers, scales = quantize_rows(weight.detach())
        super().__init__(numbers, bias)
        self.register_buffer("scales", scales)
        self.packed = scales.bfloat16() if _has_int8_kernel(weight.device) else None

    def few(self, x: Tensor) -> Tensor:
        """The product of a few tokens."""
        if self.packed is None:
            return self.many(x)
        rows = x.reshape(-1, x.shape[-1]).bfloat16()
        return torch._weight_int8pack_mm(rows, self.weight, self.packed).to(x.dtype).view(*x.shape[:-1], -1)

    def many(self, x: Tensor) -> Tensor:
        """The product of many tokens."""
        return F.linear(x, self.weight.to(x.dtype)) * self.scales.to(x.dtype)

    def written_out(self, x: Tensor) -> Tensor:
        """The product of one token, as compiled code has it."""
        return row_products(self.weight, x) * self.scales


def _packed_for_onednn(weight: Tensor) -> Tensor | None:
    """A bfloat16 matrix in the order in which oneDNN reads it, or None where that cannot be done."""
    try:
        packed = torch.ops.mkldnn._reorder_linear_weight(weight, 1)
        torch.ops.mkldnn._linear_pointwise(weight[:1], packed, None, "none", [], "")
    except (AttributeError, RuntimeError, NotImplementedError):
        return None
    return packed


def _has_int8_kernel(device: torch.device) -> bool:
    """Whether PyTorch multiplies bfloat16 with 8-bit weights on this device."""
    if device.type != "cpu":
        return False
    try:
        x, numbers = torch.zeros(1, 32, dtype=torch.bfloat16), torch.zeros(16, 32, dtype=torch.int8)
        torch._weight_int8pack_mm(x, numbers, torch.ones(16, dtype=torch.bfloat16))
    except (AttributeError, RuntimeError):
        return False
    return True
