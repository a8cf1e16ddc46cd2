"""Who is where, by what checks have said."""

import itertools
import json

import pytest

from gemini_workshop.exercises.core.verdict import Outcome
from gemini_workshop.room.names import Names, names_of_lessons
from gemini_workshop.room.state import MAX_EXERCISES, MAX_LEARNERS, Full, Room

NAMES = Names(
    {"02.1": "softmax", "02.2": "attention", "02.3": "mask"},
    {"02.2": {"not scaled": "Divide.", "no softmax": "Normalize."}},
)
PASSED, WRONG, ERROR, NEW = Outcome.PASSED, Outcome.WRONG, Outcome.ERROR, Outcome.NOT_STARTED


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def room(clock):
    return Room(NAMES, clock)


def tell(room, name, *verdicts):
    """Verdicts of one learner: exercise and outcome, and the mistake if there is one."""
    learner = room.admit(name.casefold(), name)
    for exercise, outcome, *mistake in verdicts:
        room.note(learner, exercise, str(outcome), *mistake or [""])
    return next(each for each in room.view()["learners"] if each["name"] == learner.shown)


def test_a_learner_is_at_the_exercise_of_the_last_verdict(room):
    ada = tell(room, "Ada", ("02.1", PASSED), ("02.2", WRONG, "not scaled"), ("02.2", WRONG, "not scaled"))
    assert (ada["exercise"], ada["title"], ada["outcome"], ada["mistake"]) == (
        "02.2",
        "attention",
        "wrong answer",
        "not scaled",
    )
    assert (ada["attempts"], ada["passed"]) == (2, 1)


def test_in_a_notebook_that_is_run_to_its_end_a_learner_is_at_the_first_gap(room):
    ran = [("02.1", PASSED), ("02.2", NEW), ("02.3", NEW)]
    assert tell(room, "Ada", *ran)["exercise"] == "02.2"
    assert tell(room, "Ada", ("02.2", WRONG), ("02.3", NEW))["exercise"] == "02.2"
    assert tell(room, "Ada", ("02.2", PASSED), ("02.3", NEW))["exercise"] == "02.3"


def test_an_exercise_that_was_tried_stays_so_when_its_gap_is_run_again(room):
    ada = tell(room, "Ada", ("02.1", WRONG), ("02.1", NEW))
    assert (ada["outcome"], ada["attempts"]) == ("wrong answer", 1)


def test_mistakes_are_counted_where_the_room_is_stuck_the_most_people_first(room, clock):
    tell(room, "Ada", ("02.2", WRONG, "not scaled"))
    clock.now += 300
    for name, mistake in (("Bo", "not scaled"), ("Cy", "no softmax"), ("Di", "")):
        tell(room, name, ("02.2", WRONG, mistake))
    tell(room, "Ed", ("02.1", ERROR))
    tell(room, "Flo", ("02.3", PASSED))
    attention, softmax = room.view()["stuck"]
    assert (attention["exercise"], attention["count"], attention["longest"]) == ("02.2", 4, 300)
    assert attention["names"] == ["Ada", "Bo", "Cy", "Di"]
    assert attention["mistakes"][0] == {"name": "not scaled", "count": 2, "says": "Divide."}
    assert [(each["name"], each["count"]) for each in attention["mistakes"][1:]] == [
        ("no softmax", 1),
        ("wrong answer", 1),
    ]
    assert (softmax["exercise"], softmax["mistakes"][0]["name"]) == ("02.1", "error in your code")


def test_who_passes_is_no_longer_stuck_and_the_time_begins_again_with_the_next_mistake(room, clock):
    tell(room, "Ada", ("02.2", WRONG))
    clock.now += 60
    tell(room, "Ada", ("02.2", PASSED))
    assert room.view()["stuck"] == []
    clock.now += 60
    tell(room, "Ada", ("02.2", WRONG))
    clock.now += 5
    assert room.view()["stuck"][0]["longest"] == 5
    assert room.view()["exercises"] == [
        {"exercise": "02.2", "title": "attention", "passed": 1, "failing": 0, "attempts": 3}
    ]


def test_two_learners_of_one_name_are_told_apart(room):
    shown = [room.admit(key, name).shown for key, name in (("a", "Ada"), ("b", "ada"), ("c", "Ada"), ("a", "Ada"))]
    assert shown == ["Ada", "ada 2", "Ada 3", "Ada"]
    assert room.admit("b", "Bo").shown == "Bo"


def test_a_mistake_that_no_exercise_has_is_not_shown(room):
    assert tell(room, "Ada", ("02.2", WRONG, "rude words"))["mistake"] == ""


def test_a_room_has_an_end(room):
    for number in range(MAX_LEARNERS):
        room.admit(str(number), "guest")
    with pytest.raises(Full):
        room.admit("one more", "guest")
    room.admit("0", "guest")


def test_so_has_the_list_of_a_learner(room):
    everything = (f"{a:02}.{b}" for a, b in itertools.product(range(100), range(10)))
    tell(room, "Ada", *((exercise, PASSED) for exercise in everything))
    assert len(room.learners["ada"].work) == MAX_EXERCISES


def test_a_day_that_was_kept_continues(room, clock):
    tell(room, "Ada", ("02.1", PASSED), ("02.2", WRONG, "not scaled"))
    later = Room(NAMES, clock)
    later.take_in(json.loads(json.dumps(room.to_json())))
    assert later.view() == room.view()


@pytest.mark.parametrize("content", [[], {}, {"learners": []}, {"learners": {"a": {"work": {}, "x": 1}}}])
def test_what_is_no_day_is_not_taken_in(room, content):
    with pytest.raises((KeyError, TypeError, AttributeError)):
        room.take_in(content)


def test_names_are_those_of_the_lessons_with_the_mistakes_of_parts():
    names = names_of_lessons()
    assert names.titles["02.2"] == "scaled_dot_product_attention"
    assert "not divided by" in names.says["02.2"]["not scaled"]
    assert any(name.startswith("02.2 ") for says in names.says.values() for name in says)
