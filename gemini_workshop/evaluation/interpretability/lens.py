"""The logit lens: what the model would predict, if each block were the last.

    logits after block i = head(norm(x_i))

The residual stream has one meaning from the first block to the last, so the head can read it anywhere on the way.

Source: nostalgebraist 2020, "interpreting GPT: the logit lens".
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gemini_workshop.models.transformer import Transformer


@torch.no_grad()
def lens_logits(model: Transformer, token_ids: Int[Tensor, " T"]) -> Float[Tensor, "layers T V"]:
    """The logits that the head reads off the stream: before the first block, then after each."""
    streams: list[Tensor] = []

    def before(_: nn.Module, inputs: tuple[Any, ...]) -> None:
        streams.append(inputs[0])

    def after(_: nn.Module, __: tuple[Any, ...], output: Tensor) -> None:
        streams.append(output)

    hooks = [model.blocks[0].register_forward_pre_hook(before)]
    hooks += [block.register_forward_hook(after) for block in model.blocks]
    try:
        model.hidden_states(token_ids[None])
    finally:
        for hook in hooks:
            hook.remove()
    return torch.stack([model.logits(model.norm(x))[0].float().cpu() for x in streams])
