"""``gemini-workshop benchmark``: one command a measurement, each printing one table of ratios to a peer."""

from typing import Annotated, Literal

import typer

app = typer.Typer(
    no_args_is_help=True,
    help="Measure this package against its peers, side by side in one run.\n\n"
    "Figures are ratios of CPU seconds on one thread: above 1 means faster than the peer.",
)


@app.command()
def attention(
    rounds: Annotated[int, typer.Option(min=1, help="How often each contestant is measured; the median counts.")] = 5,
    quick: Annotated[bool, typer.Option("--quick", help="Short texts, one round: seconds instead of minutes.")] = False,
) -> None:
    """Attend through a window, and to short whole texts by chunks, against PyTorch's kernel: time and memory.

    Example: gemini-workshop benchmark attention --rounds 3
    """
    from gemini_workshop.benchmarks.attention import report

    if quick:
        typer.echo(report(lengths=(128, 256), window_tokens=64, rounds=1, whole_lengths=(128,)))
    else:
        typer.echo(report(rounds=rounds))


@app.command()
def memory(
    quick: Annotated[bool, typer.Option("--quick", help="A small model: seconds.")] = False,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Peak memory of training: activation checkpointing, chunked loss, bf16, GaLore, ZeRO-1, against none of them.

    Example: gemini-workshop benchmark memory --quick
    """
    from gemini_workshop.benchmarks.memory import report

    typer.echo(report(quick, device))


@app.command()
def moe(
    rounds: Annotated[int, typer.Option(min=1, help="How often each contestant is measured; the median counts.")] = 7,
    quick: Annotated[bool, typer.Option("--quick", help="Few tokens, one layer, one round: seconds.")] = False,
) -> None:
    """A mixture of experts, alone and in training, against transformers' Mixtral.

    Example: gemini-workshop benchmark moe --rounds 3
    """
    from gemini_workshop.benchmarks.moe import report

    typer.echo(report(rounds=1, is_quick=True) if quick else report(rounds=rounds))


@app.command()
def tokenizer(
    rounds: Annotated[int, typer.Option(min=1, help="How often each contestant is measured; the median counts.")] = 7,
    thorough: Annotated[
        bool, typer.Option(help="Learn 512 merges by the naive trainer, and by minbpe if installed: minutes.")
    ] = False,
) -> None:
    """Train, encode and decode against tiktoken and Hugging Face's tokenizers.

    On Tiny Shakespeare and the vocabularies of GPT-2 and GPT-4 if they are on this machine, else on the embedded
    stories and a vocabulary learned from them.

    Example: gemini-workshop benchmark tokenizer --rounds 3
    """
    from gemini_workshop.benchmarks.tokenizer import report

    typer.echo(report(rounds, thorough))


@app.command()
def train(
    rounds: Annotated[int, typer.Option(min=1, help="How often each contestant is measured; the median counts.")] = 15,
    quick: Annotated[bool, typer.Option("--quick", help="A tiny model, one round: seconds, not minutes.")] = False,
    compiled: Annotated[
        bool, typer.Option("--compiled", help="Compiled models, too: a minute more, and a C++ compiler is needed.")
    ] = False,
) -> None:
    """Training steps of a GPT-2 against the same written the plain way: nanoGPT's two shapes.

    Example: gemini-workshop benchmark train --compiled
    """
    from gemini_workshop.benchmarks.train import report

    typer.echo(report(rounds=1 if quick else rounds, is_quick=quick, with_compile=compiled))


@app.command()
def recipe(
    seeds: Annotated[int, typer.Option(min=1, help="Runs of our recipe.")] = 3,
    precision: Annotated[Literal["fp32", "bf16"], typer.Option(help="Number format of our matrix products.")] = "bf16",
    quick: Annotated[bool, typer.Option("--quick", help="Three steps and a little text: seconds.")] = False,
) -> None:
    """What our recipe learns from Tiny Shakespeare, against nanoGPT's for CPUs: about ten minutes.

    Example: gemini-workshop benchmark recipe --seeds 1
    """
    from gemini_workshop.benchmarks.recipe import report

    typer.echo(report(1 if quick else seeds, precision, is_quick=quick))


@app.command()
def generate(
    rounds: Annotated[int, typer.Option(min=1, help="How often each contestant is measured; the median counts.")] = 5,
    quick: Annotated[bool, typer.Option("--quick", help="A tiny model, one round: seconds, not minutes.")] = False,
    compiled: Annotated[
        bool, typer.Option("--compiled", help="Compiled steps, too: a minute more, and a C++ compiler is needed.")
    ] = False,
) -> None:
    """Write text, against transformers' Llama on the same weights, without a cache, and from a cold start.

    Example: gemini-workshop benchmark generate --compiled
    """
    from gemini_workshop.benchmarks.generate import report

    typer.echo(report(rounds=1 if quick else rounds, is_quick=quick, with_compile=compiled))
