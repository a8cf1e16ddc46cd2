import contextlib

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gemini_workshop.config import load_config, override, preset_names, to_yaml
from gemini_workshop.config.plain_yaml import parse_yaml
from gemini_workshop.errors import ConfigError


@pytest.mark.parametrize(("text", "value"), [
    ("3", 3), ("-3", -3), ("+3", 3), ("1_000", 1000), ("0", 0),
    ("0.5", 0.5), (".5", 0.5), ("5.", 5.0), ("3e-4", 3e-4), ("1.5E+3", 1500.0),
    ("true", True), ("false", False), ("null", None), ("~", None), ("", None),
    ("word", "word"), ("'3'", "3"), ("[1, x]", [1, "x"]), ("a: {b: 2}", {"a": {"b": 2}}),
])  # fmt: skip
def test_values_are_what_they_look_like(text, value):
    found = parse_yaml(text, "mine")
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "text", ["1:30", "010", "0x10", "no", "yes", "on", "1__0", "2020-13-45", "9" * 5000, "!!int x"]
)
def test_what_yaml_1_1_takes_for_something_else_is_text(text):
    assert parse_yaml(text, "mine") == text.removeprefix("!!int ")


@pytest.mark.parametrize(("text", "message"), [
    ("a: 1\nb: 2\na: 3", "'a' is there twice at line 3, column 1"),
    ("a: &x [1]\nb: *x", "an alias"),
    ("!x y", "the tag !x is used at line 1"),
    ("a: b: c", "mapping values are not allowed here at line 1"),
    ('"0.5', "found unexpected end of stream"),
    ("1: 2", "'1' is not a name of a field"),
    ("[" * 20_000, "nested too deep"),
    ("\x01", "unacceptable character"),
])  # fmt: skip
def test_what_cannot_be_meant_is_one_short_error(text, message):
    with pytest.raises(ConfigError, match=f"mine is not valid YAML: .*{message}") as caught:
        parse_yaml(text, "mine")
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("preset", preset_names())
def test_presets_say_to_both_readers_the_same(preset):
    text = to_yaml(load_config(preset))
    found = parse_yaml(text, preset)
    assert found == yaml.safe_load(text)


@pytest.mark.parametrize(("assignment", "message"), [
    ("batch_size=1:30", "batch_size='1:30' is not a whole number"),
    ("training.seed=010", "seed='010' is not a whole number"),
    ("deterministic=yes", "deterministic='yes' is not true or false"),
    ("steps=" + "9" * 5000, r"steps='9+\.\.\. is not a whole number"),
    ("steps=" + "9" * 30, "steps=9+ is too large. Choose a number up to 9,223,372,036,854,775,807"),
    ("steps=[", r"steps=\[ cannot be read. Write one number"),
])  # fmt: skip
def test_an_assignment_is_refused_with_its_value(assignment, message):
    with pytest.raises(ConfigError, match=message) as caught:
        override(load_config("tiny"), [assignment])
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_configuration_of_any_encoding_is_read(tmp_path, encoding):
    path = tmp_path / "mine.yaml"
    path.write_bytes(to_yaml(load_config("tiny")).encode(encoding))
    assert load_config(path) == load_config("tiny")


@pytest.mark.parametrize(("content", "message"), [
    (b"# \xff\xfe", "mine.yaml is not text: byte 2 is 0xff"),
    (b"", "mine.yaml has no sections"),
    (b"- model", "mine.yaml has no sections"),
])  # fmt: skip
def test_a_configuration_that_is_none_is_refused(tmp_path, content, message):
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        load_config(path)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.sampled_from("abn01:-_.e+*&!'\"[]{}#|> \n\t~,?%@`"), max_size=30))
def test_any_text_has_a_value_or_is_refused(text):
    with contextlib.suppress(ConfigError):
        parse_yaml(text, "mine")
