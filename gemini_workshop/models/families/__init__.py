"""Published models: their configurations, and their files as Hugging Face's transformers reads and writes them.

    published_config("gemma-3-1b")              the architecture, a ModelConfig
    model = load_huggingface("folder")          a model of any family in :func:`model_types`
    save_huggingface(model, "folder")           AutoModelForCausalLM.from_pretrained("folder") has equal logits,
                                                AutoModelForImageTextToText if the model takes images and audio

To add a family, read ``mixtral.py``, one of the shortest, and write such a file: the sizes of its models, the keys of
its config.json, the names of its weights. Where another name is not enough, a ``Conversion`` (of fields) or a
``Layout`` (of tensors) says how to compute one from the other. List the family in ``registry`` and draw small models
of it in tests/models/families/published.py: every test then compares it with transformers.

``engine`` reads and writes a config.json by these declarations, ``weights`` reads and writes the tensors, ``hub``
downloads both. None of it needs transformers.
"""

from gemini_workshop.models.families.hub import download_huggingface
from gemini_workshop.models.families.registry import (
    config_dict_from,
    family_of,
    model_config_from,
    model_types,
    published_config,
    published_names,
)
from gemini_workshop.models.families.weights import load_huggingface, save_huggingface

__all__ = [
    "config_dict_from",
    "download_huggingface",
    "family_of",
    "load_huggingface",
    "model_config_from",
    "model_types",
    "published_config",
    "published_names",
    "save_huggingface",
]
