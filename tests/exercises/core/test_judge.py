"""How an answer is judged, what is shown, and what a check gives back."""

import math
import time

import pytest
import torch

from gemini_workshop.errors import WorkshopError
from gemini_workshop.exercises.core import progress
from gemini_workshop.exercises.core.calls import check, hint, quiz, solution
from gemini_workshop.exercises.core.catalogue import all_exercises, find
from gemini_workshop.exercises.core.exercise import Exercise, Invariant, Say
from gemini_workshop.exercises.core.judge import judge
from gemini_workshop.exercises.core.verdict import Outcome


@pytest.fixture(autouse=True)
def learner_home(tmp_path, monkeypatch):
    monkeypatch.setenv("GEMINI_WORKSHOP_HOME", str(tmp_path))
    return tmp_path


def double(x: torch.Tensor, by: int = 2) -> torch.Tensor:
    """Twice x."""
    return by * x


def exercise(**changes) -> Exercise:
    fields = {
        "id": "99.1",
        "minutes": 1,
        "difficulty": 1,
        "importance": 1,
        "reference": double,
        "oracle": lambda x, by=2: x.double() * by,
        "cases": lambda generator: [(torch.tensor([1.0, 2.0]),), (torch.randn(2, 3, generator=generator), 5)],
        "hints": ("one", "two", "three"),
        "misconceptions": {"squared": Say("This is the square.").to(lambda x, by=2: x**by)},
    }
    return Exercise(**(fields | changes))


@pytest.mark.parametrize(("name", "level"), [("difficulty", 0), ("importance", 6)])
def test_a_level_outside_of_one_to_five_is_an_error(name, level):
    with pytest.raises(ValueError, match=f"Exercise 99.1: {name}={level} must be a number from 1 to 5"):
        exercise(**{name: level})


def test_a_right_answer_passes():
    assert judge(exercise(), lambda x, by=2: x + (by - 1) * x).outcome == Outcome.PASSED


def test_what_is_no_function_is_said_to_be_none():
    verdict = judge(exercise(), 7)
    assert verdict.outcome == Outcome.WRONG
    assert "is of type int, and no function" in verdict.lines[0]


def test_a_function_with_another_first_line_is_told_which_arguments_come():
    verdict = judge(exercise(), lambda: 1)
    assert "it is called with (x)" in verdict.lines[0]
    assert "Keep the first line" in verdict.lines[0]


def test_a_wrong_shape_is_given_with_the_needed_one():
    verdict = judge(exercise(), lambda x, by=2: (by * x).sum())
    assert "It returned shape (); (2,) is needed." in verdict.lines[0]


def test_a_list_in_place_of_a_tensor_is_named():
    assert "It returned a list; a tensor" in judge(exercise(), lambda x, by=2: (by * x).tolist()).lines[0]


def test_whole_numbers_in_place_of_fractions_are_named():
    verdict = judge(exercise(), lambda x, by=2: (by * x).int())
    assert "It returned numbers of type int32; float64 is needed." in verdict.lines[0]


def test_nan_is_shown_with_its_place():
    verdict = judge(exercise(), lambda x, by=2: (by * x).log() * torch.tensor(math.nan))
    assert "Element [0] is nan; 2 is needed." in verdict.lines[0]


def test_a_changed_argument_is_named():
    verdict = judge(exercise(), lambda x, by=2: x.mul_(by))
    assert "It changes its argument `x`." in verdict.lines[0]


def test_randomness_left_on_is_noticed():
    verdict = judge(exercise(), lambda x, by=2: by * x + torch.rand(x.shape))
    assert "gave two answers" in verdict.lines[0]


def test_a_broken_invariant_speaks_before_the_values():
    invariant = Invariant(
        name="odd", broken=lambda f: "It is not odd." if f(-torch.ones(1)) != -f(torch.ones(1)) else None
    )
    verdict = judge(exercise(invariants=(invariant,)), lambda x, by=2: by * x + x.abs())
    assert verdict.lines[0] == "It is not odd."


def test_wrong_values_without_a_name_show_the_largest_difference_and_what_was_given():
    verdict = judge(exercise(), lambda x, by=2: x * by + x.abs().ceil())
    assert verdict.outcome == Outcome.WRONG
    assert verdict.mistake is None
    assert verdict.lines[:2] == ("Element [1] is 6; 4 is needed.", "Given: x = [1, 2].")


def test_a_recognised_mistake_is_named_first_and_the_counterexample_follows():
    verdict = judge(exercise(), lambda x, by=2: x**by)
    assert verdict.mistake == "squared"
    assert verdict.lines[0] == "This is the square."
    assert verdict.lines[1] == "Element [0] is 1; 2 is needed."


def test_a_crash_shows_the_learners_own_line_and_the_shapes_on_it():
    def crashes(x, by=2):
        other = torch.ones(7)
        return x @ other

    verdict = judge(exercise(), crashes)
    assert verdict.outcome == Outcome.ERROR
    assert "`return x @ other`" in verdict.lines[0]
    assert verdict.lines[1].startswith("RuntimeError: ")
    assert "other (7,)" in verdict.lines[2]
    assert not any("gemini_workshop" in line for line in verdict.lines)


def test_code_that_crashes_like_a_mistake_is_not_given_its_name():
    crash = Say("?").to(lambda x, by=2: x @ torch.ones(99))
    verdict = judge(exercise(misconceptions={"crash": crash}), lambda x, by=2: x @ torch.ones(98))
    assert verdict.outcome == Outcome.ERROR
    assert verdict.mistake is None


def test_a_mistake_may_be_a_template_with_one_step_replaced():
    def power(x, by=2, *, of=lambda x: x):
        return of(x) ** by

    mistake = Say("The square of the opposite.").to(power, of=lambda x: -x)
    assert mistake.says == "The square of the opposite."
    assert mistake.wrong(torch.tensor([3.0]), 3).tolist() == [-27.0]


def test_of_a_class_the_steps_are_methods():
    class Power:
        def of(self, x):
            return x

        def __call__(self, x):
            return self.of(x) ** 2

    wrong = Say("Doubled first.").to(Power, of=lambda self, x: 2 * x).wrong
    assert issubclass(wrong, Power)
    assert wrong()(3) == 36
    assert Power()(3) == 9


def test_torchs_own_not_implemented_error_is_an_error_and_not_an_empty_gap():
    def unsupported(x, by=2):
        torch.empty(2, device="meta").item()
        return x

    assert judge(exercise(), unsupported).outcome == Outcome.ERROR


@pytest.mark.parametrize("swallows", [False, True])
def test_an_endless_loop_ends_in_a_verdict(swallows):
    def loops(x, by=2):
        while True:
            try:
                time.sleep(0.001)
            except Exception:
                if not swallows:
                    raise

    begun = time.monotonic()
    verdict = judge(exercise(), loops, limit_seconds=0.3)
    assert verdict.outcome == Outcome.ERROR
    assert "did not come back within 0.3 seconds" in verdict.lines[0]
    assert time.monotonic() - begun < 60


def test_only_what_the_first_call_prints_is_shown(capsys):
    calls = []

    def chatty(x, by=2):
        calls.append(1)
        print("call", len(calls))
        return by * x

    verdict = judge(exercise(), chatty)
    assert verdict.printed == "call 1"
    assert "| call 1" in str(verdict)
    assert capsys.readouterr().out == ""


def test_of_much_printing_only_the_beginning_is_shown():
    def chatty(x, by=2):
        for i in range(500):
            print(i)
        return by * x

    printed = judge(exercise(), chatty).printed.splitlines()
    assert printed[:2] == ["0", "1"]
    assert printed[-1] == "... and 480 more lines"
    assert len(printed) == 21


def test_leaving_python_is_an_error_like_any_other():
    def leaves(x, by=2):
        raise SystemExit(3)

    verdict = judge(exercise(), leaves)
    assert verdict.outcome == Outcome.ERROR
    assert verdict.lines[1] == "SystemExit: 3"


def test_a_parameter_without_its_default_is_told_how_it_is_called():
    verdict = judge(exercise(), lambda x, by: by * x)
    assert "It takes (x, by), but it is called with (x)." in verdict.lines[0]


def test_endless_recursion_is_an_error_at_the_learners_line():
    def recurses(x, by=2):
        return recurses(x, by)

    verdict = judge(exercise(), recurses)
    assert verdict.outcome == Outcome.ERROR
    assert "return recurses(x, by)" in verdict.lines[0]
    assert verdict.lines[1].startswith("RecursionError")


def test_the_verdict_reads_well_as_text_and_as_html():
    verdict = judge(exercise(), lambda x, by=2: x**by)
    assert str(verdict).splitlines()[0] == "✗ 99.1 double · wrong answer"
    bundle = verdict._repr_mimebundle_()
    assert bundle["text/plain"] == str(verdict)
    assert "This is the square." in bundle["text/html"]


def test_html_escapes_what_the_learner_wrote():
    def crashes(x, by=2):
        raise ValueError("<script>alert(1)</script>")

    assert "<script>" not in judge(exercise(), crashes)._repr_mimebundle_()["text/html"]


def test_check_gives_back_the_learners_function_if_it_passed_and_the_reference_if_not(capsys):
    def softmax(scores, dim=-1):
        return torch.softmax(scores, dim)

    assert check("02.1", softmax) is softmax
    assert check("02.1", lambda scores, dim=-1: scores) is find("02.1").reference
    assert "passed" in capsys.readouterr().out


def test_an_unknown_exercise_is_answered_with_the_nearest():
    with pytest.raises(WorkshopError, match=r"There is no exercise '02\.x'\. Did you mean '02\.[1-4]'\?"):
        check("02.x", lambda: None)
    assert find("2.1") is find("02.1")


def test_hints_come_one_at_a_time_and_then_all_together(capsys):
    texts = find("02.3").hints
    for i in range(3):
        hint("02.3")
        out = capsys.readouterr().out
        assert texts[i] in out
        assert f"hint {i + 1} of 3" in out
        assert all(texts[j] not in out for j in range(3) if j != i)
    hint("02.3")
    out = capsys.readouterr().out
    assert all(text in out for text in texts)


def test_the_solution_is_shown_only_after_an_attempt(capsys):
    solution("02.3")
    assert "not attempted yet" in capsys.readouterr().out
    check("02.3", lambda T, S: torch.ones(T, S))
    capsys.readouterr()
    solution("02.3")
    assert "def causal_mask(" in capsys.readouterr().out


def test_a_folder_that_cannot_be_written_spoils_no_check(learner_home, monkeypatch, capsys):
    (learner_home / "file").write_text("in the way")
    monkeypatch.setenv("GEMINI_WORKSHOP_HOME", str(learner_home / "file"))
    check("02.1", lambda scores, dim=-1: torch.softmax(scores, dim))
    out = capsys.readouterr().out
    assert "Progress was not saved" in out
    assert "✓ 02.1 softmax · passed" in out


def test_every_verdict_is_noted(capsys):
    check("02.1", lambda scores, dim=-1: scores.exp() / scores.exp().sum(dim, keepdim=True))
    check("02.1", lambda scores, dim=-1: torch.softmax(scores, dim))
    record = progress.load()["02.1"]
    assert record.attempts == 2
    assert record.has_passed
    assert record.mistakes == {"overflows": 1}


def test_the_quiz_of_a_lesson_shows_every_question_and_a_key(capsys):
    quiz("02")
    out = capsys.readouterr().out
    assert "1. Along which axis" in out
    assert "(Right: 1b" in out
    with pytest.raises(WorkshopError, match="There is no quiz of lesson '77'"):
        quiz("77")


def test_explanations_that_fail_never_hide_the_verdict():
    def explain(function, case):
        raise RuntimeError("no")

    verdict = judge(exercise(explain=explain), lambda x, by=2: x)
    assert verdict.outcome == Outcome.WRONG
    assert "is needed" in verdict.lines[1]


def test_lessons_are_found_in_order():
    assert list(all_exercises())[:2] == ["00.1", "00.2"]
