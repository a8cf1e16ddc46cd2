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

    from gemini_workshop.checkpoint import find_checkpoint, restore_weights
    from gemini_workshop.data.tokenizers.checks import PADDING
    from gemini_workshop.data.tokenizers.exchange import write_huggingface_tokenizer
    from gemini_workshop.models.families import save_huggingface
    from gemini_workshop.models.transformer import Transformer

    found = find_checkpoint(checkpoint)
    model = Transformer(found.config.model)
    restore_weights(model, found)
    special, end = found.tokenizer.special_tokens, found.tokenizer.end_of_text_id
    ids = {"bos_token_id": end, "eos_token_id": end, "pad_token_id": special.get(PADDING, end)}
    family = save_huggingface(model.to(getattr(torch, dtype)), folder, family, extra_values=ids)
    write_huggingface_tokenizer(found.tokenizer, folder, found.config.model.context_tokens)
    typer.echo(f"Wrote {folder}: {model.num_parameters():,} parameters in {dtype}, as {family}. Use it in Python:\n")
    typer.echo("  from transformers import AutoModelForCausalLM, AutoTokenizer, pipeline")
    typer.echo(f'  model = AutoModelForCausalLM.from_pretrained("{folder.as_posix()}")')
    typer.echo(f'  tokenizer = AutoTokenizer.from_pretrained("{folder.as_posix()}")')
    typer.echo('  pipeline("text-generation", model=model, tokenizer=tokenizer)("Once upon a time")')
