"""All families: which are known, what their published models are, and which one can express a model."""

from gemini_workshop.config import ModelConfig
from gemini_workshop.errors import ConfigError, WorkshopError, unknown_name
from gemini_workshop.models.families.deepseek import DEEPSEEK_V2, DEEPSEEK_V3
from gemini_workshop.models.families.engine import Family, Values
from gemini_workshop.models.families.gemma import GEMMA, GEMMA2, GEMMA3
from gemini_workshop.models.families.gemma3_images import GEMMA3_IMAGES
from gemini_workshop.models.families.gemma4 import GEMMA4
from gemini_workshop.models.families.gemma4_unified import GEMMA4_UNIFIED, GEMMA4_UNIFIED_TEXT
from gemini_workshop.models.families.gpt2 import GPT2
from gemini_workshop.models.families.gpt_oss import GPT_OSS
from gemini_workshop.models.families.llama import LLAMA
from gemini_workshop.models.families.mixtral import MIXTRAL
from gemini_workshop.models.families.olmoe import OLMOE
from gemini_workshop.models.families.qwen3 import QWEN3, QWEN3_MOE

DENSE = [GPT2, LLAMA, QWEN3, GEMMA, GEMMA2, GEMMA3, GEMMA4, GEMMA4_UNIFIED_TEXT]
WITH_EXPERTS = [MIXTRAL, QWEN3_MOE, OLMOE, GPT_OSS, DEEPSEEK_V2, DEEPSEEK_V3]
WITH_MEDIA = [GEMMA3_IMAGES, GEMMA4_UNIFIED]
# In the order in which family_of tries them.
FAMILIES = {family.model_type: family for family in DENSE + WITH_EXPERTS + WITH_MEDIA}
MULTIMODAL = {family.multimodal_type: family.model_type for family in FAMILIES.values() if family.multimodal_type}
PUBLISHED = {name: (family, values) for family in FAMILIES.values() for name, values in family.sizes.items()}


def published_names() -> list[str]:
    """The published models whose configuration is known, family by family."""
    return list(PUBLISHED)


def published_config(name: str) -> ModelConfig:
    """The configuration of a published model.

    Raises:
        WorkshopError: the name is unknown.

    Example:
        >>> published_config("gpt2-xl").num_layers
        48
    """
    if name not in PUBLISHED:
        raise WorkshopError(unknown_name("published model called", name, PUBLISHED))
    family, values = PUBLISHED[name]
    return family.read(values)


def model_types() -> list[str]:
    """The families, as ``model_type`` in a config.json names them."""
    return list(FAMILIES)


def find_family(model_type: str) -> Family:
    """A family by its model_type.

    Raises:
        WorkshopError: the family is unknown.
    """
    if model_type not in FAMILIES:
        raise WorkshopError(unknown_name("family with model_type", model_type, FAMILIES))
    return FAMILIES[model_type]


def flat_values(values: Values, text_only: bool = False) -> Values:
    """A config.json without sections: the text_config of a multimodal model, and what its family reads beside it."""
    model_type = str(values.get("model_type"))
    if model_type not in MULTIMODAL:
        return values
    whole = {
        "model_type": MULTIMODAL[model_type] if text_only or model_type not in FAMILIES else model_type,
        "tie_word_embeddings": values.get("tie_word_embeddings", True),
        "quantization_config": values.get("quantization_config"),
    }
    outer_keys = FAMILIES[whole["model_type"]].outer_keys
    return values["text_config"] | {key: values[key] for key in outer_keys if key in values} | whole


def with_sections(values: Values) -> Values:
    """The inverse of :func:`flat_values`."""
    family = find_family(values["model_type"])
    if not family.outer_keys:
        return values
    outer = {key: values[key] for key in ("architectures", "model_type", "tie_word_embeddings", *family.outer_keys)}
    text = {key: value for key, value in values.items() if key not in (*family.outer_keys, "architectures")}
    return outer | {"text_config": text | {"model_type": MULTIMODAL[family.model_type]}}


def model_config_from(values: Values, text_only: bool = False) -> ModelConfig:
    """The model that a config.json describes.

    Args:
        text_only: without the parts that read images and audio.

    Raises:
        WorkshopError: the family is unknown, a key is missing, or has a value that the decoder does not support.
    """
    values = flat_values(values, text_only)
    return find_family(str(values.get("model_type"))).read(values)


def config_dict_from(config: ModelConfig, model_type: str) -> Values:
    """The config.json of a model as one family writes it.

    Raises:
        WorkshopError: the family cannot express the model.
    """
    family = find_family(model_type)
    if missing := family.missing(config):
        raise ConfigError(
            f"{model_type} cannot express {', '.join(missing)}. "
            "Choose another family, or none: then the first that can is used."
        )
    return with_sections(family.write(config))


def family_of(config: ModelConfig) -> str:
    """The first family that can express a model, as its model_type.

    Raises:
        ConfigError: there is none; the message names the closest, and what it cannot express.
    """
    candidates = {name: family for name, family in FAMILIES.items() if bool(family.outer_keys) == bool(config.media)}
    missing = {name: family.missing(config) for name, family in candidates.items()}
    closest = min(missing, key=lambda name: len(missing[name]))
    if missing[closest]:
        raise ConfigError(
            f"No published family can express this model. The closest is {closest}, which cannot express "
            f"{', '.join(missing[closest])}. Change these fields to export the model."
        )
    return closest
