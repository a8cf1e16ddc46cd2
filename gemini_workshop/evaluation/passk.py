"""How often a model's programs are right: pass@k on problems with tests.

    pass@k = mean over problems of 1 - C(n - c, k) / C(n, k)

of n programs for a problem, c pass. It is the fraction of all choices of k of them in which at least one passes: what
sampling k programs would show, without the noise of sampling. (1 - (1 - c/n)^k would be too low.)

Source: Chen et al. 2021, arXiv:2107.03374, section 2.1, equation 1.
Differs: computed with exact whole numbers in place of a product of fractions.
"""

import ast
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from gemini_workshop.data.code_corpus import parse
from gemini_workshop.data.corpora import load_records
from gemini_workshop.errors import DataError
from gemini_workshop.evaluation.sandbox.running import Limits, ProgramOutcome, Sandbox

HUMANEVAL_STOPS = ("\nclass", "\ndef", "\n#", "\nif", "\nprint", "\n@")
MBPP_STOPS = ("\nassert", '\n"""', "\nprint", "\nif __name__")


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """A task for a programmer, and tests for its solution.

    Args:
        prompt: what a model continues.
        is_continued: whether the prompt is the beginning of the program.
        stops: a completion ends before the first of these.
        reference: a completion that is right.
        preamble: trusted source that the tests need.
        tests: assertions.
        names: of the program's functions and classes that the tests use.
    """

    name: str
    prompt: str
    is_continued: bool
    stops: tuple[str, ...]
    reference: str
    preamble: str
    tests: str
    names: tuple[str, ...]

    @property
    def reference_program(self) -> str:
        """A whole program that is right."""
        return (self.prompt if self.is_continued else "") + self.reference

    def program(self, completion: str) -> str:
        """The whole program, from what a model wrote after the prompt."""
        for stop in self.stops:
            completion = completion.split(stop, 1)[0]
        return (self.prompt if self.is_continued else "") + completion


@dataclass(frozen=True, kw_only=True, slots=True)
class ProblemResult:
    """The outcomes of all programs for one problem."""

    name: str
    outcomes: tuple[ProgramOutcome, ...]

    @property
    def num_passed(self) -> int:
        """How many were right."""
        return sum(outcome.passed for outcome in self.outcomes)


def pass_at_k(n: int, c: int, k: int) -> float:
    """The chance that at least one of k programs is right, if c of n were.

    Raises:
        DataError: k programs cannot be drawn from n, or c of n is impossible.

    Example:
        >>> pass_at_k(n=4, c=1, k=2)  # 3 of the 6 pairs hold the right one
        0.5
    """
    if not 0 <= c <= n:
        raise DataError(f"c={c} right programs of n={n} cannot be. Give 0 <= c <= n.")
    if not 1 <= k <= n:
        raise DataError(f"k={k} programs cannot be drawn from n={n}. Give 1 <= k <= n, or write more programs.")
    return 1 - math.comb(n - c, k) / math.comb(n, k)


def mean_pass_at_k(results: Sequence[ProblemResult], k: int) -> float:
    """pass@k over all problems."""
    return sum(pass_at_k(len(result.outcomes), result.num_passed, k) for result in results) / len(results)


def load_problems(name: str, size: str = "all") -> list[Problem]:
    """The problems of ``humaneval`` or ``mbpp``.

    Raises:
        DataError: it is neither, or its file cannot be had here.
    """
    if name not in PROBLEM_READERS:
        raise DataError(
            f"{name} holds no programming problems with tests. Choose one of: {', '.join(PROBLEM_READERS)}."
        )
    return [PROBLEM_READERS[name](record) for record in load_records(name, size)]


def humaneval_problem(record: dict[str, Any]) -> Problem:
    """A record of HumanEval: the head of a function to continue, and ``check(candidate)``."""
    name = record["entry_point"]
    return Problem(
        name=record["task_id"],
        prompt=record["prompt"],
        is_continued=True,
        stops=HUMANEVAL_STOPS,
        reference=record["canonical_solution"],
        preamble=record["prompt"],  # tests use its helpers
        tests=f"{record['test']}\n\ncheck({name})\n",
        names=(name,),
    )


def mbpp_problem(record: dict[str, Any]) -> Problem:
    """A record of MBPP: a sentence and its tests as the prompt, a whole program to write.

    Its tests use functions, classes and variables of the program, and modules; the reference shows which.
    """
    tests = "\n".join([record["test_setup_code"], *record["test_list"]]).replace("\r", "")
    shown = "\n".join(record["test_list"])
    return Problem(
        name=f"MBPP/{record['task_id']}",
        prompt=f'"""\n{record["text"]}\n{shown}\n"""\n',
        is_continued=False,
        stops=MBPP_STOPS,
        reference=record["code"],
        preamble=_imports(record["code"]),
        tests=tests,
        names=_shared_names(record["code"], tests),
    )


def complete(problem: Problem, num_samples: int, write: Callable[[Problem, int], str]) -> list[str]:
    """Programs for a problem.

    Args:
        write: from a problem and the number of the sample to the text that follows its prompt.
    """
    return [problem.program(write(problem, number)) for number in range(num_samples)]


def judge_programs(
    programs: Sequence[tuple[Problem, Sequence[str]]],
    *,
    limits: Limits | None = None,
    workers: int = 2,
    may_be_unsafe: bool = False,
) -> Iterator[ProblemResult]:
    """Run all programs of each problem; results come in order.

    Args:
        workers: sandboxes side by side.

    Raises:
        SandboxError: programs cannot be isolated here.
    """
    sandboxes = [Sandbox(limits, may_be_unsafe=may_be_unsafe) for _ in range(workers)]
    free = list(sandboxes)

    def judged(item: tuple[Problem, Sequence[str]]) -> ProblemResult:
        problem, texts = item
        sandbox = free.pop()
        try:
            outcomes = [
                sandbox.run(text, problem.tests, names=problem.names, preamble=problem.preamble) for text in texts
            ]
        finally:
            free.append(sandbox)
        return ProblemResult(name=problem.name, outcomes=tuple(outcomes))

    try:
        with ThreadPoolExecutor(workers) as pool:
            yield from pool.map(judged, programs)
    finally:
        for sandbox in sandboxes:
            sandbox.close()


def _imports(reference: str) -> str:
    """The modules that the reference imports at its top."""
    return "\n".join(ast.unparse(node) for node in _top(reference) if isinstance(node, ast.Import))


def _shared_names(reference: str, tests: str) -> tuple[str, ...]:
    """What the reference defines at its top and the tests mention."""
    defined: set[str] = set()
    for node in _top(reference):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            defined.add(node.name)
        elif isinstance(node, ast.Assign):
            defined |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    used = {node.id for node in ast.walk(ast.parse(tests)) if isinstance(node, ast.Name)}
    return tuple(sorted(defined & used))


def _top(source: str) -> list[ast.stmt]:
    tree = parse(source)
    return tree.body if tree else []


PROBLEM_READERS: dict[str, Callable[[dict[str, Any]], Problem]] = {"humaneval": humaneval_problem, "mbpp": mbpp_problem}
