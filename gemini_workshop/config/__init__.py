"""Configuration: frozen, fully checked, plain data.

A preset is a YAML file in ``gemini_workshop/config/presets`` with one section for each class below. It is read with
:func:`load_config`, changed with :func:`override` and written with :func:`to_yaml`; nothing else is global.
"""

from gemini_workshop.config.components import LatentAttentionConfig, MoEConfig, RotaryConfig
from gemini_workshop.config.generation import GenerationConfig
from gemini_workshop.config.media import MediaConfig, TowerConfig
from gemini_workshop.config.model import LayerConfig, ModelConfig
from gemini_workshop.config.training import TrainingConfig
from gemini_workshop.config.workshop import SECTIONS, WorkshopConfig, load_config, override, preset_names, to_yaml

__all__ = [
    "SECTIONS",
    "GenerationConfig",
    "LatentAttentionConfig",
    "LayerConfig",
    "MediaConfig",
    "MoEConfig",
    "ModelConfig",
    "RotaryConfig",
    "TowerConfig",
    "TrainingConfig",
    "WorkshopConfig",
    "load_config",
    "override",
    "preset_names",
    "to_yaml",
]
