"""Configuration: frozen, wholly checked, plain data.

A preset is a YAML file in ``gemini_workshop/config/presets`` with one section for each class below. It is read with
:func:`load_config`, changed with :func:`override` and written with :func:`to_yaml`; nothing else is global.
"""

from gemini_workshop.config.model import LatentAttentionConfig, LayerConfig, ModelConfig, MoEConfig, RotaryConfig
from gemini_workshop.config.training import GenerationConfig, TrainingConfig
from gemini_workshop.config.workshop import SECTIONS, WorkshopConfig, load_config, override, preset_names, to_yaml

__all__ = [
    "SECTIONS",
    "GenerationConfig",
    "LatentAttentionConfig",
    "LayerConfig",
    "MoEConfig",
    "ModelConfig",
    "RotaryConfig",
    "TrainingConfig",
    "WorkshopConfig",
    "load_config",
    "override",
    "preset_names",
    "to_yaml",
]
