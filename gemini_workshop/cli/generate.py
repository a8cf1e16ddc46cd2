"""gemini-workshop generate: let a model go on with a text."""

from dataclasses import replace
from typing import Annotated

import typer


def generate(
    prompt: Annotated[str, typer.Argument(help="The beginning of the text.")] = "Once upon a time",
    checkpoint: Annotated[
        str, typer.Option(help="A checkpoint that ships, or the folder of a run: runs/NAME.")
    ] = "stories-small",
    max_new_tokens: Annotated[int, typer.Option(help="Most tokens to add to the prompt.")] = 200,
    temperature: Annotated[float, typer.Option(help="Below 1 safer, above 1 wilder; 0 takes the likeliest.")] = 0.8,
    top_k: Annotated[int | None, typer.Option(help="Draw among the k likeliest tokens only.")] = None,
    top_p: Annotated[float, typer.Option(help="Draw among the fewest tokens whose shares reach p.")] = 0.95,
    seed: Annotated[int, typer.Option(help="Seed of the draws: the same seed writes the same text.")] = 0,
    samples: Annotated[int, typer.Option(help="Number of texts, each with the next seed.", min=1)] = 1,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "cpu",
) -> None:
    """Write a text with a trained model, word by word.

    Examples:

        gemini-workshop generate "Once upon a time"

        gemini-workshop generate "The dragon" --temperature 0.5 --samples 3

        gemini-workshop generate "A red ball" --checkpoint runs/tiny-stories
    """
    from gemini_workshop.config import GenerationConfig
    from gemini_workshop.devices import pick_device
    from gemini_workshop.generation.decode import generate_text
    from gemini_workshop.training.checkpointing import load_pretrained

    config = GenerationConfig(
        max_new_tokens=max_new_tokens, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed
    )
    model, tokenizer = load_pretrained(checkpoint, pick_device(device))
    for number in range(samples):
        if number:
            typer.echo("\n---")
        typer.echo(prompt, nl=False)
        for piece in generate_text(model, tokenizer, prompt, replace(config, seed=seed + number)):
            typer.echo(piece, nl=False)
        typer.echo()
