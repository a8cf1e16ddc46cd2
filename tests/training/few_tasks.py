"""A small multimodal run on two tasks that every machine has."""

from dataclasses import replace

from gemini_workshop.config import GenerationConfig, MediaConfig, TrainingConfig, WorkshopConfig
from gemini_workshop.data.tasks import find_task, mixture
from tests import tiny

VOCAB_SIZE = 330
CONFIG = WorkshopConfig(
    model=replace(
        tiny.MODEL,
        vocab_size=VOCAB_SIZE,
        context_tokens=80,
        media=MediaConfig(image_token_id=VOCAB_SIZE - 5, audio_token_id=VOCAB_SIZE - 2, patch_dim=14),
    ),
    training=TrainingConfig(
        steps=6,
        batch_size=4,
        row_tokens=64,
        learning_rate=1e-2,
        warmup_steps=0,
        eval_every_steps=3,
        eval_batches=2,
        checkpoint_every_steps=3,
    ),
    generation=GenerationConfig(),
)


def use(monkeypatch):
    """Let the mixture consist of two tasks."""
    monkeypatch.setattr(mixture, "tasks", lambda: {name: find_task(name) for name in ("digits", "arithmetic")})
    monkeypatch.setattr(mixture, "TEXTS_PER_TASK", 60)
