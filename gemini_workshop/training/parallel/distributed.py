"""Train one model by several processes, each on its rows of every batch.

    strategy   weights      gradients    optimizer state    numbers that a process sends per step
    ddp        all          all          all                2 N     (all-reduce of the gradients)
    zero1      all          all          its shard          3 N     (and each shard's new weights to all)
    fsdp       its shard    its shard    its shard          3 N     (gather the weights twice, reduce-scatter)

N is the number of parameters; :mod:`..rehearsal.cost` has the exact figures and docs/scaling.md what follows from them.
Whatever the strategy, any number of processes computes what one would: the same losses, up to rounding.

Source: Li et al. 2020, arXiv:2006.15704 (DDP); Rajbhandari et al. 2019, arXiv:1910.02054 (ZeRO); Zhao et al. 2023,
arXiv:2304.11277 (FSDP). All three are PyTorch's own.
"""

import io
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.nn.parallel import DistributedDataParallel

from gemini_workshop.config import TrainingConfig
from gemini_workshop.errors import TrainingError
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.training.optimizers.build import make_optimizer
from gemini_workshop.training.optimizers.muon import Muon
from gemini_workshop.training.parallel.expert_parallel import shard_experts
from gemini_workshop.training.parallel.processes import ALONE, Processes, is_sharded

TIMEOUT = timedelta(minutes=10)  # longer than any step, and than the first process needs to prepare most texts
GRACE_SECONDS = 20.0  # for the others to print what they know after one has failed


def is_launched() -> bool:
    """Whether torchrun, or :func:`launch`, started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


@contextmanager
def joined(device: torch.device, timeout: timedelta = TIMEOUT) -> Iterator[Processes]:
    """Inside, this process is one of those that torchrun started; alone, if it was started by hand.

    Only what the first process prints is shown.

    Args:
        timeout: a process that does not answer for this long counts as lost.

    Raises:
        TrainingError: another process has ended or does not answer.
    """
    if not is_launched():
        yield ALONE
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=timeout)
    processes = Processes(rank=dist.get_rank(), count=dist.get_world_size())
    try:
        with nullcontext() if processes.is_first else redirect_stdout(io.StringIO()):
            yield processes
    except RuntimeError as error:
        if not _is_about_others(error):
            raise
        raise TrainingError(
            f"Process {processes.rank} of {processes.count} stops: another one has ended, or has not answered "
            f"for {timeout.total_seconds():g} seconds. Resume from the last checkpoint with --resume; any number of "
            "processes will do."
        ) from error
    finally:
        dist.destroy_process_group()


def own_device(device: torch.device) -> torch.device:
    """The GPU of this process, if there are several in one machine."""
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if device.type == "cuda" else device


def check_batch_size(config: TrainingConfig, processes: Processes) -> None:
    """Make sure that each process has equally many sequences in each part of a batch.

    Raises:
        TrainingError: the batch cannot be divided evenly.
    """
    parts = processes.count * config.accumulation_steps
    if config.batch_size % parts:
        raise TrainingError(
            f"batch_size={config.batch_size} cannot be divided evenly: {processes.count} processes times "
            f"accumulation_steps={config.accumulation_steps} are {parts} parts. "
            f"Choose a multiple: --set batch_size={-(-config.batch_size // parts) * parts}."
        )


def shard_model(model: Transformer, config: TrainingConfig, processes: Processes) -> None:
    """Leave each process the weights that ``strategy`` and ``expert_parallel`` leave it; before the optimizer is made.

    Raises:
        TrainingError: the batch or the experts cannot be divided evenly.
    """
    check_batch_size(config, processes)
    if processes.count == 1:
        return
    if config.expert_parallel:
        shard_experts(model, processes)
    if config.strategy == "fsdp":
        from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

        options: dict[str, Any] = {
            "mesh": init_device_mesh(next(model.parameters()).device.type, (processes.count,)),
            "ignored_params": set(sharded_parameters(model).values()),
        }
        for block in model.blocks:
            fully_shard(block, **options)
        fully_shard(model, reshard_after_forward=True, **options)
        for method in ("hidden_states", "logits"):  # each gathers the embeddings, and none keeps them
            register_fsdp_forward_method(model, method)


def sharded_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Those of which this process holds only a shard."""
    return {name: weight for name, weight in model.named_parameters() if is_sharded(weight)}


def sharded_optimizer(model: Transformer, config: TrainingConfig, processes: Processes) -> torch.optim.Optimizer:
    """The optimizer of the configuration; with ``zero1``, this process's shard of it.

    Each process then moves some of the parameters and sends them to all.
    """
    whole = make_optimizer(model, config)
    whole.param_groups = [part for group in whole.param_groups for part in _by_kind(group)]
    if processes.count == 1 or config.strategy != "zero1":
        return whole
    from torch.distributed.optim import ZeroRedundancyOptimizer

    def of_shard(groups: list[dict[str, Any]], **defaults: Any) -> torch.optim.Optimizer:
        shard = type(whole)(groups, **defaults)
        if isinstance(shard, Muon) and isinstance(whole, Muon):
            shard.product_dtype = whole.product_dtype
        return shard

    return ZeroRedundancyOptimizer(whole.param_groups, optimizer_class=of_shard, lr=config.learning_rate)  # type: ignore


def local_optimizer(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """The optimizer whose state this process holds: with ``zero1``, the one inside PyTorch's wrapper."""
    return getattr(optimizer, "optim", optimizer)


def distributed(objective: nn.Module, config: TrainingConfig, processes: Processes) -> nn.Module:
    """The objective whose gradients are means over the processes."""
    if processes.count == 1 or config.strategy == "fsdp":  # whose blocks do that themselves
        return objective
    equal_anyway = [name for name, _ in objective.named_buffers()]
    left_alone = [*sharded_parameters(objective), *equal_anyway]
    DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(objective, left_alone)
    return DistributedDataParallel(objective, gradient_as_bucket_view=True)


def launch(count: int, command: Sequence[str]) -> None:
    """Run a command ``count`` times at once on this machine, as torchrun would, until all are done.

    Ctrl-C reaches all of them; each then ends its step, and the first saves it.

    Raises:
        TrainingError: one of them failed. The others were ended.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "USE_LIBUV": "0"}
    environment = {"OMP_NUM_THREADS": "1"} | os.environ | shared
    children = [
        subprocess.Popen(command, env=environment | {"RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank in range(count)
    ]
    try:
        _wait(children)
    finally:
        for child in children:
            child.kill()
            child.wait()


def _wait(children: list[subprocess.Popen[bytes]]) -> None:
    while any(child.poll() is None for child in children) and not any(child.poll() for child in children):
        try:
            time.sleep(0.1)
        except KeyboardInterrupt:
            continue  # the children get it too, and stop in order
    failed = [(rank, child.returncode) for rank, child in enumerate(children) if child.poll()]
    if not failed:
        return
    deadline = time.monotonic() + GRACE_SECONDS
    while any(child.poll() is None for child in children) and time.monotonic() < deadline:
        time.sleep(0.1)
    rank, code = failed[0]
    how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
    raise TrainingError(
        f"Process {rank} of {len(children)} {how}, and the training with it. "
        "Its last checkpoint is whole: resume with --resume, with any number of --processes."
    )


def _by_kind(group: dict[str, Any]) -> list[dict[str, Any]]:
    """A parameter group as one of whole parameters and one of sharded ones, which kernels cannot take together."""
    kinds: dict[bool, list[nn.Parameter]] = {}
    for weight in group["params"]:
        kinds.setdefault(is_sharded(weight), []).append(weight)
    return [group | {"params": weights} for weights in kinds.values()]


def _is_about_others(error: RuntimeError) -> bool:
    """Whether the network failed: gloo raises plain RuntimeErrors that name its source files."""
    return isinstance(error, dist.DistError) or "gloo" in str(error)
