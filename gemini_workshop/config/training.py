"""How a model is trained."""

from dataclasses import dataclass
from typing import Literal

from gemini_workshop.config.section import Section, option


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingConfig(Section):
    """How a model is trained. ``steps`` is the plan; ``minutes``, if set, may end it earlier."""

    steps: int = option("Optimizer steps of the whole run; the learning-rate schedule ends with them.")
    batch_size: int = option("Sequences in one step; each is row_tokens long.")
    row_tokens: int | None = option("Tokens of a sequence in training; null: the model's context_tokens.", default=None)
    rows: Literal["windows", "packed", "documents"] = option(
        "How the text fills sequences: windows over all of it, several whole documents each, or one document each.",
        default="windows",
    )
    accumulation_steps: int = option("Parts that a batch is read in, one after the other, to save memory.", default=1)

    optimizer: Literal["adamw", "muon", "lion", "adafactor", "galore"] = option(
        "Who moves the weights. Muon moves the matrices of the blocks, AdamW the rest.", default="adamw"
    )
    learning_rate: float = option("Highest learning rate, reached after the warm-up.")
    muon_learning_rate: float = option("muon: highest learning rate of the matrices.", default=0.02)
    schedule: Literal["cosine", "wsd", "linear", "constant"] = option(
        "How the learning rate falls: half a cosine, constant and then steep (wsd), a straight line, or not at all.",
        default="cosine",
    )
    warmup_steps: int = option("Steps over which the learning rate rises linearly from zero.", default=100)
    decay_fraction: float = option("wsd: share of the steps in which the learning rate falls.", default=0.4)
    final_rate_fraction: float = option("Last learning rate as a fraction of the highest.", default=0.1)
    weight_decay: float = option("Pull of the matrices towards zero; norms and biases are left alone.", default=0.1)
    beta1: float = option("AdamW's memory of the gradient's mean.", default=0.9)
    beta2: float = option("AdamW's memory of the gradient's square.", default=0.95)
    momentum: float = option("muon: memory of the gradient.", default=0.95)
    galore_rank: int = option("galore: rank that gradients are projected to.", default=32)
    galore_every_steps: int = option("galore: steps between two new projections.", default=200)
    clip_norm: float = option("Largest norm of the whole gradient; beyond it the gradient is scaled down.", default=1.0)
    ema_decay: float | None = option("Keep a running mean of the weights with this memory; null: none.", default=None)

    length_power: float = option(
        "A document's part in the loss grows with its number of targets to this power: 1 counts tokens, 0 documents.",
        default=1.0,
    )
    label_smoothing: float = option("Share of the target's probability that is spread over all tokens.", default=0.0)
    z_loss_weight: float = option("Weight of the square of logsumexp, which keeps logits small.", default=0.0)
    loss_chunk_tokens: int | None = option("Tokens whose logits are held at a time; null: all.", default=None)

    lora_rank: int | None = option(
        "Freeze the model and train an update of this rank beside each matrix of its blocks; null: train all of it.",
        default=None,
    )
    lora_alpha: float = option("LoRA: the updates are multiplied by lora_alpha / lora_rank.", default=16.0)

    precision: Literal["auto", "fp32", "bf16", "fp16"] = option(
        "Number format of the matrix products; auto measures which is fastest when a run starts.", default="fp32"
    )
    compile: bool = option("Compile the model: half a minute at first, faster steps after.", default=False)
    recompute_blocks: bool = option("Compute blocks again in the backward pass, to save memory.", default=False)
    deterministic: bool = option("Refuse operations that give other results in another run.", default=False)

    strategy: Literal["ddp", "zero1", "fsdp"] = option(
        "What each of several processes keeps: everything (ddp), its share of the optimizer's memory (zero1), or its "
        "share of the weights, too (fsdp).",
        default="ddp",
    )
    expert_parallel: bool = option("Several processes: each keeps its share of the experts.", default=False)

    eval_every_steps: int = option("Steps between two measurements of the validation loss.", default=100)
    eval_batches: int = option("Batches of validation text in one measurement.", default=20)
    patience_evals: int | None = option("Measurements without a better one before the run ends.", default=None)
    checkpoint_every_steps: int = option("Steps between two checkpoints.", default=100)
    keep_checkpoints: int = option("How many of the newest checkpoints stay on disk, besides the best.", default=2)
    validation_fraction: float = option("Share of the documents that is kept for validation.", default=0.05)
    seed: int = option("Seed of the initial weights and of the order of the data.", default=0)

    def __post_init__(self) -> None:
        self._check_types()
        self._need_positive("steps", "batch_size", "learning_rate", "clip_norm", "eval_every_steps")
        self._need_positive("eval_batches", "checkpoint_every_steps", "keep_checkpoints")
        self._need_positive("accumulation_steps", "muon_learning_rate", "galore_rank", "galore_every_steps")
        self._need_positive("lora_alpha")
        for name in ("row_tokens", "loss_chunk_tokens", "patience_evals", "lora_rank"):
            if getattr(self, name) is not None:
                self._need_positive(name)
        self._need(
            self.batch_size % self.accumulation_steps == 0,
            f"batch_size={self.batch_size} is not a multiple of accumulation_steps={self.accumulation_steps}.",
            "Each part must hold the same number of sequences.",
        )
        shares_weights = self.strategy == "fsdp" or self.expert_parallel
        self._need(
            not shares_weights or self.optimizer in ("adamw", "lion"),
            f"optimizer={self.optimizer} needs whole matrices, of which strategy={self.strategy} with "
            f"expert_parallel={str(self.expert_parallel).lower()} leaves each process a share.",
            "Choose adamw or lion, or strategy=zero1.",
        )
        self._need(
            not (self.strategy == "zero1" and self.expert_parallel),
            "strategy=zero1 and expert_parallel=true cannot be combined.",
            "Choose strategy=fsdp to share the rest of the weights, too.",
        )
        for name in ("beta1", "beta2", "momentum", "label_smoothing", "ema_decay"):
            value = getattr(self, name)
            self._need(
                value is None or 0 <= value < 1, f"{name}={value} is outside [0, 1).", "Choose a value in that range."
            )
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
        self._need(
            0 < self.decay_fraction <= 1,
            f"decay_fraction={self.decay_fraction} is outside (0, 1].",
            "Choose for example 0.4.",
        )
        self._need(
            0 <= self.length_power <= 1,
            f"length_power={self.length_power} is outside [0, 1].",
            "Choose 1 to count tokens, or 0.5 where some documents are much longer than others.",
        )
        for name in ("weight_decay", "z_loss_weight"):
            value = getattr(self, name)
            self._need(value >= 0, f"{name}={value} is negative.", "Choose 0 or more.")
        self._need(
            0 <= self.warmup_steps <= self.steps,
            f"warmup_steps={self.warmup_steps} does not fit into steps={self.steps}.",
            "Choose fewer warm-up steps or more steps.",
        )
