"""gemini-workshop generate with images, audio and videos: a question, of which only the answer is printed."""

import dataclasses

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from gemini_workshop.checkpoint import load_pretrained, save_model
from gemini_workshop.cli.main import app
from gemini_workshop.config import GenerationConfig, load_config
from gemini_workshop.data.media.documents import MultimodalDocument, TextPart, write_multimodal_documents
from gemini_workshop.data.media.reading import read_audio, read_image, read_video
from gemini_workshop.data.media.wav import encode_wav
from gemini_workshop.errors import DataError, WorkshopError
from gemini_workshop.generation.ask import ask
from gemini_workshop.generation.decode import generate_text
from tests.generation.media import CONFIG, TOKENIZER, tiny_model

SHORT = ("--max-new-tokens", "12", "--temperature", "0")
GREEDY = GenerationConfig(max_new_tokens=12, temperature=0.0)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A multimodal checkpoint, and an image, a sound and a film beside it."""
    folder = tmp_path_factory.mktemp("files")
    whole = dataclasses.replace(load_config("tiny"), model=CONFIG)
    save_model(folder / "model", tiny_model().state_dict(), whole, TOKENIZER)
    Image.new("RGB", (4, 8), "red").save(folder / "a.png")
    (folder / "b.wav").write_bytes(encode_wav(torch.sin(torch.arange(800) / 3), 8000))
    frames = [Image.new("RGB", (4, 4), name) for name in ("green", "blue")]
    frames[0].save(folder / "film.gif", save_all=True, append_images=frames[1:], duration=500)
    return folder


@pytest.fixture
def write(files):
    def write(*arguments, checkpoint=files / "model"):
        words = ["generate", "--checkpoint", checkpoint, *SHORT, *arguments]
        result = CliRunner().invoke(app, list(map(str, words)))
        if isinstance(result.exception, WorkshopError):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.output

    return write


def answer(files, *parts, **settings):
    config = dataclasses.replace(GREEDY, **settings)
    return "".join(ask(*load_pretrained(files / "model"), *parts, config=config)) + "\n"


def test_images_come_first_then_audio_then_videos_then_the_text(write, files):
    image, sound, film = read_image(files / "a.png"), read_audio(files / "b.wav"), read_video(files / "film.gif")
    given = ("--video", files / "film.gif", "--image", files / "a.png", "which?", "--audio", files / "b.wav")
    expected = answer(files, image, sound, film, "which?")
    assert write(*given) == expected != answer(files, film, image, "which?", sound)
    assert "which?" not in expected
    twice = ("--image", files / "a.png", "--image", files / "film.gif")
    assert write(*twice) == answer(files, image, read_image(files / "film.gif")) != answer(files, image)


def test_a_document_is_a_prompt_in_which_text_and_media_alternate(write, files, tmp_path):
    parts = (TextPart(text="is"), read_image(files / "a.png"), TextPart(text="as loud as"), read_audio(files / "b.wav"))
    path = write_multimodal_documents(tmp_path, [MultimodalDocument(id="1", parts=parts)])
    assert write("--document", path) == answer(files, *parts)
    assert write("--document", tmp_path, "?") == answer(files, *parts, "?")
    with pytest.raises(WorkshopError, match="--image, --audio or --video and --document cannot be combined"):
        write("--document", path, "--image", files / "a.png")


def test_a_multimodal_model_answers_a_question_without_media_and_continues_nothing(write, files):
    assert write("which digit is it?") == answer(files, "which digit is it?")
    assert write().startswith("Once upon a time")


def test_the_sampler_and_stop_strings_work_for_answers_too(write, files):
    image = read_image(files / "a.png")
    found = write("?", "--image", files / "a.png", "--samples", "2", "--temperature", "1.5", "--seed", "3")
    assert found == "\n---\n".join(answer(files, image, "?", temperature=1.5, seed=seed) for seed in (3, 4))
    assert write("?", "--image", files / "a.png", "--regex", "(yes|no)") in ("yes\n", "no\n")
    whole = answer(files, image, "?")
    assert write("?", "--image", files / "a.png", "--stop", whole[1:3]) == whole[: whole.index(whole[1:3])] + "\n"


def test_an_answer_is_the_most_likely_one_unless_a_temperature_is_given(files):
    words = ["generate", "which?", "--checkpoint", str(files / "model"), "--image", str(files / "a.png")]
    words += ["--max-new-tokens", "12"]
    found = [CliRunner().invoke(app, [*words, *extra]).output for extra in ([], ["--temperature", "2"])]
    expected = answer(files, read_image(files / "a.png"), "which?")
    assert found[0] == expected != found[1]
    assert "".join(ask(*load_pretrained(files / "model"), "which?")).startswith(answer(files, "which?")[:-1])


def test_a_lean_copy_answers_the_same(write, files):
    question = ("which?", "--image", files / "a.png")
    assert write(*question, "--weights", "fp32") == write(*question)


@pytest.mark.parametrize("option", [("--beams", "2"), ("--draft", "lookup"), ("--json",)])
def test_what_cannot_answer_a_question_is_refused(write, files, option):
    with pytest.raises(WorkshopError, match=f"A question to a multimodal model and {option[0]} cannot be combined"):
        write("?", "--image", files / "a.png", *option)


def test_a_wrong_file_and_a_model_of_text_alone_are_refused(write, files):
    with pytest.raises(DataError, match=r"nowhere\.png cannot be read: No such file"):
        write("--image", files / "nowhere.png")
    with pytest.raises(DataError, match=r"a\.png is not a wav file"):
        write("--audio", files / "a.png")
    with pytest.raises(WorkshopError, match=r"takes text alone: model\.media is null"):
        write("?", "--image", files / "a.png", checkpoint="stories-small")


def test_without_media_a_model_of_text_continues_as_ever(write):
    expected = "".join(generate_text(*load_pretrained(), "The cat", GREEDY))
    assert write("The cat", checkpoint="stories-small") == f"The cat{expected}\n"
