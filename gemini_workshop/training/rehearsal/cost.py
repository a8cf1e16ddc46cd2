"""An estimate of what a training step costs each of several processes: arithmetic, memory, messages.

    seconds per step >= FLOPs / (FLOP/s)  and  >= bytes sent / (bytes/s);  memory >= weights + gradients + optimizer

All of it follows from the configuration; docs/scaling.md discusses the numbers, and a test compares them with what two
processes hold and send.

Source: ring collectives: Patarasuk and Yuan 2009, doi:10.1016/j.jpdc.2008.09.002; sharded memory: Rajbhandari et al.
2019, arXiv:1910.02054, section 3.
"""

from dataclasses import dataclass, replace
from functools import cache

import torch
from torch import Tensor

from gemini_workshop.config import ModelConfig, TrainingConfig
from gemini_workshop.data.batches.batch import Batch
from gemini_workshop.errors import TrainingError
from gemini_workshop.kernels.accelerate import accelerate
from gemini_workshop.kernels.onednn import is_exact
from gemini_workshop.models.accounting import training_flops, without_memory
from gemini_workshop.models.moe import Experts
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.training.objective import NextTokenPrediction

FLOAT32_BYTES = 4
MOMENTS = {"adamw": 2, "lion": 1}  # tensors of a parameter's size in the optimizer state


@dataclass(frozen=True, kw_only=True, slots=True)
class StepCost:
    """What one step costs the process with the highest cost.

    Args:
        flops: of its matrix products.
        weight_bytes: of the weights that it keeps from step to step.
        gradient_bytes: of the gradients that it holds at the end of the backward pass.
        optimizer_bytes: of the optimizer state.
        activation_bytes: of what the forward pass of one part keeps for the backward pass.
        sent_bytes: what it sends, if collectives go around a ring. It receives as much.
    """

    flops: int
    weight_bytes: int
    gradient_bytes: int
    optimizer_bytes: int
    activation_bytes: int
    sent_bytes: int

    @property
    def lasting_bytes(self) -> int:
        """All that it holds between the backward pass and the optimizer's step; activations are freed by then."""
        return self.weight_bytes + self.gradient_bytes + self.optimizer_bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizes:
    """Numbers of parameters, by how strategies treat them.

    Args:
        experts: in the stacked weights of experts.
        outside_blocks: embeddings, the head and the last norm.
        all: in the whole model.
        expert_layers: how many layers have experts.
    """

    experts: int
    outside_blocks: int
    all: int
    expert_layers: int


@cache
def parameter_sizes(config: ModelConfig) -> Sizes:
    """Count without making the model."""
    model = without_memory(config)
    layers = [module for module in model.modules() if isinstance(module, Experts)]
    return Sizes(
        experts=sum(weight.numel() for layer in layers for weight in layer.parameters()),
        outside_blocks=model.num_parameters() - sum(weight.numel() for weight in model.blocks.parameters()),
        all=model.num_parameters(),
        expert_layers=len(layers),
    )


def step_cost(model: ModelConfig, training: TrainingConfig, num_processes: int) -> StepCost:
    """The cost of one step on ``num_processes`` processes, in float32.

    Shards are taken to be of equal size. Left out are norms and losses that are summed (some dozen bytes), the loads of
    experts, and messages about how many rows will come.

    Raises:
        TrainingError: the size of the optimizer's state depends on more than the number of parameters.
    """
    if training.optimizer not in MOMENTS:
        raise TrainingError(
            f"There is no estimate for optimizer={training.optimizer}. Choose one of: {', '.join(MOMENTS)}."
        )
    sizes, P = parameter_sizes(model), num_processes
    experts = sizes.experts if training.expert_parallel and P > 1 else 0
    common = sizes.all - experts  # not divided by expert
    own = experts // P
    weights = common // P if training.strategy == "fsdp" else common
    moved = common if training.strategy == "ddp" else common // P
    sent = _common_bytes(sizes, common, training, P) + (_exchanged_bytes(model, sizes, training, P) if experts else 0)
    return StepCost(
        flops=training_flops(model, training.row_tokens or model.context_tokens) * training.batch_size // P,
        weight_bytes=FLOAT32_BYTES * (weights + own),
        gradient_bytes=FLOAT32_BYTES * (weights + own),
        optimizer_bytes=FLOAT32_BYTES * MOMENTS[training.optimizer] * (moved + own),
        activation_bytes=activation_bytes(model, training, training.batch_size // P // training.accumulation_steps),
        sent_bytes=sent,
    )


def activation_bytes(config: ModelConfig, training: TrainingConfig, num_sequences: int) -> int:
    """What the forward pass keeps for the backward pass, found by a pass with tensors without storage."""
    alone = replace(training, batch_size=1, accumulation_steps=1, strategy="ddp", expert_parallel=False)
    return _kept_bytes(config, alone, num_sequences)


@cache  # such a pass takes seconds
def _kept_bytes(config: ModelConfig, training: TrainingConfig, num_sequences: int) -> int:
    from torch._subclasses.fake_tensor import FakeTensorMode

    kept: dict[int, torch.UntypedStorage] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage
        return tensor

    is_exact()  # a measurement, which needs tensors with numbers in them
    with FakeTensorMode():
        model = Transformer(config)
        accelerate(model)
        model.recompute_blocks = training.recompute_blocks
        ids = torch.zeros(num_sequences, training.row_tokens or config.context_tokens, dtype=torch.int64)
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            losses = NextTokenPrediction(model, training)(Batch(ids, ids))  # alive until all is counted
        for weight in (*model.parameters(), *model.buffers()):
            kept.pop(weight.untyped_storage()._cdata, None)
        num_bytes = sum(storage.nbytes() for storage in kept.values())
    del losses
    return num_bytes


def all_reduce_bytes(num_bytes: int, num_processes: int) -> int:
    """What each process sends so that all have the sum of a tensor: a reduce-scatter and an all-gather."""
    return 2 * all_gather_bytes(num_bytes, num_processes)


def all_gather_bytes(num_bytes: int, num_processes: int) -> int:
    """What each process sends so that all have a tensor of this size, of which each had a shard; also the way back."""
    return num_bytes * (num_processes - 1) // num_processes


def _common_bytes(sizes: Sizes, common: int, training: TrainingConfig, P: int) -> int:
    """What is sent for the parameters that all processes compute with."""
    parts, num_bytes = training.accumulation_steps, FLOAT32_BYTES * common
    if training.strategy == "ddp":
        return all_reduce_bytes(num_bytes, P)
    if training.strategy == "zero1":  # each shard of the new weights goes to all
        return all_reduce_bytes(num_bytes, P) + all_gather_bytes(num_bytes, P)
    gathered = parts * 2 * (num_bytes + FLOAT32_BYTES * sizes.outside_blocks)  # what is outside, again for the logits
    return all_gather_bytes(gathered, P) + all_gather_bytes(scattered_bytes(sizes, common, parts), P)


def scattered_bytes(sizes: Sizes, common: int, parts: int) -> int:
    """FSDP's gradients to be added up; those outside the blocks twice, if earlier parts of a batch left some."""
    return FLOAT32_BYTES * (common + (sizes.outside_blocks if parts > 1 else 0))


def _exchanged_bytes(model: ModelConfig, sizes: Sizes, training: TrainingConfig, P: int) -> int:
    """What tokens send to experts of other processes, and back, and their gradients too. Experts are used evenly."""
    assert model.moe is not None
    tokens = training.batch_size * (training.row_tokens or model.context_tokens)
    rows = tokens * model.moe.experts_per_token // P
    passes = 2 * (2 + training.recompute_blocks)
    return passes * sizes.expert_layers * rows * model.embed_dim * FLOAT32_BYTES * (P - 1) // P
