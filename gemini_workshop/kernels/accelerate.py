"""Swap the parts of a model for faster ones that compute the same, and report what was left alone.

A part is swapped only if it is exactly what models/ or PyTorch defines. A subclass (such as a LoRA layer), a part that
is watched by a hook and an attention function of one's own keep their own forward.
"""

from dataclasses import dataclass, field

from torch import nn

from gemini_workshop.kernels.backends import fast_causal_attention
from gemini_workshop.kernels.experts import FastExperts
from gemini_workshop.kernels.linear import (
    FastLinear,
    FastTokenEmbedding,
    JointGatedFeedForward,
    JointQueryKeyValue,
    is_watched,
)
from gemini_workshop.models.attention import causal_attention
from gemini_workshop.models.attention_layers import GroupedQueryAttention
from gemini_workshop.models.embeddings import TokenEmbedding
from gemini_workshop.models.feedforward import GatedFeedForward
from gemini_workshop.models.latent_attention import LatentAttention
from gemini_workshop.models.moe import Experts

FASTER: dict[type[nn.Module], type[nn.Module]] = {
    nn.Linear: FastLinear,
    TokenEmbedding: FastTokenEmbedding,
    GroupedQueryAttention: JointQueryKeyValue,
    GatedFeedForward: JointGatedFeedForward,
    Experts: FastExperts,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Acceleration:
    """What :func:`accelerate` did.

    Args:
        swapped: how many parts of each class now compute faster.
        left_alone: the parts that keep their own forward, by their names in the model, and why.
    """

    swapped: dict[str, int] = field(default_factory=dict)
    left_alone: dict[str, str] = field(default_factory=dict)


def accelerate(model: nn.Module) -> Acceleration:
    """Let a model compute faster, in place. Its parameters, their names and its results stay as they are.

    A model that was accelerated already is left as it is.
    """
    done = Acceleration()
    for name, module in model.named_modules():
        faster = FASTER.get(type(module))
        if faster is not None and not is_watched(module):
            module.__class__ = faster  # the same weights and attributes, another forward
            done.swapped[faster.__name__] = done.swapped.get(faster.__name__, 0) + 1
        elif faster is not None:
            done.left_alone[name] = "is watched by a hook"
        elif isinstance(module, tuple(FASTER)) and type(module) not in FASTER.values():
            done.left_alone[name] = f"is a {type(module).__name__}"
        if isinstance(module, GroupedQueryAttention | LatentAttention):
            _accelerate_attention(name, module, done)
    return done


def _accelerate_attention(name: str, layer: GroupedQueryAttention | LatentAttention, done: Acceleration) -> None:
    """Exchange the function by which a layer attends, if it is the written-out one."""
    if layer.attend is causal_attention:
        layer.attend = fast_causal_attention
    elif layer.attend is not fast_causal_attention:
        done.left_alone[f"{name}.attend"] = f"is {getattr(layer.attend, '__qualname__', layer.attend)}"
