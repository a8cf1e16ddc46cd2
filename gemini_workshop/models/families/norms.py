"""Models whose norms must be rewritten before a family can express them.

Gemma stores the weights of norms as offsets from 1, and computes the same:

    x / rms(x) * weight  =  x / rms(x) * (1 + (weight - 1))
"""

from dataclasses import replace

from gemini_workshop.config import ModelConfig
from gemini_workshop.models.accounting import without_memory
from gemini_workshop.models.families.registry import FAMILIES, find_family
from gemini_workshop.models.normalization import RMSNorm
from gemini_workshop.models.transformer import Transformer


def publishable(model: Transformer, family: str | None = None) -> Transformer:
    """The model itself; or with offset norms, if the family (or any, if none is given) can express only those."""
    families = FAMILIES.values() if family is None else [find_family(family)]

    def is_expressible(config: ModelConfig) -> bool:
        return any(not candidate.missing(config) for candidate in families)

    rewritten = replace(model.config, norm="rms_offset")
    if model.config.norm == "rms" and not is_expressible(model.config) and is_expressible(rewritten):
        return with_offset_norms(model)
    return model


def with_offset_norms(model: Transformer) -> Transformer:
    """A copy that computes the same, and whose RMSNorms multiply by 1 + weight."""
    copy = without_memory(replace(model.config, norm="rms_offset"))
    weights = model.state_dict()
    norms = [f"{name}.weight" for name, module in model.named_modules() if type(module) is RMSNorm]
    copy.load_state_dict(weights | {name: weights[name] - 1 for name in norms}, assign=True)
    copy.restore_constants(next(model.parameters()).device)
    return copy.train(model.training)
