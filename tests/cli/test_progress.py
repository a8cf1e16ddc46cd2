from gemini_workshop.exercises.core import progress
from gemini_workshop.exercises.core.catalogue import all_exercises
from gemini_workshop.exercises.core.progress import Record


def test_a_beginner_has_everything_ahead(run):
    output = run("progress").output
    assert f"\n0 of {len(all_exercises())} passed" in output
    for exercise in all_exercises().values():
        assert f"{exercise.id}  {exercise.title} " in output
    first = next(iter(all_exercises().values()))
    assert f"Next: {first.id} {first.title}" in output


def test_what_was_done_is_shown_and_the_next_step_is_the_first_gap(run):
    first, second, third, *rest = all_exercises()
    run("progress")  # sets the learner's folder
    progress.save(
        {
            first: Record(outcome="passed", attempts=1, has_passed=True),
            second: Record(outcome="wrong answer", attempts=3, hints=1),
            third: Record(outcome="wrong answer", attempts=2, has_passed=True),
        }
    )
    output = run("progress").output
    lines = {line.split()[0]: line.split(maxsplit=2)[2] for line in output.splitlines() if line.startswith("  ")}
    assert lines[first] == "passed, 1 attempt"
    assert lines[second] == "wrong answer, 3 attempts, 1 hint"
    assert lines[third] == "passed, 2 attempts"
    assert all(lines[exercise] == "not started" for exercise in rest)
    assert f"2 of {len(all_exercises())} passed" in output
    assert f"Next: {second} " in output


def test_when_all_is_done_nothing_is_next(run):
    run("progress")
    progress.save({exercise: Record(outcome="passed", attempts=1, has_passed=True) for exercise in all_exercises()})
    output = run("progress").output
    assert f"{len(all_exercises())} of {len(all_exercises())} passed" in output
    assert "Next" not in output
