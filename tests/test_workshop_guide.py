"""The schedules of the workshop guide add up, with the minutes that lessons and exercises have today."""

import re
from itertools import pairwise

import pytest

from gemini_workshop.authoring.source import find_sources, read_lesson
from gemini_workshop.exercises.core.catalogue import all_exercises
from tests.clone import TOP

GUIDE = (TOP / "docs" / "workshop_guide.md").read_text("utf-8")
TALK = 5  # minutes at least, beside the exercises of a lesson that is not done as a whole
HEADERS = {header.lesson: header for header in (read_lesson(path).header for path in find_sources(TOP / "notebooks"))}


def rows_below(first_cell):
    """The tables whose header begins with this cell: for each, its rows as lists of cells."""
    tables = re.findall(rf"^\| {first_cell} \|.*\n\|[-|]+\n((?:\|.*\n)+)", GUIDE, re.MULTILINE)
    return [[[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()] for table in tables]


DAYS = rows_below("time")


def in_minutes(time):
    hours, minutes = time.split(":")
    return 60 * int(hours) + int(minutes)


def test_there_are_two_days_one_day_and_evenings():
    assert len(DAYS) == 3
    assert len(rows_below("evening")) == 1


@pytest.mark.parametrize("day", DAYS, ids=["first day", "second day", "one day"])
def test_each_line_ends_when_the_next_one_begins(day):
    for (time, _, _, minutes), (following, *_) in pairwise(day):
        assert in_minutes(time) + int(minutes) == in_minutes(following), time
    assert (day[0][0], day[-1][0], day[-1][1]) == ("09:00", "17:00", "end")


@pytest.mark.parametrize("day", DAYS, ids=["first day", "second day", "one day"])
def test_each_lesson_gets_the_minutes_that_it_needs(day):
    for _, what, how, minutes in day:
        if not re.match(r"\d\d ", what):
            assert how == ""
            continue
        lesson, title = what.split(" ", 1)
        assert title == HEADERS[lesson].title
        if how == "all":
            assert int(minutes) == HEADERS[lesson].minutes
        elif how != "slides":
            names = how.split(", ")
            assert all(name.startswith(lesson) for name in names)
            assert sum(all_exercises()[name].minutes for name in names) + TALK <= int(minutes) < HEADERS[lesson].minutes


def test_no_exercise_of_the_first_day_comes_back_on_the_second():
    lessons = [[what[:2] for _, what, how, _ in day if how] for day in DAYS[:2]]
    assert sorted(lessons[0] + lessons[1]) == sorted(HEADERS), "two days have every lesson once"


def test_the_evenings_have_every_lesson_whole_and_add_up():
    (rows,) = rows_below("evening")
    *evenings, total = rows
    spent = dict.fromkeys(HEADERS, 0)
    for _, lesson, minutes in evenings:
        spent[lesson[:2]] += int(minutes)
        assert lesson[3:].startswith(HEADERS[lesson[:2]].title)
    assert spent | {"00": HEADERS["00"].minutes} == {name: header.minutes for name, header in HEADERS.items()}
    assert int(total[2]) == sum(spent.values())


def test_every_mistake_has_the_name_that_the_checks_use():
    (rows,) = rows_below("exercise")
    for name, mistakes, question in rows:
        named = re.findall("`(.*?)`", mistakes)
        assert named
        assert set(named) <= set(all_exercises()[name].misconceptions), name
        assert question.endswith(("?", "."))


def test_the_longest_day_has_breaks():
    for day in DAYS:
        longest = stretch = 0
        for _, what, _, minutes in day:
            stretch = 0 if what in ("break", "lunch") else stretch + int(minutes)
            longest = max(longest, stretch)
        assert longest <= 135
