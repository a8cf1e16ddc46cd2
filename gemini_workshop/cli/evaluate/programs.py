"""gemini-workshop evaluate code: programs that a model writes, run in a sandbox."""

from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gemini_workshop.cli.evaluate.common import Checkpoint, Device, Measurement, Seed, Size, measurement, read_numbers

if TYPE_CHECKING:
    from gemini_workshop.config import GenerationConfig
    from gemini_workshop.evaluation.passk import Problem, ProblemResult
    from gemini_workshop.evaluation.sandbox.running import Sandbox

Programs = list[tuple["Problem", list[str]]]


class Problems(StrEnum):
    """Where the problems come from."""

    humaneval = "humaneval"
    mbpp = "mbpp"


@measurement()
def code(
    checkpoint: Checkpoint = "stories-small",
    problems: Annotated[Problems, typer.Option(help="humaneval or mbpp.")] = Problems.humaneval,
    size: Size = "small",
    samples: Annotated[int, typer.Option(min=1, help="Programs per problem.")] = 5,
    k: Annotated[str, typer.Option("--k", help="The k of pass@k, or several with commas.")] = "1",
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Maximum tokens of a program.")] = 256,
    temperature: Annotated[float, typer.Option(min=0, help="0.2 suits pass@1, 0.8 pass@100.")] = 0.2,
    reference: Annotated[
        bool, typer.Option("--reference", help="Judge the reference solutions: all should pass.")
    ] = False,
    seconds: Annotated[float, typer.Option(min=0.1, help="Time limit of a program and its tests.")] = 10.0,
    workers: Annotated[int, typer.Option(min=1, max=1024, help="Sandboxes in parallel.")] = 2,
    unsafe: Annotated[
        bool, typer.Option("--unsafe", help="Run programs even where they cannot be isolated (containers, macOS).")
    ] = False,
    seed: Seed = 0,
    device: Device = "auto",
) -> Measurement:
    """Measure how many of a model's programs pass tests.

    The model writes programs for problems, they run in a sandbox (no network, no files, within limits), and pass@k is
    estimated without bias. See docs/evaluation.md.

    Examples:

        gemini-workshop evaluate code --reference --problems humaneval

        gemini-workshop evaluate code runs/code --samples 20 --k 1,10
    """
    from gemini_workshop.config import GenerationConfig
    from gemini_workshop.evaluation.passk import judge_programs, load_problems, mean_pass_at_k
    from gemini_workshop.evaluation.results import Result, text_facts
    from gemini_workshop.evaluation.sandbox.running import Limits
    from gemini_workshop.visualization.evaluation import pass_at_k_curves

    ks = _estimable(k, 1 if reference else samples)
    _try_the_sandbox(unsafe)
    tasks = load_problems(problems, size)
    if reference:
        model, programs = {"name": "reference solutions"}, [(task, [task.reference_program]) for task in tasks]
    else:
        config = GenerationConfig(max_new_tokens=max_new_tokens, temperature=temperature, seed=seed)
        model, programs = _written(checkpoint, device, tasks, samples, config)
    limits = Limits(seconds=seconds)
    outcomes = list(judge_programs(programs, limits=limits, workers=workers, may_be_unsafe=unsafe))
    scores = {number: mean_pass_at_k(outcomes, number) for number in ks}
    drawn = {} if reference else {"temperature": temperature, "max_new_tokens": max_new_tokens, "seed": seed}
    return Measurement(
        Result(
            kind="code",
            model=model,
            data=text_facts(f"{problems} ({size})", [task.prompt + task.tests for task in tasks]),
            settings={"samples": len(programs[0][1]), "seconds": seconds, **drawn},
            scores={f"pass@{number}": score for number, score in scores.items()},
            details=_details(outcomes),
        ),
        _shown(f"{model['name']}: {len(tasks)} problems of {problems}", scores, outcomes),
        lambda: pass_at_k_curves({model["name"]: scores}),
    )


def _try_the_sandbox(unsafe: bool) -> None:
    """Refuse at once where nothing can be run; say what protection is missing."""
    from gemini_workshop.evaluation.sandbox.running import Sandbox

    with Sandbox(may_be_unsafe=unsafe) as sandbox:
        if warning := missing_protection(sandbox):
            typer.echo(warning, err=True)


def missing_protection(sandbox: "Sandbox") -> str:
    """A sentence about what does not protect this machine; empty if everything does."""
    if not sandbox.is_isolated:
        return "Programs are not isolated here: they can reach the network and your files."
    if not sandbox.is_filtered:
        return (
            "No filter of system calls (seccomp): namespaces and limits alone isolate programs. "
            'To add it: pip install -e ".[sandbox]", and libseccomp from your system.'
        )
    return ""


def _written(
    checkpoint: str, device: str, tasks: "list[Problem]", samples: int, config: "GenerationConfig"
) -> tuple[dict[str, Any], Programs]:
    """Facts about a model, and the programs that it writes; each sample has a seed of its own."""
    from dataclasses import replace

    from gemini_workshop.checkpoint import load_pretrained
    from gemini_workshop.devices import pick_device
    from gemini_workshop.evaluation.passk import complete
    from gemini_workshop.evaluation.results import model_facts
    from gemini_workshop.evaluation.scores import name_of
    from gemini_workshop.generation.decode import generate_text

    model, tokenizer = load_pretrained(checkpoint, pick_device(device))

    def write(task: "Problem", number: int) -> str:
        own_seed = replace(config, seed=config.seed + number)
        return "".join(generate_text(model, tokenizer, task.prompt, own_seed, stop_strings=task.stops))

    return model_facts(name_of(checkpoint), model), [(task, complete(task, samples, write)) for task in tasks]


def _estimable(k: str, samples: int) -> list[int]:
    """The numbers in --k; what cannot be estimated is refused before hours of writing."""
    from gemini_workshop.evaluation.passk import pass_at_k

    numbers = read_numbers(k)
    for number in numbers:
        pass_at_k(samples, 0, number)
    return numbers


def _shown(title: str, scores: dict[int, float], outcomes: "list[ProblemResult]") -> str:
    from gemini_workshop.tables import table

    num_programs = len(outcomes[0].outcomes)
    rows = [[f"pass@{number}", f"{score:.1%}"] for number, score in scores.items()]
    return "\n".join([f"{title}, {num_programs} programs each", "", table(rows), *_why(outcomes)])


def _details(outcomes: "list[ProblemResult]") -> dict[str, Any]:
    return {
        "passed": {each.name: each.num_passed for each in outcomes},
        "reasons": {each.name: [run.reason for run in each.outcomes] for each in outcomes},
    }


def _why(outcomes: "list[ProblemResult]") -> list[str]:
    """The most common reasons for which programs failed, as lines; none if all passed."""
    reasons = Counter(kind_of(run.reason) for each in outcomes for run in each.outcomes if not run.passed)
    lines = [f"{count:>8}  {reason}" for reason, count in reasons.most_common(8)]
    return ["", "Why programs failed:", *lines] if lines else []


def kind_of(reason: str) -> str:
    """A reason without its particulars: ``the program raised NameError``."""
    return reason.split(":")[0]
