"""A real room in a process of its own: forty learners at once, a restart, and a learner's notebook."""

import json
import os
import subprocess
import sys
from threading import Thread

import pytest

from gemini_workshop.benchmarks.room import day_of, learner_of, opened_room
from gemini_workshop.errors import WorkshopError
from gemini_workshop.exercises.core.catalogue import all_exercises
from gemini_workshop.exercises.core.room import VARIABLE, Sender, as_variable, send
from gemini_workshop.room.names import Names
from gemini_workshop.room.server import hosts, read_day, run_room
from gemini_workshop.room.state import Room

LEARNERS, EXERCISES = 40, 6
NOTEBOOK = """
from gemini_workshop.exercises import check
check("02.1", lambda scores, dim: scores)
"""


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    """What the page shows after a day with forty learners, and the file in which it was kept."""
    path = tmp_path_factory.mktemp("room") / "day.json"
    chosen = list(all_exercises().values())[:EXERCISES]
    with opened_room("--save", str(path)) as room:

        def work(number):
            sender = Sender(learner_of(room, number, "Ada" if number < 3 else None))
            for verdict in day_of(chosen):
                sender.put(verdict)
            sender.finish(60.0)

        threads = [Thread(target=work, args=(number,)) for number in range(LEARNERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seat = as_variable(learner_of(room, LEARNERS, "In a notebook"))
        environment = os.environ | {VARIABLE: seat}
        subprocess.run([sys.executable, "-c", NOTEBOOK], env=environment, check=True, stdout=subprocess.DEVNULL)
        yield room, room.state(), path


def test_of_forty_learners_at_once_nobody_and_no_verdict_is_lost(day):
    _, state, _ = day
    assert len(state["learners"]) == LEARNERS + 1
    assert {each["name"] for each in state["learners"]} >= {"Ada", "Ada 2", "Ada 3", "Learner 39"}
    done = [each for each in state["exercises"] if each["exercise"] != "02.1"]
    assert [(each["passed"], each["failing"], each["attempts"]) for each in done] == [
        (LEARNERS, 0, 2 * LEARNERS)
    ] * len(done)
    assert len(done) == EXERCISES


def test_the_check_of_a_notebook_reaches_the_room_before_its_process_ends(day):
    _, state, _ = day
    (learner,) = [each for each in state["learners"] if each["name"] == "In a notebook"]
    assert (learner["exercise"], learner["outcome"]) == ("02.1", "wrong answer")
    assert [each["exercise"] for each in state["stuck"]] == ["02.1"]


def test_a_wrong_code_is_refused_by_the_real_room_in_a_sentence(day):
    from dataclasses import replace

    room, *_ = day
    with pytest.raises(WorkshopError, match="The code 'wrong' is not the code of this room"):
        send(replace(learner_of(room, 99), code="wrong"))


def test_a_room_that_is_closed_has_kept_the_day_and_nothing_of_anybodys_code(day):
    room, state, path = day
    room.process.terminate()
    room.process.wait(30)
    again = Room(Names())
    assert read_day(again, path) == room.code
    assert len(again.view()["learners"]) == len(state["learners"])
    saved = json.loads(path.read_text("utf-8"))
    assert saved.keys() == {"room", "code", "learners"}
    assert {key for each in saved["learners"].values() for key in each} == {"name", "shown", "seen", "at", "work"}


@pytest.mark.parametrize("content", ["[]", "{}", '{"learners": {}}', '{"learners": {}, "code": 1}'])
def test_a_file_that_is_no_day_is_left_alone(tmp_path, content):
    path = tmp_path / "notes.json"
    path.write_text(content, "utf-8")
    with pytest.raises(WorkshopError, match=r"is not the file of a room\. Choose another name after --save"):
        run_room("127.0.0.1", 0, save=path)
    assert path.read_text("utf-8") == content


def test_a_server_for_everybody_names_the_addresses_that_others_can_reach():
    assert hosts("10.1.2.3") == ["10.1.2.3"]
    found = hosts("0.0.0.0")
    assert found
    assert found == ["127.0.0.1"] or not [host for host in found if host.startswith("127.")]
