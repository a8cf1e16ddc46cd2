"""Lesson 06, the transformer block and a whole model: what its exercises share."""

import torch.nn.functional as F
from torch import Tensor


def block_by_hand(
    w: dict[str, Tensor], at: str, num_heads: int, x: Tensor, mask: Tensor | None, eps: float = 1e-6
) -> Tensor:
    """A block from the formulas and PyTorch's own functions, in float64. Where there is no weight there is no norm."""

    def norm(x: Tensor, name: str) -> Tensor:
        weight = w.get(f"{at}{name}.weight")
        return x if weight is None else F.rms_norm(x, weight.shape, weight, eps)

    def attend(x: Tensor) -> Tensor:
        q, k, v = (
            F.linear(x, w[f"{at}attention.{name}.weight"]).unflatten(-1, (num_heads, -1)).transpose(1, 2)
            for name in ("query", "key", "value")
        )
        found = F.scaled_dot_product_attention(q, k, v, mask).transpose(1, 2).flatten(2)
        return F.linear(found, w[f"{at}attention.output.weight"])

    def think(x: Tensor) -> Tensor:
        gate, up = (F.linear(x, w[f"{at}feed_forward.{name}.weight"]) for name in ("gate", "up"))
        return F.linear(F.silu(gate) * up, w[f"{at}feed_forward.down.weight"])

    x = norm(x + norm(attend(norm(x, "attention_norm")), "attention_output_norm"), "attention_stream_norm")
    return norm(x + norm(think(norm(x, "feed_forward_norm")), "feed_forward_output_norm"), "feed_forward_stream_norm")
