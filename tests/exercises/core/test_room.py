"""Telling the instructor's room: what is sent, and that no check waits for it or breaks because of it."""

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from gemini_workshop.errors import WorkshopError
from gemini_workshop.exercises.core import room
from gemini_workshop.exercises.core.calls import check
from gemini_workshop.exercises.core.room import MAX_WAITING, Busy, Seat, Sender, as_variable, host_and_port, take_seat
from gemini_workshop.exercises.core.verdict import Outcome, Verdict

SEAT = Seat(address="127.0.0.1:9", code="k7m-p4x", name="Ada", learner="0" * 32)
NOBODY_THERE = OSError(111, "Connection refused")


class Places:
    """Takes what is delivered, or fails as it is told to."""

    def __init__(self):
        self.error, self.came, self.gate = None, [], threading.Event()
        self.gate.set()

    def __call__(self, seat, report):
        self.gate.wait(10)
        if self.error is not None:
            raise self.error
        self.came.append(report["exercise"])


@pytest.fixture
def places():
    return Places()


@pytest.fixture
def sender(places, monkeypatch):
    monkeypatch.setattr(room, "RETRY_SECONDS", 0.05)
    return Sender(SEAT, places)


def until(is_so):
    end = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.005)


def report(number):
    return {"exercise": f"{number:02}.1", "outcome": "passed", "mistake": ""}


@contextmanager
def answering(status, content, kind="application/json"):
    """A server on this machine that gives the same answer to everything."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}", asked
        server.shutdown()


def refusal(message):
    return json.dumps({"error": {"message": message}}).encode()


def test_a_check_sends_its_exercise_its_outcome_and_the_name_of_the_mistake_and_no_more(monkeypatch, capsys):
    def softmax(scores, dim):
        print("secret")
        e = scores.exp()
        return e / e.sum()

    with answering(200, b'{"name": "Ada"}') as (address, asked):
        seat = Seat(address=address, code="k7m-p4x", name="Ada", learner="0" * 32)
        monkeypatch.setenv(room.VARIABLE, as_variable(seat))
        check("02.1", softmax)
        until(lambda: asked)
    (path, body), *_ = asked
    assert path == "/tell"
    assert body.pop("mistake") in {"ignores dim", "overflows", ""}
    assert body == {
        **{"code": "k7m-p4x", "name": "Ada", "learner": "0" * 32},
        **{"exercise": "02.1", "outcome": "wrong answer"},
    }
    assert "room" not in capsys.readouterr().out


def test_where_the_room_is_gone_a_check_says_what_it_always_says_and_the_trouble_once(monkeypatch, capsys):
    monkeypatch.setenv(room.VARIABLE, as_variable(SEAT))  # nobody listens there
    monkeypatch.setattr(room, "_senders", {})
    verdict = Verdict(exercise_id="02.1", title="softmax", outcome=Outcome.PASSED)
    assert room.tell(verdict) == ""
    (sender,) = room._senders.values()
    until(lambda: sender.trouble)
    assert check("02.1", None) is not None
    assert check("02.1", None) is not None
    said = capsys.readouterr().out
    assert said.count("does not answer") == 1
    assert "The instructor's room at 127.0.0.1:9 does not answer" in said
    assert "Your checks work as before" in said
    assert said.count("02.1 softmax ·") == 2


@pytest.mark.parametrize("value", ["", "{", "[]", '{"address": "x"}', "null"])
def test_a_variable_that_names_no_seat_changes_nothing(monkeypatch, value):
    monkeypatch.setenv(room.VARIABLE, value)
    assert room.tell(Verdict(exercise_id="02.1", title="softmax", outcome=Outcome.PASSED)) == ""


def test_nothing_is_told_of_what_is_not_the_learners(monkeypatch):
    monkeypatch.setenv(room.VARIABLE, as_variable(SEAT))
    monkeypatch.setattr(room, "_senders", {})
    room.tell(Verdict(exercise_id="02.1", title="softmax", outcome=Outcome.NOT_YOURS))
    assert room._senders == {}


def test_verdicts_arrive_in_order(sender, places):
    for number in range(30):
        sender.put(report(number))
    sender.finish(20.0)
    assert places.came == [f"{number:02}.1" for number in range(30)]


def test_what_did_not_arrive_is_sent_when_the_room_is_back(sender, places):
    places.error = NOBODY_THERE
    sender.put(report(1))
    until(lambda: "Connection refused" in sender.trouble)
    sender.put(report(2))
    places.error = None
    until(lambda: places.came == ["01.1", "02.1"])
    until(lambda: sender.trouble == "")


def test_a_room_that_is_busy_is_asked_again(sender, places):
    places.error = Busy("Too many verdicts come from this notebook.")
    sender.put(report(1))
    until(lambda: "Too many verdicts" in sender.trouble)
    places.error = None
    until(lambda: places.came == ["01.1"])


def test_what_is_refused_is_not_sent_again(sender, places):
    places.error = WorkshopError("The code 'x' is not the code of this room.")
    sender.put(report(1))
    until(lambda: "is not the code of this room" in sender.new_trouble())
    places.error = None
    sender.put(report(2))
    sender.finish(20.0)
    until(lambda: places.came == ["02.1"])


def test_whatever_goes_wrong_the_thread_goes_on(sender, places):
    places.error = ZeroDivisionError()
    sender.put(report(1))
    until(lambda: "ZeroDivisionError" in sender.trouble)
    places.error = None
    until(lambda: places.came == ["01.1"])


def test_the_queue_is_short_and_a_check_does_not_wait_for_it(sender, places):
    places.gate.clear()
    for number in range(3 * MAX_WAITING):
        sender.put(report(number))  # returns although nothing is delivered
    assert len(sender._waiting) == MAX_WAITING
    places.gate.set()
    until(lambda: places.came[-1:] == [f"{3 * MAX_WAITING - 1:02}.1"])
    assert len(places.came) <= MAX_WAITING + 1


def test_after_some_minutes_what_waits_is_forgotten(sender, places, monkeypatch):
    monkeypatch.setattr(room, "PATIENCE_SECONDS", 0.1)
    places.error = NOBODY_THERE
    sender.put(report(1))
    until(lambda: sender.trouble and not sender._waiting)
    places.error = None
    sender.put(report(2))
    until(lambda: places.came == ["02.1"])


def test_a_notebook_that_ends_does_not_wait_for_a_room_that_is_gone(sender, places):
    places.error = NOBODY_THERE
    sender.put(report(1))
    until(lambda: sender.trouble)
    start = time.monotonic()
    sender.finish(20.0)
    assert time.monotonic() - start < 10


@pytest.mark.parametrize(
    ("status", "content", "error", "says"),
    [
        (403, refusal("The code is wrong."), WorkshopError, "The code is wrong."),
        (429, refusal("Wait."), Busy, "Wait."),
        (503, refusal("The room is full."), Busy, "full"),
        (200, b"<html>", OSError, "is not a room"),
        (200, b"{}", OSError, "is not a room"),
        (500, b"[]", OSError, "is not a room"),
    ],
)
def test_an_answer_is_understood_or_is_not_that_of_a_room(status, content, error, says):
    with answering(status, content) as (address, _), pytest.raises(error, match=says) as caught:
        room.send(Seat(address=address, code="", name="", learner=""))
    assert type(caught.value) is error


def test_a_program_that_speaks_something_else_is_not_a_room():
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet():
            with server.accept()[0] as client:
                client.recv(10_000)
                client.sendall(b"SSH-2.0-hello\r\n")

        threading.Thread(target=greet, daemon=True).start()
        seat = Seat(address=f"127.0.0.1:{server.getsockname()[1]}", code="", name="", learner="")
        with pytest.raises(OSError, match="is not a room"):
            room.send(seat)


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        ("192.168.1.20", "192.168.1.20:8765"),
        ("192.168.1.20:9000", "192.168.1.20:9000"),
        ("http://laptop.local:9000/", "laptop.local:9000"),
        ("[fe80::1]:9000", "[fe80::1]:9000"),
    ],
)
def test_an_address_is_read_as_people_type_it(typed, address):
    assert host_and_port(typed) == address


@pytest.mark.parametrize("typed", ["", "https://10.0.0.1", "10.0.0.1:port", "10.0.0.1:99999", "ftp://x", "a b", "[::1"])
def test_what_is_no_address_is_refused(typed):
    with pytest.raises(WorkshopError, match="is not the address of a room"):
        host_and_port(typed)


def test_a_learner_keeps_a_seat_after_a_restart_and_has_another_one_in_another_room(monkeypatch, tmp_path):
    monkeypatch.setenv("GEMINI_WORKSHOP_HOME", str(tmp_path))
    seat = take_seat("10.0.0.1", "k7m-p4x", "Ada")
    assert take_seat("10.0.0.1", "k7m-p4x", "Bo").learner == seat.learner
    assert take_seat("10.0.0.1", "aaaa", "Ada").learner != seat.learner
    (tmp_path / "room.json").write_text("{damaged", "utf-8")
    assert len(take_seat("10.0.0.1", "k7m-p4x", "Ada").learner) == 32


def test_a_folder_that_cannot_be_written_costs_only_the_seat_after_a_restart(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("GEMINI_WORKSHOP_HOME", str(tmp_path / "file"))
    assert take_seat("10.0.0.1", "k7m-p4x", "Ada").name == "Ada"
