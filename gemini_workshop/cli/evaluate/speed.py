"""gemini-workshop evaluate speed: tokens per second, and joules."""

from typing import Annotated

import typer

from gemini_workshop.cli.evaluate.common import MOST, Checkpoint, Device, Measurement, measurement


@measurement(has_picture=False)
def speed(
    checkpoint: Checkpoint = "stories-small",
    prompt_tokens: Annotated[int, typer.Option(min=1, max=MOST, help="Tokens of the prompt.")] = 128,
    new_tokens: Annotated[int, typer.Option(min=2, max=MOST, help="Tokens to generate.")] = 64,
    rounds: Annotated[int, typer.Option(min=1, help="Repetitions; the median is reported.")] = 3,
    tdp_watts: Annotated[
        float | None, typer.Option(min=0, help="The processor's stated power, for an estimate of the energy.")
    ] = None,
    device: Device = "auto",
) -> Measurement:
    """Measure tokens per second and energy per token.

    Energy is measured where the processor's counters (RAPL) can be read and otherwise estimated from --tdp-watts; the
    report shows which.

    Example: gemini-workshop evaluate speed stories-small --tdp-watts 28
    """
    from dataclasses import asdict

    import torch

    from gemini_workshop.checkpoint import load_pretrained
    from gemini_workshop.devices import pick_device
    from gemini_workshop.evaluation.results import Result, model_facts
    from gemini_workshop.evaluation.scores import name_of
    from gemini_workshop.evaluation.throughput import measure_throughput

    model, _ = load_pretrained(checkpoint, pick_device(device))
    draw = torch.Generator().manual_seed(0)
    prompt = torch.randint(model.config.vocab_size, (prompt_tokens,), generator=draw).tolist()
    found, name = measure_throughput(model, prompt, new_tokens, rounds, tdp_watts), name_of(checkpoint)
    cost = "-" if found.joules_per_written_token is None else f"{found.joules_per_written_token * 1000:.2f} mJ"
    lines = [
        f"{name}: {prompt_tokens} tokens read, {new_tokens} written, {torch.get_num_threads()} threads",
        "",
        f"first token after    {found.first_token_seconds:>12.4f} s",
        f"reading              {found.read_tokens_per_second:>12,.0f} tokens/s",
        f"writing              {found.written_tokens_per_second:>12,.0f} tokens/s",
        f"energy               {cost:>15} per token written",
        f"                     {found.energy_source}",
    ]
    numbers = {key: value for key, value in asdict(found).items() if isinstance(value, float)}
    return Measurement(
        Result(
            kind="speed",
            model=model_facts(name, model),
            data={"name": "random tokens", "sha256": None},
            settings={"prompt_tokens": prompt_tokens, "new_tokens": new_tokens, "threads": torch.get_num_threads()},
            scores=numbers,
            details={"energy_source": found.energy_source, "tdp_watts": tdp_watts},
        ),
        "\n".join(lines),
    )
