"""gemini-workshop serve: a model for other programs, in OpenAI's protocol."""

import os
from typing import Annotated, Literal

import typer

from gemini_workshop.cli.options import Device, with_section_options
from gemini_workshop.serving.settings import ServerSettings

KEY_VARIABLE = "GEMINI_WORKSHOP_KEY"

Name = Annotated[str, typer.Argument(metavar="CHECKPOINT", help="A bundled checkpoint, or the folder of a run.")]
Host = Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines in.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for any that is free.")]
Keys = Annotated[
    list[str] | None,
    typer.Option(help=f"A key that requests have to bring; can be repeated. Safer: the variable {KEY_VARIABLE}."),
]
FormatName = Annotated[
    Literal["template", "question", "story", "dialogue"] | None,
    typer.Option(
        help="How a conversation becomes text. Default: the model's template, questions where it reads images, else "
        "a story."
    ),
]
Weights = Annotated[
    Literal["fp32", "bf16", "int8"] | None,
    typer.Option(help="Use an optimized copy of the model, with weights in this format."),
]
Threads = Annotated[int | None, typer.Option(min=1, max=4096, help="CPU threads. Default: PyTorch's choice.")]


@with_section_options("settings", ServerSettings, "Limits", leave_out=("keys",))
def serve(
    name: Name = "stories-small",
    *,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    key: Keys = None,
    format: FormatName = None,
    device: Device = "cpu",
    weights: Weights = None,
    threads: Threads = None,
    settings: ServerSettings,
) -> None:
    """Serve a model to programs that speak OpenAI's protocol.

    Answers at /v1/models, /v1/completions and /v1/chat/completions; /health and /metrics say how it is. Requests that
    come together are generated together. Only this machine is let in, unless --host is given.

    Examples:

        gemini-workshop serve

        gemini-workshop serve runs/mine --port 8080

        gemini-workshop serve mini-gemini --rate 60 --max-rows 16
    """
    from dataclasses import replace

    import torch

    from gemini_workshop.cli.generate import load_model
    from gemini_workshop.serving.served import served
    from gemini_workshop.serving.server import run_server

    if threads is not None:
        torch.set_num_threads(threads)
    from_variable = os.environ.get(KEY_VARIABLE)
    keys = (*(key or ()), *([from_variable] if from_variable is not None else []))
    settings = replace(settings, keys=keys)
    model, tokenizer = load_model(name, device, weights)
    run_server(served(model, tokenizer, name, format), settings, host, port, typer.echo)
