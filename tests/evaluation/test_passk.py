"""pass@k: the estimator, the problems, and that every reference solution of the data sets passes."""

import itertools
import os
from dataclasses import replace

import pytest

from gemini_workshop.data.corpora import MIRROR_VARIABLE
from gemini_workshop.errors import DataError
from gemini_workshop.evaluation.passk import (
    HUMANEVAL_STOPS,
    ProblemResult,
    complete,
    humaneval_problem,
    judge_programs,
    load_problems,
    mbpp_problem,
    mean_pass_at_k,
    pass_at_k,
)
from gemini_workshop.evaluation.sandbox.running import Limits, ProgramOutcome
from tests.evaluation.sandbox.isolation import why_not_isolated

IN_JAIL = pytest.mark.skipif(bool(why_not_isolated()), reason="programs cannot be isolated on this machine")
FROM_MIRROR = pytest.mark.skipif(not os.environ.get(MIRROR_VARIABLE), reason="takes a mirror of the data sets")

HUMANEVAL = {
    "task_id": "HumanEval/x",
    "entry_point": "double_twice",
    "prompt": 'def double(x):\n    return 2 * x\n\n\ndef double_twice(x):\n    """Four times x."""\n',
    "canonical_solution": "    return double(double(x))\n",
    "test": "def check(candidate):\n    assert candidate(3) == double(6)\n",
}
MBPP = {
    "task_id": 7,
    "text": "Write a function to sum a list of nodes.",
    "code": "import math\r\nLIMIT = 3\r\nclass Node:\r\n\tdef __init__(self, v): self.v = v\r\n"
    "def sum(nodes):\r\n\treturn math.fsum(n.v for n in nodes[:LIMIT])\r\ndef unused(): pass",
    "test_setup_code": "a = Node(2)\r\nb = Node(5)",
    "test_list": ["assert sum([a, b]) == 7", "assert math.isclose(sum([a] * 9), 2 * LIMIT)"],
}


@pytest.mark.parametrize("n", range(1, 7))
def test_the_estimator_is_the_share_of_all_choices_that_hold_a_right_program(n):
    for c, k in itertools.product(range(n + 1), range(1, n + 1)):
        choices = list(itertools.combinations([True] * c + [False] * (n - c), k))
        assert pass_at_k(n, c, k) == pytest.approx(sum(map(any, choices)) / len(choices), abs=1e-15)


def test_the_estimator_has_no_bias_and_the_plug_in_one_has():
    """The mean over all samples of 5 from a coin that is right 30 times in 100 is the true chance of 3 draws."""
    p, n, k = 0.3, 5, 3
    weight = {c: p**c * (1 - p) ** (n - c) * len(list(itertools.combinations(range(n), c))) for c in range(n + 1)}
    truth = 1 - (1 - p) ** k
    assert sum(weight[c] * pass_at_k(n, c, k) for c in weight) == pytest.approx(truth)
    assert sum(weight[c] * (1 - (1 - c / n) ** k) for c in weight) < truth - 0.05


def test_many_programs_do_not_overflow():
    assert pass_at_k(10_000, 1, 100) == pytest.approx(0.01)


@pytest.mark.parametrize(("n", "c", "k"), [(3, 1, 4), (3, 1, 0), (3, 4, 1), (3, -1, 1)])
def test_impossible_numbers_are_refused(n, c, k):
    with pytest.raises(DataError, match=rf"(k={k}|c={c}).*n={n}"):
        pass_at_k(n, c, k)


def test_the_mean_is_over_problems():
    right, wrong = (ProgramOutcome(passed=passed, reason="", seconds=0.0) for passed in (True, False))
    results = [ProblemResult(name="a", outcomes=(right, wrong)), ProblemResult(name="b", outcomes=(wrong, wrong))]
    assert mean_pass_at_k(results, 1) == pytest.approx(0.25)
    assert mean_pass_at_k(results, 2) == pytest.approx(0.5)


def test_a_completion_ends_where_something_else_begins():
    problem = humaneval_problem(HUMANEVAL)
    assert problem.program("    return 1\n\ndef other():\n    return 2") == HUMANEVAL["prompt"] + "    return 1\n"
    assert problem.program("    return 1\nprint(3)") == HUMANEVAL["prompt"] + "    return 1"
    assert all(stop.startswith("\n") for stop in HUMANEVAL_STOPS)
    written = complete(problem, 2, lambda problem, number: f"    return {number}\n#{problem.name}")
    assert [program.removeprefix(problem.prompt) for program in written] == ["    return 0", "    return 1"]


def test_the_tests_of_mbpp_see_what_the_reference_shows_them():
    problem = mbpp_problem(MBPP)
    assert problem.names == ("LIMIT", "Node", "sum")
    assert problem.preamble == "import math"
    assert problem.prompt.startswith('"""\nWrite a function to sum a list of nodes.\nassert sum([a, b]) == 7\n')
    assert problem.program("def sum(x):\n\treturn 1\nassert sum([1]) == 1") == "def sum(x):\n\treturn 1"


@IN_JAIL
def test_references_pass_wrong_ones_do_not_and_results_keep_their_order():
    humaneval, mbpp = humaneval_problem(HUMANEVAL), mbpp_problem(MBPP)
    programs = [
        (humaneval, [humaneval.program(HUMANEVAL["canonical_solution"]), humaneval.program("    return x")]),
        (mbpp, ["def sum(nodes): return 7", mbpp.reference]),
    ]
    results = list(judge_programs(programs, limits=Limits(), workers=2))
    assert [[outcome.passed for outcome in result.outcomes] for result in results] == [[True, False], [False, True]]
    assert [result.name for result in results] == ["HumanEval/x", "MBPP/7"]


@IN_JAIL
def test_a_program_cannot_bring_its_own_helpers_into_the_tests():
    humaneval, mbpp = humaneval_problem(HUMANEVAL), mbpp_problem(MBPP)
    lies = "def double(x): return 0\ndef double_twice(x): return 0\ndef check(candidate): pass\n"
    module = mbpp.reference + "\nclass math:\n\tfsum = lambda x: 7\n\tisclose = lambda *_: True\n"
    results = list(judge_programs([(humaneval, [lies]), (mbpp, [module])]))
    assert [result.num_passed for result in results] == [0, 0]


def test_only_problems_with_tests_can_be_loaded():
    with pytest.raises(DataError, match=r"alpaca holds no programming problems.*humaneval, mbpp"):
        load_problems("alpaca")


@IN_JAIL
@FROM_MIRROR
@pytest.mark.parametrize(("name", "count"), [("humaneval", 164), ("mbpp", 474)])
def test_every_reference_solution_passes(name, count):
    """Ten milliseconds of processor time each; the rest is the kernel's waiting, so several run side by side."""
    problems = load_problems(name)
    whole = [(problem, [problem.reference_program]) for problem in problems]
    failed = [
        result for result in judge_programs(whole, limits=Limits(seconds=60.0), workers=4) if not result.num_passed
    ]
    assert failed == []
    assert len(problems) == count


@pytest.mark.parametrize(("is_continued", "program"), [(True, "def f():\n    return 1\n"), (False, "    return 1\n")])
def test_a_reference_program_begins_with_the_prompt_where_programs_continue_it(is_continued, program):
    problem = replace(
        humaneval_problem(HUMANEVAL), prompt="def f():\n", reference="    return 1\n", is_continued=is_continued
    )
    assert problem.reference_program == program
    assert problem.program("    return 1\n") == program
