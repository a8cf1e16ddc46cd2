"""gemini-workshop evaluate code: programs that a model writes, run in a sandbox."""

from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from gemini_workshop.cli.evaluate.common import AsJson, Checkpoint, Device, Picture, ResultPath, Seed, Size, deliver
from gemini_workshop.cli.evaluate.needle import read_numbers

if TYPE_CHECKING:
    from gemini_workshop.evaluation.passk import Problem


class Problems(StrEnum):
    """Where the problems come from."""

    humaneval = "humaneval"
    mbpp = "mbpp"


def code(
    checkpoint: Checkpoint = "stories-small",
    problems: Annotated[Problems, typer.Option(help="humaneval or mbpp.")] = Problems.humaneval,
    size: Size = "small",
    samples: Annotated[int, typer.Option(min=1, help="Programs for each problem.")] = 5,
    k: Annotated[str, typer.Option("--k", help="Numbers of programs that may be tried, with commas.")] = "1",
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Most tokens of a program.")] = 256,
    temperature: Annotated[float, typer.Option(min=0, help="0.2 suits pass@1, 0.8 pass@100.")] = 0.2,
    reference: Annotated[
        bool, typer.Option("--reference", help="Judge the reference solutions: all should pass.")
    ] = False,
    seconds: Annotated[float, typer.Option(min=0.1, help="The most that a program and its tests may take.")] = 10.0,
    workers: Annotated[int, typer.Option(min=1, help="Sandboxes side by side.")] = 2,
    unsafe: Annotated[
        bool, typer.Option("--unsafe", help="Run programs even where they cannot be isolated (containers, macOS).")
    ] = False,
    seed: Seed = 0,
    as_json: AsJson = False,
    result: ResultPath = None,
    picture: Picture = None,
    device: Device = "auto",
) -> None:
    """Let a model write programs, run them against tests in a sandbox, and estimate pass@k without bias.

    Each program runs without network, files or other processes around it, within limits. See docs/evaluation.md.

    Examples:

        gemini-workshop evaluate code --reference --problems humaneval

        gemini-workshop evaluate code runs/code --samples 20 --k 1,10
    """
    from dataclasses import replace

    from gemini_workshop.config import GenerationConfig
    from gemini_workshop.devices import pick_device
    from gemini_workshop.evaluation.passk import complete, judge_programs, load_problems, mean_pass_at_k, pass_at_k
    from gemini_workshop.evaluation.results import Result, model_facts, text_facts
    from gemini_workshop.evaluation.sandbox.running import Limits, Sandbox
    from gemini_workshop.evaluation.scores import name_of
    from gemini_workshop.generation.decode import generate_text
    from gemini_workshop.training.checkpointing import load_pretrained
    from gemini_workshop.visualization.evaluation import pass_at_k_curves

    ks = read_numbers(k)
    for number in ks:
        pass_at_k(1 if reference else samples, 0, number)  # refuse what cannot be estimated before hours of writing
    Sandbox(may_be_unsafe=unsafe).close()  # and where nothing can be run
    tasks = load_problems(problems, size)
    if reference:
        name, facts = "reference solutions", {"name": "reference solutions"}
        programs = [(task, [task.reference_program]) for task in tasks]
    else:
        model, tokenizer = load_pretrained(checkpoint, pick_device(device))
        name, facts = name_of(checkpoint), model_facts(name_of(checkpoint), model)
        config = GenerationConfig(max_new_tokens=max_new_tokens, temperature=temperature, seed=seed)

        def write(task: "Problem", number: int) -> str:
            draw = replace(config, seed=seed + number)
            return "".join(generate_text(model, tokenizer, task.prompt, draw, stop_strings=task.stops))

        programs = [(task, complete(task, samples, write)) for task in tasks]
    limits = Limits(seconds=seconds)
    outcomes = list(judge_programs(programs, limits=limits, workers=workers, may_be_unsafe=unsafe))
    shares = {number: mean_pass_at_k(outcomes, number) for number in ks}
    reasons = Counter(kind_of(run.reason) for each in outcomes for run in each.outcomes if not run.passed)
    lines = [f"{name}: {len(tasks)} problems of {problems}, {len(programs[0][1])} programs each", ""]
    lines += [f"pass@{number:<6}{share:>8.1%}" for number, share in shares.items()]
    lines += ["", "Why programs failed:"] * bool(reasons)
    lines += [f"{count:>8}  {reason}" for reason, count in reasons.most_common(8)]
    settings = {"samples": len(programs[0][1]), "seconds": seconds}
    if not reference:
        settings |= {"temperature": temperature, "max_new_tokens": max_new_tokens, "seed": seed}
    deliver(
        Result(
            kind="code",
            model=facts,
            data=text_facts(f"{problems} ({size})", [task.prompt + task.tests for task in tasks]),
            settings=settings,
            scores={f"pass@{number}": share for number, share in shares.items()},
            details={
                "passed": {each.name: each.num_passed for each in outcomes},
                "reasons": {each.name: [run.reason for run in each.outcomes] for each in outcomes},
            },
        ),
        "\n".join(lines),
        lambda: pass_at_k_curves({name: shares}),
        as_json=as_json,
        path=result,
        picture=picture,
    )


def kind_of(reason: str) -> str:
    """A reason without its particulars: ``the program raised NameError``."""
    return reason.split(":")[0]
