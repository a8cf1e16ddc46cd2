"""How a model is trained, and how text is drawn from it."""

from dataclasses import dataclass
from typing import Literal

from gemini_workshop.config.section import Section, option


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingConfig(Section):
    """How a model is trained. ``steps`` is the plan; ``minutes``, if set, may end it earlier."""

    steps: int = option("Optimizer steps of the whole run; the learning-rate schedule ends with them.")
    batch_size: int = option("Sequences in one step; each is context_tokens long.")
    learning_rate: float = option("Highest learning rate, reached after the warm-up.")
    warmup_steps: int = option("Steps over which the learning rate rises linearly from zero.", default=100)
    final_rate_fraction: float = option("Last learning rate as a fraction of the highest.", default=0.1)
    weight_decay: float = option("Pull of the matrices towards zero (AdamW); norms are left alone.", default=0.1)
    beta1: float = option("AdamW's memory of the gradient's mean.", default=0.9)
    beta2: float = option("AdamW's memory of the gradient's square.", default=0.95)
    clip_norm: float = option("Largest norm of the whole gradient; beyond it the gradient is scaled down.", default=1.0)
    precision: Literal["fp32", "bf16"] = option("Number format of the matrix products.", default="fp32")
    eval_every_steps: int = option("Steps between two measurements of the validation loss.", default=100)
    eval_batches: int = option("Batches of validation text in one measurement.", default=20)
    checkpoint_every_steps: int = option("Steps between two checkpoints.", default=100)
    keep_checkpoints: int = option("How many of the newest checkpoints stay on disk.", default=2)
    validation_fraction: float = option("Share of the documents that is kept for validation.", default=0.05)
    seed: int = option("Seed of the initial weights and of the order of the data.", default=0)

    def __post_init__(self) -> None:
        self._check_types()
        self._need_positive("steps", "batch_size", "learning_rate", "clip_norm", "eval_every_steps")
        self._need_positive("eval_batches", "checkpoint_every_steps", "keep_checkpoints")
        for name in ("beta1", "beta2"):
            value = getattr(self, name)
            self._need(0 <= value < 1, f"{name}={value} is outside [0, 1).", "Choose a value in that range.")
        self._need(
            0 <= self.final_rate_fraction <= 1,
            f"final_rate_fraction={self.final_rate_fraction} is outside [0, 1].",
            "Choose 1 to stay at the highest rate.",
        )
        self._need(
            0 < self.validation_fraction < 1,
            f"validation_fraction={self.validation_fraction} is outside (0, 1).",
            "Choose for example 0.05.",
        )
        self._need(self.weight_decay >= 0, f"weight_decay={self.weight_decay} is negative.", "Choose 0 or more.")
        self._need(
            0 <= self.warmup_steps <= self.steps,
            f"warmup_steps={self.warmup_steps} does not fit into steps={self.steps}.",
            "Choose fewer warm-up steps or more steps.",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class GenerationConfig(Section):
    """How text is drawn from a model."""

    max_new_tokens: int = option("Most tokens to add to the prompt.", default=200)
    temperature: float = option("Below 1 safer, above 1 wilder; 0 always takes the likeliest token.", default=0.8)
    top_k: int | None = option("Draw among the k likeliest tokens only.", default=None)
    top_p: float | None = option("Draw among the fewest tokens whose shares reach p.", default=0.95)
    seed: int = option("Seed of the random draws.", default=0)

    def __post_init__(self) -> None:
        self._check_types()
        self._need_positive("max_new_tokens")
        self._need(self.temperature >= 0, f"temperature={self.temperature} is negative.", "Choose 0 or more.")
        if self.top_k is not None:
            self._need_positive("top_k")
        if self.top_p is not None:
            self._need(0 < self.top_p <= 1, f"top_p={self.top_p} is outside (0, 1].", "Choose 1 to keep every token.")
