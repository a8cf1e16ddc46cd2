"""Spoken digits by a voice that was never heard: each speaker left out in turn.

A model learns from the others, varied in pitch, tempo, level and noise, and is asked about every recording of the one.
With few speakers the result depends on who is left out, so the mean over all of them is what counts.
"""

import statistics
from collections.abc import Callable
from dataclasses import replace

import torch
from tqdm import tqdm

from gemini_workshop.config import WorkshopConfig, load_config
from gemini_workshop.data.media.audio import load_audio
from gemini_workshop.data.media.encoding import MediaEncoder
from gemini_workshop.data.tasks.hearing import SpokenDigits
from gemini_workshop.data.tasks.mixture import learn_tokenizer
from gemini_workshop.data.tasks.rows import TaskRows
from gemini_workshop.data.tasks.stages import Stage
from gemini_workshop.data.tokenizers import Tokenizer
from gemini_workshop.evaluation.abilities import Ability, measure_abilities
from gemini_workshop.kernels.accelerate import accelerate
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.tables import table
from gemini_workshop.training.objective import NextTokenPrediction
from gemini_workshop.training.schedule import learning_rate_at
from gemini_workshop.training.state import TrainingState
from gemini_workshop.training.step import train_step

NAME = "spoken-digits"
VOCAB_SIZE = 320
MUST, AIM = 0.75, 0.90
STAGE = Stage(name="audio", share=1.0, weights={NAME: 1.0})


def run_config(steps: int) -> WorkshopConfig:
    """Mini-Gemini with a small vocabulary, and a short run."""
    config = load_config("mini-gemini")
    assert config.model.media is not None
    media = replace(config.model.media, image_token_id=VOCAB_SIZE - 5, audio_token_id=VOCAB_SIZE - 2)
    training = replace(config.training, steps=steps, batch_size=8, warmup_steps=min(50, steps), precision="fp32")
    return replace(config, model=replace(config.model, vocab_size=VOCAB_SIZE, media=media), training=training)


def heard_without(
    speaker: str, config: WorkshopConfig, tokenizer: Tokenizer, limit: int | None, progress: Callable[[], object]
) -> Ability:
    """What a model that never heard this speaker answers about all of the speaker's recordings."""
    assert config.model.media is not None
    task, training = SpokenDigits(speaker), config.training
    rows = TaskRows(
        MediaEncoder(tokenizer, config.model.media),
        {NAME: task},
        [STAGE],
        config.row_tokens,
        training.steps * training.batch_size,
        seed=training.seed,
    )
    model = Transformer(config.model, torch.Generator().manual_seed(training.seed))
    accelerate(model)
    state = TrainingState.begin(NextTokenPrediction(model, training))
    for step in range(training.steps):
        first = step * training.batch_size
        train_step(
            state, rows.batch(range(first, first + training.batch_size)), learning_rate_at(step + 1, config.training)
        )
        progress()
    [ability] = measure_abilities(model.eval(), tokenizer, {NAME: task}, limit)
    return ability


def report(steps: int = 300, is_quick: bool = False) -> str:
    """One line per speaker, and the mean."""
    config = run_config(2 if is_quick else steps)
    tokenizer = learn_tokenizer(VOCAB_SIZE, {NAME: SpokenDigits()})
    speakers = sorted({clip.speaker for clip in load_audio(NAME)})
    found = {}
    with tqdm(total=len(speakers) * config.training.steps, desc="training", unit="step") as bar:
        for speaker in speakers:
            found[speaker] = heard_without(speaker, config, tokenizer, 4 if is_quick else None, bar.update)
            bar.write(f"{speaker} left out: {found[speaker].accuracy:.1%}")
    rows = [
        [name, f"{each.accuracy:.1%}", f"{each.interval[0]:.1%} to {each.interval[1]:.1%}", f"{each.num_asked}"]
        for name, each in found.items()
    ]
    mean = statistics.mean(each.accuracy for each in found.values())
    return "\n".join(
        [
            table([["left out", "right", "95 % between", "asked"], *rows], "Spoken digits by a voice never heard"),
            f"mean over the speakers: {mean:.1%} ({MUST:.0%} promised, {AIM:.0%} aimed at)",
        ]
    )
