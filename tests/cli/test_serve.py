"""gemini-workshop serve: what it refuses before it listens. What it answers is in tests/serving."""

import socket

import pytest

from gemini_workshop.serving.settings import ServerSettings


def test_an_address_that_is_taken_is_refused(run):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run("serve", "--port", str(port))
    assert f"cannot listen on 127.0.0.1, port {port}" in str(result.exception)
    assert "--port 0" in str(result.exception)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--max-rows", "0"], "max_rows=0 is not positive. Choose max_rows >= 1."),
        (["--timeout", "nan"], "is not a number"),
        (["--max-texts", "300"], "max_texts=300 is more than max_waiting=256"),
        (["--key", ""], "A key is empty"),
        (["--format", "template"], "not taught to chat"),
        (["--format", "question"], "for models that read images"),
        (["--host", "nowhere.invalid"], "cannot listen on nowhere.invalid"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_listens(run, options, message):
    result = run("serve", "stories-small", *options)
    assert result.exit_code != 0
    assert message in str(result.exception)


def test_keys_are_shown_nowhere(run, monkeypatch):
    monkeypatch.setenv("GEMINI_WORKSHOP_KEY", "secret")
    result = run("serve", "stories-small", "--host", "nowhere.invalid")
    assert "secret" not in result.output + str(result.exception)
    assert "secret" not in repr(ServerSettings(keys=("secret",)))
