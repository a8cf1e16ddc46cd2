"""gemini-workshop export: write a checkpoint as other programs read it."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import torch

    from gemini_workshop.checkpoint import Checkpoint


class Format(StrEnum):
    """What is written."""

    huggingface = "huggingface"
    gguf = "gguf"
    onnx = "onnx"


class Dtype(StrEnum):
    """Number formats of the weights."""

    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


def export(
    checkpoint: Annotated[str, typer.Argument(help="Name of a bundled checkpoint, or folder of a run: runs/NAME.")],
    folder: Annotated[Path, typer.Argument(help="Folder to write, new or empty; for gguf and onnx, the file.")],
    format: Annotated[
        Format,
        typer.Option(help="huggingface: a folder for transformers; gguf, onnx: a file for llama.cpp, ONNX Runtime."),
    ] = Format.huggingface,
    dtype: Annotated[Dtype, typer.Option(help="Number format of the weights.")] = Dtype.float32,
    family: Annotated[str | None, typer.Option(help="model_type to export as. Default: the first that fits.")] = None,
) -> None:
    """Export a model for transformers, llama.cpp or ONNX Runtime.

    Writes its weights, configuration and tokenizer. There, the same prompt gets the same text. What another program
    cannot compute is refused, not approximated.

    Examples:

        gemini-workshop export stories-small exported

        gemini-workshop export runs/tiny-stories exported --dtype bfloat16

        gemini-workshop export stories-small stories.gguf --format gguf

        gemini-workshop export stories-small stories.onnx --format onnx
    """
    import torch

    from gemini_workshop.checkpoint import find_checkpoint
    from gemini_workshop.exchange.huggingface import export_huggingface
    from gemini_workshop.files import check_target
    from gemini_workshop.models.accounting import num_parameters

    check_target(folder if format is not Format.huggingface else folder / "config.json")
    found = find_checkpoint(checkpoint)
    number = f"{num_parameters(found.config.model):,} parameters in {dtype}"
    if format is Format.gguf:
        _export_gguf(found, folder, getattr(torch, dtype), family, number)
        return
    if format is Format.onnx:
        _export_onnx(found, folder, dtype, family, number)
        return
    family = export_huggingface(found, folder, getattr(torch, dtype), family)
    typer.echo(f"Wrote {folder}: {number}, as {family}. Use it in Python:\n")
    typer.echo("  from transformers import AutoModelForCausalLM, AutoTokenizer, pipeline")
    typer.echo(f'  model = AutoModelForCausalLM.from_pretrained("{folder.as_posix()}")')
    typer.echo(f'  tokenizer = AutoTokenizer.from_pretrained("{folder.as_posix()}")')
    typer.echo('  pipeline("text-generation", model=model, tokenizer=tokenizer)("Once upon a time")')


def _export_gguf(found: "Checkpoint", path: Path, dtype: "torch.dtype", family: str | None, number: str) -> None:
    from gemini_workshop.errors import WorkshopError
    from gemini_workshop.exchange.gguf import export_gguf

    if family is not None:
        raise WorkshopError(f"--family {family} is for transformers; a GGUF file has the architecture that fits.")
    _check_ending(path, ".gguf")
    architecture = export_gguf(found, path, dtype)
    typer.echo(f"Wrote {path}: {number}, as {architecture} of llama.cpp. Use it there:\n")
    typer.echo(f'  llama-completion -m {path.as_posix()} -no-cnv --temp 0 -n 60 -p "Once upon a time"')


def _export_onnx(found: "Checkpoint", path: Path, dtype: Dtype, family: str | None, number: str) -> None:
    from gemini_workshop.errors import WorkshopError
    from gemini_workshop.exchange.onnx import export_onnx

    if family is not None or dtype is not Dtype.float32:
        option = f"--family {family}" if family is not None else f"--dtype {dtype}"
        raise WorkshopError(f"{option} is not for onnx: the graph is the model itself, in float32. Remove it.")
    _check_ending(path, ".onnx")
    export_onnx(found, path)
    typer.echo(f"Wrote {path}: {number}; its logits are the model's. Use it in Python:\n")
    typer.echo("  import numpy, onnxruntime")
    typer.echo(f'  session = onnxruntime.InferenceSession("{path.as_posix()}")')
    typer.echo('  logits = session.run(["logits"], {"input_ids": numpy.array([[1, 2, 3]])})[0]')


def _check_ending(path: Path, ending: str) -> None:
    from gemini_workshop.errors import WorkshopError

    if path.suffix != ending:
        raise WorkshopError(
            f"{path} does not end in {ending}, by which programs know the format. "
            f"Choose {path.name or 'model'}{ending}."
        )
