"""``gemini-workshop benchmark``: one command per measurement, each printing tables of ratios to a peer."""

from typing import Annotated, Literal

import typer

from gemini_workshop.cli.options import Commands

app = Commands(
    no_args_is_help=True,
    help="Benchmark this package against other libraries.\n\n"
    "Values are speed-ups in CPU time on one thread: above 1 means faster than the peer.",
)

Rounds = Annotated[int, typer.Option(min=1, help="How often each contestant is measured; the median counts.")]


@app.command()
def attention(
    rounds: Rounds = 5,
    quick: Annotated[bool, typer.Option("--quick", help="Short texts, one round: seconds instead of minutes.")] = False,
) -> None:
    """Attention against PyTorch's kernel: time and memory.

    Example: gemini-workshop benchmark attention --rounds 3
    """
    from gemini_workshop.benchmarks.attention import report

    if quick:
        typer.echo(report(lengths=(128, 256), window_tokens=64, rounds=1, whole_lengths=(128,)))
    else:
        typer.echo(report(rounds=rounds))


@app.command()
def ablations(
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each variant.")] = 3,
    steps: Annotated[int, typer.Option(min=1, help="Training steps of each run.")] = 300,
    quick: Annotated[bool, typer.Option("--quick", help="Two steps and few questions: seconds.")] = False,
) -> None:
    """Small runs of mini-Gemini without one of its parts.

    Experts against a dense layer, native against late fusion, with and without a tower, local against global layers,
    with and without balancing, and without one of the senses. Half an hour on one core.

    Example: gemini-workshop benchmark ablations --seeds 1
    """
    from gemini_workshop.benchmarks.ablations import report

    typer.echo(report(seeds, steps, quick))


@app.command()
def engines(
    checkpoint: Annotated[str, typer.Argument(help="A checkpoint that other engines can compute.")] = "stories-small",
    quick: Annotated[bool, typer.Option("--quick", help="Two prompts, few tokens.")] = False,
) -> None:
    """The same text by transformers and llama.cpp?

    Exports the checkpoint, and compares what each engine writes after ten prompts with our own text. Engines that are
    not installed are left out.

    Example: gemini-workshop benchmark engines
    """
    from gemini_workshop.benchmarks.engines import PROMPTS, report

    typer.echo(report(checkpoint, 8, PROMPTS[:2]) if quick else report(checkpoint))


@app.command()
def memory(
    quick: Annotated[bool, typer.Option("--quick", help="A small model: seconds.")] = False,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Peak memory of training with each way of saving it.

    Example: gemini-workshop benchmark memory --quick
    """
    from gemini_workshop.benchmarks.memory import report

    typer.echo(report(quick, device))


@app.command()
def moe(
    rounds: Rounds = 7,
    quick: Annotated[bool, typer.Option("--quick", help="Few tokens, one layer, one round: seconds.")] = False,
) -> None:
    """A mixture of experts against transformers' Mixtral.

    Example: gemini-workshop benchmark moe --rounds 3
    """
    from gemini_workshop.benchmarks.moe import report

    typer.echo(report(rounds=1, is_quick=True) if quick else report(rounds=rounds))


@app.command()
def room(
    learners: Annotated[int, typer.Option(min=1, max=300, help="Learners at once.")] = 40,
    exercises: Annotated[int, typer.Option(min=1, max=50, help="Exercises, each failed once and passed.")] = 20,
) -> None:
    """The instructor's room with many learners at once.

    Opens `gemini-workshop room` on this machine alone; each learner sends verdicts as a notebook does. Shows whether
    any was lost.

    Example: gemini-workshop benchmark room
    """
    from gemini_workshop.benchmarks.room import report

    typer.echo(report(learners, exercises))


@app.command()
def serve(
    checkpoint: Annotated[str, typer.Argument(help="A bundled checkpoint, or the folder of a run.")] = "stories-small",
    clients: Annotated[int, typer.Option(min=1, help="Requests at once.")] = 50,
    quick: Annotated[bool, typer.Option("--quick", help="Few tokens and requests: seconds.")] = False,
) -> None:
    """A server under load: many clients against one.

    Starts `gemini-workshop serve`, sends the same requests one after the other and all at once, and compares what they
    get. Then a client hangs up, and a thousand requests show whether memory grows.

    Example: gemini-workshop benchmark serve --quick
    """
    from gemini_workshop.benchmarks.serve import report

    typer.echo(report(checkpoint, clients, tokens=8, requests=40) if quick else report(checkpoint, clients))


@app.command()
def speakers(
    steps: Annotated[int, typer.Option(min=1, help="Training steps for each speaker.")] = 300,
    quick: Annotated[bool, typer.Option("--quick", help="Two steps and few questions: seconds.")] = False,
) -> None:
    """Spoken digits, with each speaker left out in turn.

    Needs the recordings: gemini-workshop data get spoken-digits. Half an hour on one core.

    Example: gemini-workshop benchmark speakers --quick
    """
    from gemini_workshop.benchmarks.speakers import report

    typer.echo(report(steps, quick))


@app.command()
def tokenizer(
    rounds: Rounds = 7,
    thorough: Annotated[
        bool, typer.Option(help="Learn 512 merges by the naive trainer, and by minbpe if installed: minutes.")
    ] = False,
) -> None:
    """Tokenizers against tiktoken and Hugging Face's.

    Training, encoding and decoding, on Tiny Shakespeare and the vocabularies of GPT-2 and GPT-4 if they are on this
    machine, else on the embedded stories and a vocabulary learned from them.

    Example: gemini-workshop benchmark tokenizer --rounds 3
    """
    from gemini_workshop.benchmarks.tokenizer import report

    typer.echo(report(rounds, thorough))


@app.command()
def train(
    rounds: Rounds = 15,
    quick: Annotated[bool, typer.Option("--quick", help="A tiny model, one round: seconds, not minutes.")] = False,
    compiled: Annotated[
        bool, typer.Option("--compiled", help="Compiled models as well: a minute more, and a C++ compiler is needed.")
    ] = False,
) -> None:
    """Training steps of a GPT-2 against nanoGPT.

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
    """Learning Tiny Shakespeare against nanoGPT: ten minutes.

    Example: gemini-workshop benchmark recipe --seeds 1
    """
    from gemini_workshop.benchmarks.recipe import report

    typer.echo(report(1 if quick else seeds, precision, is_quick=quick))


@app.command()
def generate(
    rounds: Rounds = 5,
    quick: Annotated[bool, typer.Option("--quick", help="A tiny model, one round: seconds, not minutes.")] = False,
    compiled: Annotated[
        bool, typer.Option("--compiled", help="Compiled steps as well: a minute more, and a C++ compiler is needed.")
    ] = False,
) -> None:
    """Text generation against transformers' Llama.

    Example: gemini-workshop benchmark generate --compiled
    """
    from gemini_workshop.benchmarks.generate import report

    typer.echo(report(rounds=1 if quick else rounds, is_quick=quick, with_compile=compiled))
