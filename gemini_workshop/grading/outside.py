"""What decides, in a process that no answer can reach: it asks the jail for values, and compares them here."""

import base64
import json
from pathlib import Path
from typing import Any

import torch

from gemini_workshop.evaluation.sandbox.judge import Ended, NotIsolated, Program, ProgramError
from gemini_workshop.exercises.core.catalogue import find
from gemini_workshop.exercises.core.comparison import same, value_problem
from gemini_workshop.exercises.core.plain import shown
from gemini_workshop.exercises.core.verdict import Outcome, Verdict
from gemini_workshop.grading.fresh import PUBLIC_SEED, candidates, drawn_cases, usable
from gemini_workshop.grading.jailed import BORROWED, DTYPES

LINES, LINE_CHARACTERS, PRINTED_CHARACTERS = 12, 2000, 2000


def decide(program: Program, task: dict[str, Any]) -> tuple[str, str]:
    """Ask what the task wants to know; the findings go to the file that it names."""
    try:
        program.wait_until_ready()
        if "exercise" not in task:
            return "passed", ""
        found = _verdict(program, task) if task["asks"] == "verdict" else _values(program, task)
    except NotIsolated as error:
        return "not isolated", str(error)
    except (Ended, ProgramError) as error:
        return "failed", f"the program {error}"
    except Exception as error:
        return "failed", f"it sent what cannot be read ({type(error).__name__})"
    Path(task["findings"]).write_text(json.dumps(found), "utf-8")
    return "passed", ""


def _verdict(program: Program, task: dict[str, Any]) -> dict[str, Any]:
    """The check's verdict, brought into form: it comes from where it could be forged."""
    sent = json.loads(str(program.ask("verdict", task["exercise"], task["parts"], task["seconds"])))
    mistake = sent["mistake"]
    exercise = find(task["exercise"])
    clean = Verdict(
        exercise_id=exercise.id,
        title=exercise.title,
        outcome=Outcome(sent["outcome"]),
        lines=tuple(shown(str(line), LINE_CHARACTERS) for line in sent["lines"][:LINES]),
        mistake=None if mistake is None else shown(str(mistake), 200),
        printed=shown(str(sent["printed"]), PRINTED_CHARACTERS),
    )
    return dict(json.loads(clean.to_json()))


def _values(program: Program, task: dict[str, Any]) -> dict[str, Any]:
    """Whether the answer is right on the cases that notebooks show, and on fresh ones; if not, where."""
    exercise, seed = find(task["exercise"]), task["seed"]
    public, fresh = candidates(exercise, PUBLIC_SEED), candidates(exercise, seed)
    program.ask("cases", task["exercise"], seed)
    program.ask("define", task["parts"])
    known = range(len(drawn_cases(exercise, PUBLIC_SEED)))
    cases = {i: public[i] for i in known} | {len(public) + i: fresh[i] for i in usable(exercise, seed)}
    answers = {number: program.ask("value", number) for number in cases}
    failed = {
        number: shown(str(got["problem"]), LINE_CHARACTERS) for number, got in answers.items() if "problem" in got
    }
    wrong = dict(failed)
    for number in answers.keys() - failed.keys():
        problem = _problem(unpacked(answers[number]["value"]), exercise.oracle(*cases[number]))
        wrong |= {number: shown(problem, LINE_CHARACTERS)} if problem else {}
    return {
        "is_known_right": not any(i in wrong for i in known),
        "is_fresh_right": not any(i not in known for i in wrong),
        "is_borrowed": BORROWED in failed.values(),
        "fails": next((failed[i] for i in known if i in failed), ""),
        "lines": [line for i, line in sorted(wrong.items()) if i not in known and line != BORROWED][:1],
    }


def _problem(got: Any, right: Any) -> str:
    return "" if same(got, right) else value_problem(got, right) or "The values differ."


def unpacked(value: Any) -> Any:
    """The value that :func:`jailed.packed` packed.

    Raises:
        ValueError, KeyError, TypeError: it is none of its kind.
    """
    if isinstance(value, tuple) and len(value) == 4 and value[0] == "tensor":
        _, dtype, shape, text = value
        data = bytearray(base64.b64decode(text, validate=True))
        content = torch.frombuffer(data, dtype=DTYPES[dtype]) if data else torch.empty(0, dtype=DTYPES[dtype])
        return content.reshape([int(size) for size in shape])
    if isinstance(value, list | tuple):
        return type(value)(map(unpacked, value))
    if isinstance(value, dict):
        return {unpacked(key): unpacked(each) for key, each in value.items()}
    return value if isinstance(value, int | float | str | bytes | None) else None
