"""Files that are named within a text."""

import pytest
import torch

from gemini_workshop.data.media.documents import (
    AudioPart,
    ImagePart,
    MultimodalDocument,
    TextPart,
    VideoPart,
    write_multimodal_documents,
)
from gemini_workshop.data.media.images import encode_png
from gemini_workshop.data.media.mentions import begins_with_file, parts_of, with_quotes
from gemini_workshop.data.media.wav import encode_wav
from gemini_workshop.errors import DataError

MARKS = {ImagePart: "image", AudioPart: "audio", VideoPart: "video"}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An image, one with a space in its name, a sound, a film and a document, where one is."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    image = encode_png(torch.rand(1, 4, 4))
    for name in ("a.png", "my cat.PNG", "without_ending", "frames/1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(image)
    (tmp_path / "b.wav").write_bytes(encode_wav(torch.zeros(400), 8000))
    mixed = (TextPart(text="is"), ImagePart(image=torch.zeros(1, 2, 2)))
    write_multimodal_documents(tmp_path, [MultimodalDocument(id="1", parts=mixed)])
    return tmp_path


def read(text):
    """The words as they are, and the kind of each medium between stars."""
    return [part.text if isinstance(part, TextPart) else f"*{MARKS[type(part)]}*" for part in parts_of(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Which digit is it?", ["Which digit is it?"]),
        ("", []),
        ("Which digit is it? a.png", ["Which digit is it?", "*image*"]),
        ("Is a.png as loud as b.wav?", ["Is", "*image*", "as loud as", "*audio*", "?"]),
        ("(see a.png), b.wav.", ["(see", "*image*", "),", "*audio*", "."]),
        ('What is "my cat.PNG"?', ["What is", "*image*", "?"]),
        ("What's 'my cat.PNG' like?", ["What's", "*image*", "like?"]),
        (r"my\ cat.PNG please", ["*image*", "please"]),
        ("~/a.png", ["*image*"]),
        ("/image a.png Which digit is it?", ["*image*", "Which digit is it?"]),
        ("Is /image a.png or /video a.png longer?", ["Is", "*image*", "or", "*video*", "longer?"]),
        ('/IMAGE "my cat.PNG": what is it?', ["*image*", ": what is it?"]),
        ("/image without_ending what?", ["*image*", "what?"]),
        ("/video frames what?", ["*video*", "what?"]),
        ("What happens in ./frames?", ["What happens in", "*video*", "?"]),
        ("What happens in frames?", ["What happens in frames?"]),
        ("Yes and/or no, 1 / 2, /etc-etera", ["Yes and/or no, 1 / 2, /etc-etera"]),
        ("documents.jsonl ?", ["is", "*image*", "?"]),
        ("/document documents.jsonl", ["is", "*image*"]),
        ("A file ends in .png, a sentence in a point.", ["A file ends in .png, a sentence in a point."]),
        ("Do not say a.pngs or /images", ["Do not say a.pngs or /images"]),
    ],
)
def test_a_file_is_read_where_it_is_named(text, expected):
    assert read(text) == expected


def test_a_path_from_the_root_is_read_too(folder):
    assert read(f"{folder / 'a.png'} what?") == ["*image*", "what?"]
    assert read(f"{folder / 'without_ending'} what?") == ["*image*", "what?"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Which digit is nowhere.png?", r"nowhere\.png cannot be read: No such file"),
        ("/image nowhere what?", "nowhere cannot be read: No such file"),
        ("Who speaks in film.MP4?", r"film\.MP4 cannot be read: No such file"),
        ("/audio a.png", r"a\.png is not a wav file"),
        ("/image b.wav", r"b\.wav is not an image"),
        ("/image", r"A file name is missing\. Write /image FILE\."),
        ("What about /audio ", r"A file name is missing\. Write /audio FILE\."),
    ],
)
def test_what_cannot_be_read_is_refused(text, message):
    with pytest.raises(DataError, match=message):
        parts_of(text)


def test_a_line_may_begin_with_a_file():
    for line in ("/image a.png", "/image", "a.png", "/video frames", "./frames", "'my cat.PNG' what?", "~/a.png"):
        assert begins_with_file(line), line
    for line in ("Which digit?", "/quit", "/images", "/system Look at a.png", "/nowhere/at/all", ""):
        assert not begins_with_file(line), line


def test_a_command_whose_name_is_the_whole_line_gets_quotes():
    assert with_quotes("/image my cat.PNG") == '/image "my cat.PNG"'
    for line in ("/image a.png", "/image a.png what?", '/image "my cat.PNG"', "my cat.PNG", "/image"):
        assert with_quotes(line) == line
    assert read(with_quotes("/image my cat.PNG")) == ["*image*"]
