"""gemini-workshop chat with files: questions about media, and files of every kind that people have."""

import dataclasses
import io

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import wavfile
from typer.testing import CliRunner

from gemini_workshop.checkpoint import load_pretrained, save_model
from gemini_workshop.cli.main import app
from gemini_workshop.cli.terminal import Terminal
from gemini_workshop.config import GenerationConfig, load_config
from gemini_workshop.data.media.documents import MultimodalDocument, TextPart, write_multimodal_documents
from gemini_workshop.data.media.reading import read_audio, read_image, read_video
from gemini_workshop.data.media.wav import encode_wav, resample
from gemini_workshop.errors import WorkshopError
from gemini_workshop.generation.ask import ask
from gemini_workshop.generation.chat import ChatPartner, Conversation, Turn
from tests.generation.media import CONFIG, TOKENIZER, tiny_model

GREEDY = GenerationConfig(max_new_tokens=8, temperature=0.0)
MODEL = tiny_model(dataclasses.replace(CONFIG, context_tokens=200))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An image, a sound and a film, where one is."""
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (8, 4), "red").save("a.png")
    (tmp_path / "b.wav").write_bytes(encode_wav(torch.sin(torch.arange(800) / 3), 8000))
    frames = [Image.new("RGB", (4, 4), name) for name in ("green", "blue")]
    frames[0].save("film.gif", save_all=True, append_images=frames[1:], duration=500)
    return tmp_path


@pytest.fixture
def terminal():
    return Terminal(ChatPartner(MODEL, TOKENIZER), Conversation("question"), GREEDY)


@pytest.fixture
def say(terminal, capsys, monkeypatch):
    """Type lines until the end of the input; what is shown."""

    def say(*lines):
        waiting = iter(lines)

        def read(_):
            try:
                return next(waiting)
            except StopIteration:
                raise EOFError from None

        monkeypatch.setattr("builtins.input", read)
        terminal.run()
        return capsys.readouterr().out.removesuffix("\n")

    return say


def answer(*parts):
    return "".join(ask(MODEL, TOKENIZER, *parts, config=GREEDY)).lstrip() + "\n"


def test_each_turn_is_a_question_of_its_own_with_the_files_that_it_names(say, terminal):
    image, sound = read_image("a.png"), read_audio("b.wav")
    shown = say("Is a.png as loud as b.wav?", "which digit is it?")
    assert shown == answer("Is", image, "as loud as", sound, "?") + answer("which digit is it?")
    assert [turn.text for turn in terminal.conversation.turns][::2] == [
        "Is a.png as loud as b.wav?",
        "which digit is it?",
    ]


def test_files_are_attached_to_the_next_question_alone(say, terminal):
    shown = say("/image film.gif", "b.wav", "which?", "which?")
    assert shown == (
        "[image 4x4] Ask about it, or press Enter to ask without words.\n"
        "[audio 0.10 s] Ask about it, or press Enter to ask without words.\n"
        + answer(read_image("film.gif"), read_audio("b.wav"), "which?")
        + answer("which?")
    )
    assert terminal.conversation.turns[0].text == "/image film.gif b.wav which?"


def test_enter_asks_without_words_and_nothing_is_no_question(say, terminal):
    assert say("", "/video film.gif", "").endswith("words.\n" + answer(read_video("film.gif")))
    assert len(terminal.conversation.turns) == 2


def test_a_document_is_a_question_with_text_and_media_mixed(say):
    parts = (TextPart(text="is"), read_image("a.png"), TextPart(text="as loud as"), read_audio("b.wav"))
    write_multimodal_documents("doc", [MultimodalDocument(id="1", parts=parts)])
    assert say("/document doc") == answer(*parts)
    assert say("doc/documents.jsonl or not?") == answer(*parts, "or not?")


def test_what_is_attached_is_shown_and_taken_back(say, terminal):
    assert say("a.png", "b.wav", "/history").endswith("Attached to the next question: a.png b.wav\n")
    assert say("/undo", "which?") == f"Taken back: 'b.wav'\n{answer(read_image('a.png'), 'which?')}"
    say("a.png", "/new")
    assert (terminal.attached, terminal.conversation.turns) == ([], [])


def test_a_text_above_the_turns_comes_before_each_question(say, terminal):
    terminal.conversation.system = "look"
    assert say("a.png which?") == answer("look", read_image("a.png"), "which?")


def test_a_question_that_is_refused_leaves_the_conversation_and_what_is_attached(say, terminal, folder):
    before = say("which?", "a.png") and list(terminal.conversation.turns)
    too_long = "which " * 40 + "?"
    shown = say("/image nowhere.png", "and nowhere.png?", too_long, "/audio a.png", "/imag a.png")
    assert shown.count("nowhere.png cannot be read: No such file") == 2
    assert "tokens with its images and audio, and the model reads 200" in shown
    assert "a.png is not a wav file" in shown
    assert "Did you mean 'image'?" in shown
    assert len(shown.splitlines()) == 5
    assert (terminal.conversation.turns, terminal.attached) == (before, ["a.png"])
    assert say("which?") == answer(read_image("a.png"), "which?")
    kept = list(terminal.conversation.turns)
    (folder / "a.png").unlink()
    assert "a.png cannot be read" in say("/retry")
    assert terminal.conversation.turns == kept


def test_a_conversation_with_files_is_saved_and_continued(say, terminal):
    say("Look: a.png which?", "/save chat.json")
    saved = list(terminal.conversation.turns)
    terminal.conversation = Conversation()
    assert "Look: a.png which?" in say("/load chat.json")
    assert terminal.conversation == Conversation("question", "", saved)
    assert say("/retry") == answer("Look:", read_image("a.png"), "which?")


def test_an_interrupted_answer_keeps_what_was_said(say, terminal, monkeypatch):
    def broken(*_):
        yield "half"
        raise KeyboardInterrupt

    monkeypatch.setattr(terminal.partner, "_answer", broken)
    assert say("a.png which?") == "half [interrupted]\n"
    assert terminal.conversation.turns == [Turn("user", "a.png which?"), Turn("model", "half")]
    assert terminal.attached == []


def test_in_a_story_no_file_can_be_attached(say, terminal):
    terminal.conversation = Conversation("story")
    assert "turns are parts of a story here. Start again with --format question" in say("/image a.png")
    assert "/image" not in say("/help")


# Files as people have them: the right result, or one clear error


def gradient(mode, width=9, height=6):
    """An image in which no two places are alike, in 8-bit shades that survive every kind of file."""
    shades = np.arange(width * height, dtype=np.uint8).reshape(height, width) * 4
    image = Image.fromarray(np.stack([shades, shades[::-1], shades[:, ::-1]], axis=-1))
    return image.convert(mode) if mode != "RGB" else image


def png(image, **how):
    file = io.BytesIO()
    image.save(file, "png", **how)
    return file.getvalue()


def turned(image):
    """As a camera stores it that was held on its side."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return png(image.transpose(Image.Transpose.ROTATE_90), exif=exif)


def in_16_bits(image):
    return png(Image.fromarray(np.asarray(image).astype(np.uint16) * 257))


def animated(image):
    return png(image, save_all=True, append_images=[Image.new("RGB", image.size, "blue")], duration=100)


RGB, GREY = gradient("RGB"), gradient("L")
CLEAR = gradient("RGBA")
CLEAR.putalpha(Image.new("L", CLEAR.size, 0))
SAME_IMAGES = {
    "alpha": (png(gradient("RGBA")), RGB),
    "transparent": (png(CLEAR), Image.new("RGB", RGB.size, "white")),
    "grey": (png(GREY), GREY.convert("RGB")),
    "grey with alpha": (png(gradient("LA")), GREY.convert("RGB")),
    "palette": (png(GREY.convert("P")), GREY.convert("RGB")),
    "16-bit": (in_16_bits(GREY), GREY.convert("RGB")),
    "black and white": (png(gradient("1")), gradient("1").convert("RGB")),
    "animated": (animated(RGB), RGB),
    "turned": (turned(RGB), RGB),
    "one pixel": (png(Image.new("RGB", (1, 1), "red")), Image.new("RGB", (4, 4), "red")),
}


@pytest.mark.parametrize("kind", SAME_IMAGES)
def test_an_image_of_any_kind_is_answered_as_the_same_picture_in_plain_rgb(kind, say, folder):
    content, plain = SAME_IMAGES[kind]
    (folder / "odd.png").write_bytes(content)
    (folder / "plain.png").write_bytes(png(plain))
    expected = answer(read_image("plain.png"), "which?")
    assert say("/image odd.png which?") == expected
    other = Image.new("RGB", (9, 6), "black")
    other.putpixel((4, 3), (0, 255, 0))
    (folder / "plain.png").write_bytes(png(other))
    assert answer(read_image("plain.png"), "which?") != expected  # so that equal answers say something


TONE = np.sin(np.arange(2400) / 3) * np.hanning(2400)  # silent at both ends, where filters differ


def wav(samples, rate=8000):
    file = io.BytesIO()
    wavfile.write(file, rate, samples)
    return file.getvalue()


def in_24_bits(samples):
    """A wav file of three bytes a sample, written out: no library here writes one."""
    numbers = (samples * 2**23).round().astype("<i4")
    data = b"".join(int(number).to_bytes(3, "little", signed=True) for number in numbers)
    form = b"fmt " + (16).to_bytes(4, "little") + b"\1\0\1\0"
    form += (8000).to_bytes(4, "little") + (24_000).to_bytes(4, "little") + b"\3\0\x18\0"
    body = b"WAVE" + form + b"data" + len(data).to_bytes(4, "little") + data
    return b"RIFF" + len(body).to_bytes(4, "little") + body


AT_48_KHZ = resample(torch.from_numpy(TONE), 8000, 48_000).numpy()
SAME_SOUNDS = {
    "48 kHz": wav((AT_48_KHZ * 16_384).round().astype(np.int16), 48_000),
    "stereo": wav((np.stack([TONE * 0.4, TONE * 0.6], axis=-1) * 32_768).round().astype(np.int16)),
    "24-bit": in_24_bits(TONE * 0.5),
    "float": wav((TONE * 0.5).astype(np.float32)),
    "double": wav(TONE * 0.5),
}


@pytest.mark.parametrize("kind", SAME_SOUNDS)
def test_a_sound_of_any_kind_is_read_as_the_same_sound_at_8_khz(kind, say, folder):
    (folder / "odd.wav").write_bytes(SAME_SOUNDS[kind])
    odd = read_audio("odd.wav")
    heard = resample(odd.samples, odd.sample_rate, 8000).float()
    torch.testing.assert_close(heard, torch.from_numpy(TONE).float() / 2, atol=1e-3, rtol=0)
    assert say("/audio odd.wav which?") == answer(odd, "which?")


REFUSED = {
    "missing": ("/image nowhere.png", None, "cannot be read: No such file"),
    "empty image": ("/image odd", b"", "is empty: it has 0 bytes"),
    "cut off image": ("/image odd", png(RGB)[:-20], "odd"),
    "huge image": ("/image odd", png(Image.new("1", (20_000, 20_000))), "pixels"),
    "text for an image": ("odd.png", b"no image", "is not an image"),
    "sound for an image": ("/image odd", wav(TONE), "is not an image"),
    "image for a sound": ("/audio odd", png(RGB), "is not a wav file"),
    "mp4": ("odd.mp4", b"\0\0\0\x18ftypmp42", "ffmpeg -i FILE -vf fps=4 film.gif makes one"),
    "sound without samples": ("/audio odd", wav(np.zeros(0, np.int16)), "has 0 samples"),
    "cut off sound": ("/audio odd", wav(TONE)[:-100], "is cut off"),
    "a folder for an image": ("/image .", None, "is a folder, not a file"),
    "a folder without images": ("/video empty", None, "holds no images"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_asked_about_is_one_clear_line_and_nothing_is_lost(kind, say, terminal, folder):
    line, content, message = REFUSED[kind]
    (folder / "empty").mkdir()
    if content is not None:
        (folder / line.split()[-1]).write_bytes(content)
    say("which?", "a.png")
    before = list(terminal.conversation.turns)
    shown = say(f"{line} which?", line)
    first, second = shown.splitlines()
    assert first == second
    assert message in first
    assert first.endswith(".")
    assert (terminal.conversation.turns, terminal.attached) == (before, ["a.png"])


def test_a_sound_shorter_than_a_frame_is_refused_when_it_is_asked_about(say, terminal, folder):
    (folder / "odd.wav").write_bytes(wav(np.zeros(1, np.int16)))
    shown = say("/audio odd.wav which?")
    assert shown == "1 samples are shorter than one frame of window_samples=160. Use longer audio, or add silence.\n"
    assert terminal.conversation.turns == []


@pytest.mark.parametrize("name", ["one.gif", "one.png", "frames"])
def test_a_film_may_be_a_single_frame(name, say, folder):
    path = folder / name / "1.png" if name == "frames" else folder / name
    path.parent.mkdir(exist_ok=True)
    RGB.quantize().save(path) if name == "one.gif" else RGB.save(path)
    video = read_video(name)
    assert len(video.frames) == 1
    assert say(f"/video {name} which?") == answer(video, "which?")


# The command


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "model"
    save_model(path, tiny_model().state_dict(), dataclasses.replace(load_config("tiny"), model=CONFIG), TOKENIZER)
    return path


def chat(*arguments, lines):
    result = CliRunner().invoke(app, ["chat", *map(str, arguments)], input=lines)
    if isinstance(result.exception, WorkshopError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_a_multimodal_checkpoint_is_asked_and_answers_greedily(checkpoint):
    expected = "".join(ask(*load_pretrained(checkpoint), read_image("a.png"), "which?", config=GREEDY))
    options = ("--max-new-tokens", "8")
    shown = chat(checkpoint, *options, lines="/image a.png which?\n")
    assert "one question at a time, of the kinds it was trained on" in shown
    assert expected in shown
    assert expected in chat("--checkpoint", checkpoint, *options, lines="/image a.png which?\n")
    warm = chat(checkpoint, *options, "--temperature", "2", lines="/image a.png which?\n")
    assert expected not in warm


def test_a_format_can_be_chosen_and_a_model_of_text_answers_no_questions(checkpoint):
    assert "write a story" in chat(checkpoint, "--format", "story", lines="")
    assert "write a story" in chat(lines="")
    with pytest.raises(WorkshopError, match=r"takes text alone: model\.media is null"):
        chat("stories-small", "--format", "question", lines="")
    with pytest.raises(WorkshopError, match="CHECKPOINT and --checkpoint cannot be combined"):
        chat(checkpoint, "--checkpoint", checkpoint, lines="")
