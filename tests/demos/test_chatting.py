"""Replies: what is written, what is counted, and whose files are read."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from gemini_workshop.config import GenerationConfig
from gemini_workshop.demos.chatting import Progress, files_of, replies, side_by_side, turns_of
from gemini_workshop.demos.shelf import Shelf
from gemini_workshop.errors import WorkshopError
from gemini_workshop.generation.chat import ChatPartner, Conversation, Turn

CONFIG = GenerationConfig(max_new_tokens=12, seed=4)
TURNS = [Turn("user", "the dog")]


def test_a_reply_is_that_of_the_terminal(loaded):
    steps = list(replies(loaded, TURNS, CONFIG))
    conversation = Conversation(loaded.served.format, "", list(TURNS))
    partner = ChatPartner(loaded.served.model, loaded.served.tokenizer)
    assert steps[-1].text == "".join(partner.reply(conversation, CONFIG)).lstrip()
    assert steps[-1].num_tokens <= 12
    assert steps[-1].cache_bytes == partner.reader.cache.num_bytes() > 0
    assert all(len(a.text) <= len(b.text) for a, b in pairwise(steps))


def test_a_reply_that_is_left_alone_frees_the_model(loaded):
    growing = replies(loaded, TURNS, CONFIG)
    next(growing)
    assert loaded.lock.acquire(blocking=False)  # between two tokens another visitor may compute
    loaded.lock.release()
    growing.close()


def test_replies_grow_in_turn_and_each_is_complete_at_the_end():
    def stream(*texts):
        for number, text in enumerate(texts):
            yield Progress(text=text, num_tokens=number, seconds_to_first=0.0, tokens_per_second=None, cache_bytes=0)

    seen = [
        {name: each.text for name, each in latest.items()}
        for latest in side_by_side({"a": stream("1", "12", "123"), "b": stream("x")})
    ]
    assert seen == [{"a": "1", "b": "x"}, {"a": "12", "b": "x"}, {"a": "123", "b": "x"}]


@pytest.fixture(scope="module")
def mini():
    return Shelf(["mini-gemini"]).get("mini-gemini")


@pytest.fixture
def picture(tmp_path):
    Image.fromarray(np.full((16, 16, 3), 128, np.uint8)).save(tmp_path / "grey.png")
    return tmp_path / "grey.png"


def test_a_question_reads_the_attached_file_and_not_the_one_that_it_names(mini, picture):
    greedy = dataclasses.replace(CONFIG, temperature=0.0, max_new_tokens=2)

    def size(text, *files):
        (*_, last) = replies(mini, [Turn("user", text)], greedy, files=files)
        return last.cache_bytes

    named = f"Which digit is it? {picture}"
    many = 60 * "x "
    assert size(many, picture) >= size(many)
    (picture.parent / "broken.png").write_bytes(b"no image")
    with pytest.raises(WorkshopError, match=r"broken\.png") as found:
        list(replies(mini, [Turn("user", "?")], greedy, files=[picture.parent / "broken.png"]))
    assert str(picture.parent) not in str(found.value)
    (*_, last) = replies(mini, [Turn("user", f"{named} {picture.parent / 'broken.png'}")], greedy)
    assert last.num_tokens > 0  # the broken file that the text names was not opened


def test_a_file_for_a_model_of_text_is_refused(loaded, picture):
    with pytest.raises(WorkshopError, match="tiny reads text alone"):
        list(replies(loaded, TURNS, CONFIG, files=[picture]))


def test_turns_and_files_are_read_off_what_a_chat_shows():
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "hello"}]},
        {"role": "assistant", "content": "hi"},
        {"role": "user", "content": [{"type": "file", "file": {"path": "/uploads/a.png"}}]},
        {"role": "user", "content": "which?"},
    ]
    assert turns_of(messages) == [Turn("user", "hello"), Turn("model", "hi"), Turn("user", "which?")]
    assert [str(path) for path in files_of(messages)] == ["/uploads/a.png"]
    assert files_of(messages[:2]) == []


@pytest.mark.parametrize(
    ("names", "message"),
    [(["nothing-here"], "no checkpoint 'nothing-here'"), (["stories-small", "stories-small"], "have one name")],
)
def test_a_wrong_name_is_refused_before_anything_listens(names, message):
    with pytest.raises(WorkshopError, match=message):
        Shelf(names)


def test_a_model_that_is_not_on_the_shelf_is_refused():
    with pytest.raises(WorkshopError, match=r"no model '\.\./secret'"):
        Shelf(["stories-small"]).get("../secret")
