"""The same function in other words: some models can be published when their norms are written otherwise.

x / rms(x) * weight  =  x / rms(x) * (1 + (weight - 1))
"""

from dataclasses import replace

from gemini_workshop.config import ModelConfig
from gemini_workshop.models.accounting import without_memory
from gemini_workshop.models.huggingface.config import DIALECTS, differences, find_dialect
from gemini_workshop.models.normalization import RMSNorm
from gemini_workshop.models.transformer import Transformer


def in_published_words(model: Transformer, family: str | None = None) -> Transformer:
    """The model itself, or its twin with Gemma's norms where only that one has words in the family, or in any."""
    dialects = DIALECTS.values() if family is None else [find_dialect(family)]

    def is_expressible(config: ModelConfig) -> bool:
        return any(not differences(config, dialect) for dialect in dialects)

    twin = replace(model.config, norm="rms_offset")
    if model.config.norm == "rms" and not is_expressible(model.config) and is_expressible(twin):
        return with_offset_norms(model)
    return model


def with_offset_norms(model: Transformer) -> Transformer:
    """A model that computes the same, and whose RMSNorms multiply by 1 + weight."""
    twin = without_memory(replace(model.config, norm="rms_offset"))
    weights = model.state_dict()
    norms = [f"{name}.weight" for name, module in model.named_modules() if type(module) is RMSNorm]
    twin.load_state_dict(weights | {name: weights[name] - 1 for name in norms}, assign=True)
    twin.restore_constants(next(model.parameters()).device)
    return twin.train(model.training)
