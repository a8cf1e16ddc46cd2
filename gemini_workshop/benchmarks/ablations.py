"""What each part of mini-Gemini is worth: the same small run without it, or with its alternative, for several seeds.

All variants see the same rows, of tasks that every machine has. An answer counts if the model finds each of its tokens
from those before it, the end included: exactly then it would have written the answer by itself.

Equal means equal FLOPs per token between experts and dense layers; the other variants cost what they cost, and the
table says how much.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from tqdm import tqdm

from gemini_workshop.benchmarks.variants import (
    BOTH,
    DROPPED,
    HEARD,
    NATIVE,
    SEEN,
    TEXT,
    VARIANTS,
    VOCAB_SIZE,
    WEIGHTS,
    Variant,
    small_config,
    task_of,
)
from gemini_workshop.config import WorkshopConfig
from gemini_workshop.data.batches.batch import IGNORE_INDEX, Batch
from gemini_workshop.data.media.encoding import MediaEncoder
from gemini_workshop.data.tasks.mixture import learn_tokenizer
from gemini_workshop.data.tasks.rows import TaskRows
from gemini_workshop.data.tasks.stages import Stage
from gemini_workshop.data.tokenizers import Tokenizer
from gemini_workshop.kernels.accelerate import accelerate
from gemini_workshop.models.moe import expert_loads, recorded_routing
from gemini_workshop.models.multimodal.stream import Media
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.tables import table
from gemini_workshop.training.objective import NextTokenPrediction
from gemini_workshop.training.schedule import learning_rate_at
from gemini_workshop.training.state import TrainingState
from gemini_workshop.training.step import train_step

MEASURED_ROWS = 24


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What one run of one variant measured: fractions of right answers by task, nats per token of the stories."""

    right: dict[str, float]
    story_nats: float
    busiest_expert: float | None
    num_parameters: int
    cpu_seconds: float


def training_rows(config: WorkshopConfig, tokenizer: Tokenizer, seed: int) -> TaskRows:
    """Rows of the four tasks; other ones for each seed."""
    assert config.model.media is not None
    return TaskRows(
        MediaEncoder(tokenizer, config.model.media),
        {name: task_of(name) for name in WEIGHTS},
        [Stage(name="mixture", share=1.0, weights=WEIGHTS)],
        config.row_tokens,
        config.training.steps * config.training.batch_size,
        seed=seed,
    )


def measured_batches(config: WorkshopConfig, tokenizer: Tokenizer, num_rows: int) -> dict[str, Batch]:
    """Held-out rows of each task by itself."""
    assert config.model.media is not None
    encoder = MediaEncoder(tokenizer, config.model.media)
    return {
        name: TaskRows(
            encoder,
            {name: task_of(name)},
            [Stage(name=name, share=1.0, weights={name: 1.0})],
            config.row_tokens,
            num_rows,
            split="heldout",
        ).batch(range(num_rows))
        for name in WEIGHTS
    }


def train_variant(
    variant: Variant, config: WorkshopConfig, rows: TaskRows, seed: int, progress: Callable[[], object]
) -> tuple[Transformer, float]:
    """The trained model, and the CPU seconds that it took."""
    model = variant.model(variant.change(config.model), torch.Generator().manual_seed(seed))
    accelerate(model)
    state = TrainingState.begin(NextTokenPrediction(model, config.training))
    start = time.process_time()
    for step in range(config.training.steps):
        first = step * config.training.batch_size
        batch = rows.batch(range(first, first + config.training.batch_size))
        train_step(state, batch, learning_rate_at(step + 1, config.training))
        progress()
    return model.eval(), time.process_time() - start


@torch.inference_mode()
def measure(
    model: Transformer, batches: dict[str, Batch], cpu_seconds: float, drop: Callable[[Media], Media] | None = None
) -> Found:
    """Right answers, stories, and the busiest expert of any layer over all rows together."""
    right, story_nats, routings = {}, 0.0, []
    for name, batch in batches.items():
        media = batch.media if drop is None or batch.media is None else drop(batch.media)
        with recorded_routing(model) as routed:
            logits = model(batch.inputs, segment_ids=batch.segment_ids, media=media)
        routings.append(expert_loads(routed) if model.config.moe is not None else None)
        if name == TEXT:
            story_nats = float(
                F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), ignore_index=IGNORE_INDEX)
            )
        else:
            right[name] = fraction_right(logits.argmax(dim=-1), batch)
    loads = [load for load in routings if load is not None]
    mean = torch.stack(loads).mean(dim=0) if loads else None
    return Found(
        right=right,
        story_nats=story_nats,
        busiest_expert=None if mean is None else float((mean.amax(dim=1) / mean.mean(dim=1)).max()),
        num_parameters=model.num_parameters(),
        cpu_seconds=cpu_seconds,
    )


def fraction_right(predicted: torch.Tensor, batch: Batch) -> float:
    """Of the documents of a batch, those in which every target is predicted."""
    assert batch.segment_ids is not None
    is_target = batch.targets != IGNORE_INDEX
    num_right = num_asked = 0
    for row in range(len(batch.inputs)):
        for segment in range(1, int(batch.segment_ids[row].max()) + 1):
            here = is_target[row] & (batch.segment_ids[row] == segment)
            num_right += bool((predicted[row][here] == batch.targets[row][here]).all())
            num_asked += 1
    return num_right / num_asked


def run(seeds: int, steps: int, num_rows: int = MEASURED_ROWS) -> dict[str, list[Found]]:
    """Every variant for every seed."""
    config = small_config(steps)
    tokenizer = learn_tokenizer(VOCAB_SIZE, {name: task_of(name) for name in WEIGHTS})
    batches = measured_batches(config, tokenizer, num_rows)
    found: dict[str, list[Found]] = {}
    with tqdm(total=seeds * len(VARIANTS) * steps, desc="training", unit="step") as bar:
        for seed in range(seeds):
            rows = training_rows(config, tokenizer, seed)
            for variant in VARIANTS:
                model, seconds = train_variant(variant, config, rows, seed, bar.update)
                found.setdefault(variant.name, []).append(measure(model, batches, seconds))
                bar.write(f"seed {seed}, {variant.name}: " + about(found[variant.name][-1]))
                if variant is NATIVE:
                    for dropped in DROPPED:
                        found.setdefault(dropped.name, []).append(measure(model, batches, seconds, dropped.drop))
    return found


def about(found: Found) -> str:
    """One run in a line."""
    right = ", ".join(f"{name} {100 * value:.0f}%" for name, value in found.right.items())
    return f"{right}, stories {found.story_nats:.2f} nats"


def report(seeds: int = 3, steps: int = 300, is_quick: bool = False) -> str:
    """One table: each variant with the mean over the seeds, and the lowest and highest of them."""
    found = run(1, 2, 2) if is_quick else run(seeds, steps)
    reference = statistics.mean(each.cpu_seconds for each in found[NATIVE.name])
    header = ["", "parameters", "time", "image", "audio", "both", "stories, nats", "busiest expert"]
    rows = [[name, *_cells(runs, reference)] for name, runs in found.items()]
    return table(
        [header, *rows],
        f"Right answers to held-out questions in percent, mean of {len(found[NATIVE.name])} seeds (lowest to highest)",
    )


def _cells(runs: Sequence[Found], reference: float) -> list[str]:
    balance = [each.busiest_expert for each in runs if each.busiest_expert is not None]
    return [
        f"{runs[0].num_parameters / 1e6:.2f} M",
        f"{statistics.mean(each.cpu_seconds for each in runs) / reference:.2f}",
        *(_spread([100 * each.right[name] for each in runs], 0) for name in (SEEN, HEARD, BOTH)),
        _spread([each.story_nats for each in runs], 2),
        _spread(balance, 2) if balance else "",
    ]


def _spread(values: Sequence[float], digits: int) -> str:
    mean = f"{statistics.mean(values):.{digits}f}"
    return f"{mean} ({min(values):.{digits}f} to {max(values):.{digits}f})" if len(values) > 1 else mean
