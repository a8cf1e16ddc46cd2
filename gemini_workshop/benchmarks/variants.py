"""Mini-Gemini made small, its variants without one of its parts, and the tasks that all of them learn."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from gemini_workshop.benchmarks.late_fusion import LateFusion
from gemini_workshop.config import MediaConfig, ModelConfig, TowerConfig, WorkshopConfig, load_config
from gemini_workshop.data.media.dial_tones import KEYS
from gemini_workshop.data.media.documents import Part, TextPart
from gemini_workshop.data.tasks import find_task
from gemini_workshop.data.tasks.drawn import Draw, DrawnTask
from gemini_workshop.data.tasks.example import Task
from gemini_workshop.data.tasks.voices import press
from gemini_workshop.models.multimodal.stream import Media
from gemini_workshop.models.transformer import Transformer

SEEN, HEARD, BOTH, TEXT = "digits", "one-key", "image-sound", "stories"
WEIGHTS = {SEEN: 0.35, HEARD: 0.25, BOTH: 0.2, TEXT: 0.2}
VOCAB_SIZE = 1024
LEARNING_RATE = 2e-2  # high, as the runs are short and the model is narrow
Change = Callable[[ModelConfig], ModelConfig]


@dataclass(frozen=True, kw_only=True, slots=True)
class Variant:
    """A model to compare.

    Args:
        change: from the configuration of mini-Gemini, made small, to this variant's.
        model: the class that the configuration describes.
        drop: what is done to the media in the measurement, not in training.
    """

    name: str
    change: Change = lambda config: config
    model: type[Transformer] = Transformer
    drop: Callable[[Media], Media] | None = None


class OneKey(DrawnTask):
    """A single telephone key: what a short run can learn to hear."""

    def __init__(self) -> None:
        super().__init__(HEARD, "which telephone key was pressed?", ("dial-tones",))

    def drawn(self, draw: Draw) -> tuple[Sequence[Part], str]:
        """Any key, also in the held-out split, where the noise is another."""
        key = draw.random.choice(KEYS)
        return (press(key, draw), TextPart(text="Which key was pressed?")), key


def task_of(name: str) -> Task:
    """A task by its name."""
    return OneKey() if name == HEARD else find_task(name)


def dense(config: ModelConfig) -> ModelConfig:
    """A dense layer as wide as the experts that each token uses together."""
    assert config.moe is not None
    active = (config.moe.experts_per_token + config.moe.shared_experts) * config.moe.expert_dim
    return replace(config, moe=None, ffn_dim=active)


def unbalanced(config: ModelConfig) -> ModelConfig:
    """Nothing makes the router use all experts."""
    assert config.moe is not None
    return replace(config, moe=replace(config.moe, balance_weight=0.0))


def all_global(config: ModelConfig) -> ModelConfig:
    """Every layer sees everything, with the heads of the local ones."""
    return replace(config, layer_pattern=("global",), window_tokens=None, local_rope=None)


def with_tower(config: ModelConfig) -> ModelConfig:
    """Images pass a small vision transformer first; every patch stays one token."""
    assert config.media is not None
    tower = TowerConfig(num_layers=2, embed_dim=96, num_heads=3, ffn_dim=192, pool_patches=1)
    return replace(config, media=replace(config.media, tower=tower))


NATIVE = Variant(name="mini-Gemini, small")
VARIANTS = (
    NATIVE,
    Variant(name="dense, equal FLOPs", change=dense),
    Variant(name="experts not balanced", change=unbalanced),
    Variant(name="all layers global", change=all_global),
    Variant(name="a tower for images", change=with_tower),
    Variant(name="late fusion", model=LateFusion),
)
DROPPED = (
    Variant(name="  its images empty", drop=lambda media: media._replace(patches=torch.zeros_like(media.patches))),
    Variant(name="  its audio silent", drop=lambda media: media._replace(frames=torch.zeros_like(media.frames))),
)
"""Not trained again: the model of the first line, without one of its senses."""


def small_config(steps: int) -> WorkshopConfig:
    """Mini-Gemini with half the width and two thirds of the layers, images of 4 x 4 patches, and a short run."""
    config = load_config("mini-gemini")
    assert config.model.moe is not None
    model = replace(
        config.model,
        vocab_size=VOCAB_SIZE,
        embed_dim=96,
        num_layers=4,
        num_heads=3,
        num_kv_heads=1,
        global_head_dim=None,
        embedding_scale=96**0.5,
        ffn_dim=192,
        layer_pattern=("local", "local", "local", "global"),
        window_tokens=64,
        moe=replace(config.model.moe, expert_dim=64),
        media=MediaConfig(
            image_token_id=VOCAB_SIZE - 5, audio_token_id=VOCAB_SIZE - 2, patch_pixels=4, max_rows=4, patch_dim=96
        ),
    )
    training = replace(
        config.training,
        steps=steps,
        batch_size=8,
        row_tokens=128,
        learning_rate=LEARNING_RATE,
        warmup_steps=min(50, steps),
        precision="fp32",
    )
    return replace(config, model=model, training=training)
