"""gemini-workshop demo: what it refuses before it listens. What the page does is in tests/demos and tests/browser."""

import pytest


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["nothing-here"], "no checkpoint 'nothing-here'"),
        (["stories-small", "stories-small"], "have one name"),
        (["--login", "guest"], "lacks a name or a password"),
        (["--login", ":secret"], "lacks a name or a password"),
        (["--rate", "0"], "rate=0 is not positive. Choose rate >= 1."),
        (["--host", "nowhere.invalid"], "cannot listen on nowhere.invalid"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_listens(run, options, message):
    result = run("demo", *options)
    assert result.exit_code != 0
    assert message in str(result.exception)


def test_a_password_is_shown_nowhere(run, monkeypatch):
    monkeypatch.setenv("GEMINI_WORKSHOP_LOGIN", "guest:let-me-in")
    result = run("demo", "--host", "nowhere.invalid")
    assert "let-me-in" not in result.output + str(result.exception)
