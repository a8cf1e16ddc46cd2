"""gemini-workshop export: write a checkpoint as a folder for Hugging Face's transformers."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Dtype(StrEnum):
    """Number formats of the weights."""

    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


def export(
    checkpoint: Annotated[str, typer.Argument(help="Name of a bundled checkpoint, or folder of a run: runs/NAME.")],
    folder: Annotated[Path, typer.Argument(help="Folder to write, new or empty.")],
    dtype: Annotated[Dtype, typer.Option(help="Number format of the weights.")] = Dtype.float32,
    family: Annotated[str | None, typer.Option(help="model_type to export as. Default: the first that fits.")] = None,
) -> None:
    """Export a model for Hugging Face transformers.

    Writes its weights, configuration and tokenizer; there, the logits are the same.

    Examples:

        gemini-workshop export stories-small exported

        gemini-workshop export runs/tiny-stories exported --dtype bfloat16
    """
    import torch

    from gemini_workshop.checkpoint import find_checkpoint
    from gemini_workshop.exchange.huggingface import export_huggingface
    from gemini_workshop.models.accounting import num_parameters

    found = find_checkpoint(checkpoint)
    family = export_huggingface(found, folder, getattr(torch, dtype), family)
    number = num_parameters(found.config.model)
    typer.echo(f"Wrote {folder}: {number:,} parameters in {dtype}, as {family}. Use it in Python:\n")
    typer.echo("  from transformers import AutoModelForCausalLM, AutoTokenizer, pipeline")
    typer.echo(f'  model = AutoModelForCausalLM.from_pretrained("{folder.as_posix()}")')
    typer.echo(f'  tokenizer = AutoTokenizer.from_pretrained("{folder.as_posix()}")')
    typer.echo('  pipeline("text-generation", model=model, tokenizer=tokenizer)("Once upon a time")')
