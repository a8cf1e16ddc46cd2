import dataclasses

import pytest
import torch

from gemini_workshop.config import GenerationConfig
from gemini_workshop.data.media.documents import AudioPart, ImagePart, TextPart, VideoPart
from gemini_workshop.data.media.encoding import IMAGE, TURN_END, MediaEncoder
from gemini_workshop.data.media.images import encode_png
from gemini_workshop.data.media.wav import encode_wav
from gemini_workshop.errors import DataError, WorkshopError
from gemini_workshop.generation.ask import ask
from gemini_workshop.generation.decode import generate
from gemini_workshop.generation.sampler import Bias, Sampler
from tests.generation.media import CONFIG, MEDIA, TOKENIZER, tiny_model

MODEL = tiny_model()
GREEDY = GenerationConfig(temperature=0.0, max_new_tokens=12)
SHADES = torch.arange(3 * 8 * 12).reshape(3, 8, 12) / (3 * 8 * 12)
TONE = torch.sin(torch.arange(1600) / 3) / 2


def answer(*parts, config=GREEDY, model=MODEL, **how):
    return "".join(ask(model, TOKENIZER, *parts, config=config, **how))


def ids_of(parts, number=12):
    """What the functions below write, token by token."""
    question = MediaEncoder(TOKENIZER, MEDIA).question(parts)
    config = dataclasses.replace(GREEDY, max_new_tokens=number)
    return list(generate(MODEL, question.ids, config, media=question.media))


@pytest.fixture
def files(tmp_path):
    (tmp_path / "a.png").write_bytes(encode_png(SHADES))
    (tmp_path / "b.wav").write_bytes(encode_wav(TONE, 8000))
    return tmp_path


def test_texts_files_and_parts_are_read_in_their_order_and_answered_as_generate_does(files):
    image, sound = ImagePart(image=(SHADES * 255).round() / 255), AudioPart(samples=TONE, sample_rate=8000)
    stored = AudioPart(samples=(TONE * 2**15).round() / 2**15, sample_rate=8000)
    parts = [TextPart(text="look"), image, TextPart(text="listen"), stored]
    expected = TOKENIZER.decode(ids_of(parts))
    assert answer("look", files / "a.png", "listen", files / "b.wav") == expected
    assert answer(TextPart(text="look"), image, "listen", stored) == expected
    others = [answer("listen", files / "b.wav", "look", files / "a.png"), answer("look", "listen")]
    others.append(answer("look", ImagePart(image=1 - image.image), "listen", sound))
    assert expected not in others


def test_a_folder_is_a_video(files):
    (files / "b.wav").unlink()
    (files / "b.png").write_bytes(encode_png(1 - SHADES))
    frames = (torch.stack([SHADES, 1 - SHADES]) * 255).round() / 255
    assert answer(files, "?") == answer(VideoPart(frames=frames, frames_per_second=4.0), "?") != answer("?")


def test_an_answer_comes_piece_by_piece():
    pieces = list(ask(MODEL, TOKENIZER, "which digit is it?", config=GREEDY))
    assert len(pieces) > 1
    assert "".join(pieces) == answer("which digit is it?")


@pytest.mark.parametrize("mark", ["<|endoftext|>", TURN_END, IMAGE])
def test_an_answer_ends_with_the_end_of_text_and_before_any_mark(mark):
    whole = answer("?")
    assert whole
    forced = Sampler((Bias({TOKENIZER.special_tokens[mark]: 1e9}),))
    assert answer("?", sampler=forced) == ""


def test_stop_strings_and_the_limit_hold():
    whole = answer("?")
    assert answer("?", stop_strings=[whole[2:4]]) == whole[: whole.index(whole[2:4])]
    two = dataclasses.replace(GREEDY, max_new_tokens=2)
    assert answer("?", config=two) == TOKENIZER.decode(ids_of([TextPart(text="?")], 2))


def test_an_answer_ends_where_the_window_is_full_and_forgets_no_image():
    long = dataclasses.replace(GREEDY, max_new_tokens=500)
    letter, end = Sampler((Bias({97: 1e9}),)), 2
    for number in (CONFIG.context_tokens - end, CONFIG.context_tokens - end - 5):
        assert len(answer("b" * number, config=long, sampler=letter)) == CONFIG.context_tokens - end - number + 1


def test_what_cannot_be_asked_is_refused_before_an_answer_begins(files):
    text_alone = tiny_model(dataclasses.replace(CONFIG, media=None))
    with pytest.raises(WorkshopError, match=r"takes text alone: model\.media is null.* trained with images and audio"):
        ask(text_alone, TOKENIZER, files / "a.png")
    with pytest.raises(WorkshopError, match=r"has no parts\. Give a text, the path of a file"):
        ask(MODEL, TOKENIZER)
    with pytest.raises(
        WorkshopError, match=r"has 97 tokens with its images and audio, and the model reads 96\. Give f"
    ):
        ask(MODEL, TOKENIZER, "b" * 95)
    with pytest.raises(DataError, match=r"nowhere\.png cannot be read: No such file"):
        ask(MODEL, TOKENIZER, files / "nowhere.png")
