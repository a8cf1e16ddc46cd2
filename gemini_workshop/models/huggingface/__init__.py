"""Exchange with the ecosystem: models as Hugging Face's transformers reads and writes them.

    model = load_huggingface("folder")          any published family: see :func:`model_types`
    save_huggingface(model, "folder")           AutoModelForCausalLM.from_pretrained("folder") has equal logits

``dialect``, ``rope``, ``aspects`` and ``dialects`` say how each family writes its config.json, ``config`` translates
it, ``names`` says where the weights lie, ``weights`` reads and writes them. Nothing of it needs transformers itself.
"""

from gemini_workshop.models.huggingface.config import config_dict_from, family_of, model_config_from, model_types
from gemini_workshop.models.huggingface.weights import load_huggingface, save_huggingface

__all__ = [
    "config_dict_from",
    "family_of",
    "load_huggingface",
    "model_config_from",
    "model_types",
    "save_huggingface",
]
