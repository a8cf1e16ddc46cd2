"""Linear layers for decoding. A token needs every weight once, so the time goes into reading weights from memory.

    fp32   the weights as they are, transposed as well: one token's product is a weighted sum of rows
    bf16   rounded to bfloat16, eight significant bits: half as much to read
    int8   every row divided by its own scale and rounded to -127 ... 127, seven bits: a quarter

What goes in and what comes out keeps its number format; sums are in float32. Each layer has up to four ways to compute
the same product: for one token, for a few, for many (where arithmetic takes longer than reading), and for one token in
compiled code.

The fast kernels are private to PyTorch; where one is missing, an ordinary product takes its place. In compiled code,
one token's product is written as products and sums: the compiler makes a loop over the rows of it, which reads memory
in one stream. Libraries for large products do not.

Source: Dettmers et al. 2022, arXiv:2208.07339, section 3.1, vector-wise quantization; here of the weights alone.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int8, Shaped
from torch import Tensor

from gemini_workshop.generation.fast.parts import DecodingPart

INT8_MAX = 127
FEW_TOKENS = 16  # with more at once, arithmetic takes longer than reading the weights
LONGEST_SUM = 4096  # longer sums of rows do not fit into the fastest memory while they grow
INT8_BLOCK = (16, 32)  # rows and columns
EMBEDDING_BAG_SUM = 0  # torch.embedding_bag's number for "sum", as against mean and max


def quantize_rows(weight: Float[Tensor, "N D"]) -> tuple[Int8[Tensor, "N D"], Float[Tensor, " N"]]:
    """Round every row to 8 bits; ``numbers * scales[:, None]`` is nearly the weight.

    Example:
        >>> quantize_rows(torch.tensor([[0.5, -1.27]]))
        (tensor([[  50, -127]], dtype=torch.int8), tensor([0.0100]))
    """
    scales = (weight.abs().amax(dim=1) / INT8_MAX).clamp_min(torch.finfo(weight.dtype).tiny)
    return (weight / scales[:, None]).round().to(torch.int8), scales


def row_products(weight: Shaped[Tensor, "N D"], x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B N"]:
    """``x W.T`` of one token, written as products and sums, for a compiler to make one loop of."""
    row = x.as_strided((1, x.shape[-1]), (x.shape[-1], 1))  # makes the compiler finish x before it starts on the rows
    return (weight.to(x.dtype) * row).sum(dim=-1).view(*x.shape[:-1], -1)


class DecodingLinear(DecodingPart):
    """``x W.T + b`` for decoding: the plain product, for subclasses to be faster where they can.

    Attributes:
        packed: what the kernels for one token and for few read beside or instead of ``weight``, different in each
            subclass; None where there are none, and :meth:`many` takes all tokens.
    """

    weight: Tensor

    def __init__(self, weight: Shaped[Tensor, "N D"], bias: Float[Tensor, " N"] | None) -> None:
        super().__init__()
        self.register_buffer("weight", weight.detach())
        self.bias = bias
        self.packed: Tensor | None = None

    def forward(self, x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B N"]:
        """The product, in the way that suits the number of tokens."""
        num_tokens = x.numel() // x.shape[-1]
        if num_tokens == 1 and torch.compiler.is_compiling():
            product = self.written_out(x)
        elif num_tokens > FEW_TOKENS or self.packed is None:
            product = self.many(x)
        else:
            product = self.one(x) if num_tokens == 1 else self.few(x)
        return product if self.bias is None else product + self.bias

    def many(self, x: Tensor) -> Tensor:
        """The product of many tokens."""
        return F.linear(x, self.weight)

    def few(self, x: Tensor) -> Tensor:
        """The product of a few tokens."""
        return self.many(x)

    def one(self, x: Tensor) -> Tensor:
        """The product of one token."""
        return self.few(x)

    def written_out(self, x: Tensor) -> Tensor:
        """The product of one token, for a compiler."""
        return row_products(self.weight, x)


class UnroundedLinear(DecodingLinear):
    """``x W.T + b`` with W as it is. In float32 on a CPU, W is kept transposed as well.

    One token's product is then the sum of all rows of the transposed W, each times one number of x. PyTorch has a fast
    kernel for that, made for sums of embeddings: it reads the rows one after the other.
    """

    def __init__(self, weight: Float[Tensor, "N D"], bias: Float[Tensor, " N"] | None = None) -> None:
        super().__init__(weight, bias)
        if weight.device.type == "cpu" and weight.dtype == torch.float32:
            self.packed = self.weight.T.contiguous()
            self.every_row, self.start = torch.arange(len(self.packed)), torch.zeros(1, dtype=torch.int64)

    def one(self, x: Tensor) -> Tensor:
        """The product of one token."""
        assert self.packed is not None
        if self.packed.shape[1] > LONGEST_SUM:
            return x @ self.packed
        total = torch.embedding_bag(
            self.packed, self.every_row, self.start, mode=EMBEDDING_BAG_SUM, per_sample_weights=x.flatten()
        )[0]
        return total.view(*x.shape[:-1], -1)


class BFloat16Linear(DecodingLinear):
    """``x W.T + b`` with W in bfloat16; what goes in is rounded to it, too, but not in compiled code."""

    def __init__(self, weight: Float[Tensor, "N D"], bias: Float[Tensor, " N"] | None = None) -> None:
        super().__init__(weight.bfloat16(), bias)
        self.packed = _packed_for_onednn(self.weight)

    def many(self, x: Tensor) -> Tensor:
        """The product of many tokens."""
        return F.linear(x.bfloat16(), self.weight).to(x.dtype)

    def few(self, x: Tensor) -> Tensor:
        """The product of a few tokens."""
        return torch.ops.mkldnn._linear_pointwise(x.bfloat16(), self.packed, None, "none", [], "").to(x.dtype)


class Int8Linear(DecodingLinear):
    """``x W.T + b`` with the rows of W in 8 bits. For many tokens, the weights are widened first."""

    scales: Tensor

    def __init__(self, weight: Float[Tensor, "N D"], bias: Float[Tensor, " N"] | None = None) -> None:
        numbers, scales = quantize_rows(weight.detach())
        super().__init__(numbers, bias)
        self.register_buffer("scales", scales)
        # The kernel reads the 8 bits as they are, and the scales in bfloat16.
        self.packed = scales.bfloat16() if _has_int8_kernel(weight) else None

    def many(self, x: Tensor) -> Tensor:
        """The product of many tokens."""
        return F.linear(x, self.weight.to(x.dtype)) * self.scales.to(x.dtype)

    def few(self, x: Tensor) -> Tensor:
        """The product of a few tokens."""
        assert self.packed is not None
        rows = x.reshape(-1, x.shape[-1]).bfloat16()
        return torch._weight_int8pack_mm(rows, self.weight, self.packed).to(x.dtype).view(*x.shape[:-1], -1)

    def written_out(self, x: Tensor) -> Tensor:
        """The product of one token, for a compiler."""
        return row_products(self.weight, x) * self.scales


LINEAR: dict[str, type[UnroundedLinear | BFloat16Linear | Int8Linear]] = {
    "fp32": UnroundedLinear,
    "bf16": BFloat16Linear,
    "int8": Int8Linear,
}


def _packed_for_onednn(weight: Tensor) -> Tensor | None:
    """A bfloat16 matrix in the order in which oneDNN reads it, or None where that cannot be done."""
    try:
        packed = torch.ops.mkldnn._reorder_linear_weight(weight, 1)
        torch.ops.mkldnn._linear_pointwise(weight[:1], packed, None, "none", [], "")
    except (AttributeError, RuntimeError, NotImplementedError):
        return None
    return packed


def _has_int8_kernel(weight: Tensor) -> bool:
    """Whether PyTorch multiplies bfloat16 with 8-bit weights of this size on this device.

    The kernel reads blocks, and past the end of a matrix that is not made of whole ones.
    """
    if weight.device.type != "cpu" or weight.shape[0] % INT8_BLOCK[0] or weight.shape[1] % INT8_BLOCK[1]:
        return False
    try:
        x, numbers = torch.zeros(1, 32, dtype=torch.bfloat16), torch.zeros(16, 32, dtype=torch.int8)
        torch._weight_int8pack_mm(x, numbers, torch.ones(16, dtype=torch.bfloat16))
    except (AttributeError, RuntimeError):
        return False
    return True
