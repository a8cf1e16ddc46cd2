"""Files that people bring: every encoding, every damage, and the right text or one clear error."""

import contextlib
import json
import os
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gemini_workshop import reading
from gemini_workshop.errors import DataError
from gemini_workshop.reading import decode_text, parse_json, read_json, read_json_lines, read_text, without_halves

TEXT = "Grüße, 世界 😀"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_a_text_is_the_same_in_every_encoding_that_says_which_it_is(tmp_path, encoding, line_end):
    path = tmp_path / "a.txt"
    path.write_bytes(f"{TEXT}{line_end}2".encode(encoding))
    assert read_text(path) == f"{TEXT}\n2"


def test_utf_16_of_both_byte_orders():
    for mark, encoding in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        assert decode_text(mark + TEXT.encode(encoding), "a") == TEXT


@pytest.mark.parametrize(("content", "message"), [
    ("Mädchen".encode("latin-1"), "a.txt is not text: byte 1 is 0xe4, which is not UTF-8 there .* Save it as UTF-8."),
    ("Once".encode("utf-16-le"), "a.txt is not text: byte 1 is 0, as in binary files. Save it as UTF-8."),
    (b"\xff\xfea", "which is not UTF-16 there"),
    (b"\x89PNG\r\n\x1a\n\0\0", "byte 0 is 0x89|byte 8 is 0"),
])  # fmt: skip
def test_what_is_not_text_is_refused_with_its_place(content, message):
    with pytest.raises(DataError, match=message):
        decode_text(content, "a.txt")


@pytest.mark.parametrize("name", ["missing.txt", ".", "a" * 500, "a\0b"])
def test_what_cannot_be_read_is_named(tmp_path, name):
    with pytest.raises(DataError, match=r"cannot be read: .*\. Give the path of a prompt\.") as caught:
        read_text(tmp_path / name, "a prompt")
    assert len(str(caught.value)) < 400


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="a device of Linux")
def test_a_file_without_end_is_not_read_to_its_end(monkeypatch):
    monkeypatch.setattr(reading, "MAX_BYTES", 1000)
    with pytest.raises(DataError, match="/dev/zero has more than 1,000 bytes"):
        read_text("/dev/zero")


@pytest.mark.parametrize(("text", "message"), [
    ("", "Expecting value at line 1, column 1"),
    ('{"a": 1', "at line 1, column 8"),
    ("[" * 100_000, "nested too deep"),
    ('{"a": ' + "9" * 5000 + "}", "a number of too many digits"),
])  # fmt: skip
def test_what_is_not_json_is_one_short_error(text, message):
    with pytest.raises(DataError, match=rf"mine is not JSON: .*{message}.* Fix it\.") as caught:
        parse_json(text, "mine")
    assert len(str(caught.value)) < 400


def test_lines_of_json_end_at_the_line_end_alone(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes('\ufeff"a\u2028b\x85c"\r\n\n[1]\n'.encode())
    assert [content for _, content in read_json_lines(path)] == ["a\u2028b\x85c", [1]]


def test_a_damaged_line_is_named_by_its_number(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("1\n\n{\n")
    with pytest.raises(DataError, match=r"a\.jsonl, line 3, is not JSON: "):
        list(read_json_lines(path))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=40) | st.text(alphabet=string.printable + '{}[]":,\u2028\ud83d', max_size=40).map(
    lambda text: text.encode("utf-8", "surrogatepass")
))  # fmt: skip
def test_any_bytes_are_text_and_json_or_refused(content):
    with contextlib.suppress(DataError):
        text = decode_text(content, "mine")
        assert "\r" not in text
        parse_json(text, "mine")


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_halves_of_characters_are_replaced_and_whole_ones_are_not(text):
    assert without_halves(text) == text
    assert without_halves(f"{text}\ud83d.") == f"{text}\ufffd."


def test_a_json_file_of_any_encoding(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(json.dumps({"a": TEXT}, ensure_ascii=False).encode("utf-16"))
    assert read_json(path) == {"a": TEXT}
