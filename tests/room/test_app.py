"""The routes of a room, asked inside the test: codes, names, limits, and what is refused."""

import contextlib

import pytest

from gemini_workshop.errors import WorkshopError
from gemini_workshop.room import app as routes
from gemini_workshop.room.admission import GUESSES, GUESSES_OF_ALL, LETTERS, Guesses, checked_code, is_same, new_code
from gemini_workshop.room.app import Desk, make_app, readable
from gemini_workshop.room.names import Names
from gemini_workshop.room.state import Room
from tests.serving.conftest import Local

CODE, KEY = "k7m-p4x", "the-instructors-key"


@pytest.fixture
def desk():
    return Desk(Room(Names({"02.2": "attention"}, {"02.2": {"not scaled": "Divide."}})), CODE, KEY, "10.0.0.1:8765")


@pytest.fixture
def local(desk):
    with contextlib.ExitStack() as stack:
        yield stack.enter_context(Local(make_app(desk)))


def body(number=0, **fields):
    return {"code": CODE, "name": "Ada", "learner": f"{number:032x}"} | fields


def state(local, key=KEY):
    return local.get("/state", headers={"Authorization": f"Bearer {key}"})


def test_a_verdict_is_taken_in_and_shown_to_the_instructor(local):
    wrong = {"exercise": "02.2", "outcome": "wrong answer", "mistake": "not scaled"}
    assert local.post("/tell", json=body(**wrong)).json() == {"name": "Ada"}
    assert local.post("/tell", json=body(1)).json() == {"name": "Ada 2"}
    shown = state(local).json()
    assert shown["join"] == {"address": "10.0.0.1:8765", "code": CODE}
    assert [each["name"] for each in shown["learners"]] == ["Ada", "Ada 2"]
    assert shown["stuck"][0]["mistakes"] == [{"name": "not scaled", "count": 1, "says": "Divide."}]


@pytest.mark.parametrize("key", ["", "wrong", KEY + "x", "ключ"])
def test_without_the_instructors_key_nothing_is_shown(local, key):
    local.post("/tell", json=body())
    answer = local.get("/state", headers={"Authorization": f"Bearer {key}".encode()} if key else {})
    assert answer.status_code == 401
    assert "Ada" not in answer.text
    assert CODE not in answer.text


def test_the_page_comes_without_a_key_holds_nobody_and_loads_nothing_from_elsewhere(local):
    local.post("/tell", json=body())
    for path, kind in (("/", "text/html"), ("/page.css", "text/css"), ("/page.js", "text/javascript")):
        answer = local.get(path)
        assert answer.headers["content-type"] == f"{kind}; charset=utf-8"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
        assert "Ada" not in answer.text
        assert "://" not in answer.text
        assert "innerHTML" not in answer.text


@pytest.mark.parametrize("code", [CODE, "K7M P4X", " k7mp4x "])
def test_a_code_is_read_as_people_type_it(local, code):
    assert local.post("/tell", json=body(code=code)).status_code == 200


def test_a_wrong_code_is_refused_in_a_sentence_and_nobody_comes_in(local, desk):
    answer = local.post("/tell", json=body(code="abc-def"))
    assert answer.status_code == 403
    assert answer.json()["error"]["message"] == (
        "The code 'abc-def' is not the code of this room. Ask the instructor, and try again."
    )
    assert desk.room.learners == {}


def test_after_many_wrong_codes_the_right_one_has_to_wait_but_not_for_those_who_are_in(local):
    assert local.post("/tell", json=body(0)).status_code == 200
    statuses = [local.post("/tell", json=body(1, code=f"guess{n}")).status_code for n in range(GUESSES + 1)]
    assert statuses == [403] * GUESSES + [429]
    answer = local.post("/tell", json=body(1))
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 60
    assert "Too many wrong codes were tried" in answer.json()["error"]["message"]
    assert local.post("/tell", json=body(0)).status_code == 200


def test_guesses_are_counted_for_a_minute_by_address_and_for_all():
    now = [0.0]
    guesses = Guesses(lambda: now[0])
    for _ in range(GUESSES):
        guesses.note("a")
    now[0] = 10.0
    assert (guesses.seconds_to_wait("a"), guesses.seconds_to_wait("b")) == (50, 0)
    for number in range(GUESSES_OF_ALL):
        guesses.note(str(number))
    assert guesses.seconds_to_wait("b") == 60
    now[0] = 70.0
    assert (guesses.seconds_to_wait("a"), guesses.seconds_to_wait("b")) == (0, 0)


def test_a_code_cannot_be_guessed_in_a_day():
    assert len({new_code() for _ in range(100)}) == 100
    assert all(set(new_code()) <= {*LETTERS, "-"} for _ in range(100))
    tries = GUESSES_OF_ALL * 60 * 24
    assert tries / len(LETTERS) ** 6 < 1e-3


@pytest.mark.parametrize("code", ["", "abc", "a-b-c", "пять5", "a_b_c_d", "    "])
def test_a_code_that_cannot_be_used_is_refused(code):
    with pytest.raises(WorkshopError, match=r"cannot be used\. Choose at least 4"):
        checked_code(code)
    assert not is_same(code, CODE)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"learner": "short"}, "learner='short' is refused"),
        ({"exercise": "02.2; DROP"}, "exercise='02.2; DROP' is refused"),
        ({"exercise": "02.2", "outcome": "great"}, "outcome='great' is refused"),
        ({"outcome": "not yours yet"}, "outcome='not yours yet' is refused"),
        ({"name": "x" * 201}, "name='xxx"),
        ({"printed": "secret"}, "There is no field"),
        ({"source": "def softmax"}, "There is no field"),
    ],
)
def test_what_is_not_a_verdict_is_refused_by_the_name_of_the_field(local, desk, fields, says):
    answer = local.post("/tell", json=body(**fields))
    assert answer.status_code == 400
    assert says in answer.json()["error"]["message"]
    assert desk.room.learners == {}


def test_only_small_bodies_of_json_are_read(local):
    large = local.post("/tell", content=b" " * 3000, headers={"Content-Type": "application/json"})
    assert (large.status_code, "at most 2,048 are read" in large.text) == (413, True)
    form = local.post("/tell", content="code=x", headers={"Content-Type": "text/plain"})
    assert form.status_code == 415
    assert local.post("/tell", content="[1", headers={"Content-Type": "application/json"}).status_code == 400


def test_a_notebook_that_says_too_much_is_asked_to_wait(local, desk):
    desk.verdicts.clock = lambda: 0.0
    statuses = [local.post("/tell", json=body()).status_code for _ in range(routes.VERDICTS_PER_MINUTE + 1)]
    assert statuses == [200] * routes.VERDICTS_PER_MINUTE + [429]
    assert local.post("/tell", json=body(1)).status_code == 200


def test_a_full_room_says_so(local, monkeypatch):
    monkeypatch.setattr("gemini_workshop.room.state.MAX_LEARNERS", 1)
    local.post("/tell", json=body(0))
    answer = local.post("/tell", json=body(1))
    assert (answer.status_code, "The room is full" in answer.text) == (503, True)


@pytest.mark.parametrize(
    ("method", "path", "status"), [("get", "/tell", 405), ("post", "/state", 405), ("get", "/x", 404)]
)
def test_other_routes_are_answered_in_a_sentence(local, method, path, status):
    answer = getattr(local, method)(path)
    assert answer.status_code == status
    assert "is not answered here" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [("  Ada\n Lovelace ", "Ada Lovelace"), ("\u202eadA", "adA"), ("\u200b", "guest"), ("é" * 99, "é" * 40)],
)
def test_a_name_is_one_line_that_can_be_seen(name, shown):
    assert readable(name) == shown
