"""Exchange with the ecosystem: models as Hugging Face's transformers reads and writes them.

    model = load_huggingface("folder")          a model of any family in :func:`model_types`
    save_huggingface(model, "folder")           AutoModelForCausalLM.from_pretrained("folder") has equal logits

How each family writes its config.json: ``dialect`` (what there is to say of a family), ``aspects`` and ``rope`` (what
takes more than another word), ``dense_families`` and ``moe_families`` (the families), ``config`` (to and fro).
``names`` says where the weights lie, ``weights`` reads and writes them, ``hub`` fetches them. Nothing of it needs
transformers itself.
"""

from gemini_workshop.models.huggingface.config import config_dict_from, family_of, model_config_from, model_types
from gemini_workshop.models.huggingface.hub import download_huggingface
from gemini_workshop.models.huggingface.weights import load_huggingface, save_huggingface

__all__ = [
    "config_dict_from",
    "download_huggingface",
    "family_of",
    "load_huggingface",
    "model_config_from",
    "model_types",
    "save_huggingface",
]
