"""gemini-workshop evaluate compare: models side by side."""

import itertools
from typing import Annotated

import typer

from gemini_workshop.cli.evaluate.common import (
    Device,
    Measurement,
    Seed,
    Size,
    Split,
    SplitName,
    documents_of,
    measurement,
)


@measurement()
def compare(
    checkpoints: Annotated[list[str], typer.Argument(help="Two checkpoints or more.")],
    corpus: Annotated[str, typer.Option(help="The text that all models predict.")] = "stories",
    size: Size = "all",
    split: SplitName = Split.validation,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of documents.")] = 50,
    prompt: Annotated[list[str] | None, typer.Option(help="The beginning of a sample; repeatable.")] = None,
    samples: Annotated[int, typer.Option(min=1, help="Samples per prompt.")] = 4,
    max_new_tokens: Annotated[int, typer.Option(min=2, help="Maximum tokens of a sample.")] = 100,
    temperature: Annotated[float, typer.Option(min=0, help="For the samples.")] = 0.8,
    seed: Seed = 0,
    device: Device = "auto",
) -> Measurement:
    """Compare models on the same texts and prompts.

    It reports loss, samples, variety and speed.

    Bits per byte can be compared between models with different tokenizers; nats per token cannot.

    Example: gemini-workshop evaluate compare stories-small runs/tiny-stories --picture compare.png
    """
    from dataclasses import asdict

    from gemini_workshop.checkpoint import find_checkpoint, load_pretrained
    from gemini_workshop.config import GenerationConfig
    from gemini_workshop.devices import pick_device
    from gemini_workshop.errors import ConfigError
    from gemini_workshop.evaluation.profiles import profile, profiles_table
    from gemini_workshop.evaluation.results import Result, text_facts
    from gemini_workshop.evaluation.scores import name_of
    from gemini_workshop.visualization.evaluation import comparison_panels

    if len(checkpoints) < 2:
        raise ConfigError(f"One checkpoint, {checkpoints[0]}, cannot be compared. Name two or more.")
    fraction = find_checkpoint(checkpoints[0]).config.training.validation_fraction
    documents = list(itertools.islice(documents_of(corpus, size, split, fraction), limit))
    prompts = prompt or ["Once upon a time", "The little dog was sad because"]
    generation = GenerationConfig(max_new_tokens=max_new_tokens, temperature=temperature, seed=seed)
    names = [name_of(each) for each in checkpoints]
    if len(set(names)) < len(names):
        names = checkpoints
    profiles = [
        profile(name, *load_pretrained(each, pick_device(device)), documents, prompts, generation, samples)
        for name, each in zip(names, checkpoints, strict=True)
    ]
    return Measurement(
        Result(
            kind="compare",
            model={"name": " | ".join(each.name for each in profiles)},
            data=text_facts(f"{corpus} ({split} split)", documents),
            settings={"prompts": prompts, "samples": samples, **generation.to_dict()},
            scores={f"{each.name}: bits per byte": each.bits_per_byte for each in profiles},
            details={each.name: asdict(each) for each in profiles},
        ),
        profiles_table(profiles),
        lambda: comparison_panels(profiles),
    )
