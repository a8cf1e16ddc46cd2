import pytest
import torch

from gemini_workshop.config import MediaConfig
from gemini_workshop.data.media.documents import AudioPart, ImagePart, TextPart, VideoPart
from gemini_workshop.data.media.encoding import AUDIO, IMAGE, MARKS, MediaEncoder
from gemini_workshop.data.tokenizers import BPETokenizer
from gemini_workshop.errors import DataError

TOKENIZER = BPETokenizer.train(["look at this and listen"], 256 + 1 + len(MARKS), special_tokens=MARKS)
IDS = TOKENIZER.special_tokens
MEDIA = MediaConfig(image_token_id=IDS[IMAGE], audio_token_id=IDS[AUDIO], patch_pixels=4, max_rows=4)
PICTURE, SOUND = ImagePart(image=torch.rand(1, 4, 8)), AudioPart(samples=torch.rand(960) - 0.5, sample_rate=8000)


def encoder():
    return MediaEncoder(TOKENIZER, MEDIA)


def shown(ids):
    return TOKENIZER.decode(ids)


def test_parts_become_text_and_places_in_reading_order():
    found = encoder().encode([TextPart(text="look"), PICTURE, TextPart(text="and"), SOUND])
    assert shown(found.ids) == (
        "look<|image_start|><|image|><|image|><|image_end|>and<|audio_start|><|audio|><|audio|><|audio|><|audio_end|>"
    )
    assert [tensor.shape for tensor in found.media] == [(1, 2, 48), (1, 2, 2), (1, 3, 160)]


def test_a_question_stands_between_an_end_of_text_and_an_end_of_turn():
    found = encoder().question([TextPart(text="which?")])
    assert shown(found.ids) == "<|endoftext|>which?<|turn_end|>"
    assert found.media.patches.shape[1] == found.media.frames.shape[1] == 0


def test_a_video_is_its_frames_each_after_its_time():
    film = VideoPart(frames=torch.rand(3, 1, 4, 4), frames_per_second=4.0)
    assert shown(encoder().encode([film]).ids) == (
        "0s<|image_start|><|image|><|image_end|>0.25s<|image_start|><|image|><|image_end|>"
        "0.5s<|image_start|><|image|><|image_end|>"
    )


def test_marks_in_a_text_are_only_text():
    [found] = [encoder().encode([TextPart(text="<|image|>")])]
    assert IDS[IMAGE] not in found.ids
    assert shown(found.ids) == "<|image|>"


def test_a_tokenizer_without_marks_is_refused():
    with pytest.raises(DataError, match=r"has no <\|turn_end\|>, .*special_tokens=MARKS"):
        MediaEncoder(BPETokenizer.train(["abc"], 257), MEDIA)


def test_a_tokenizer_of_another_model_is_refused():
    other = MediaConfig(image_token_id=3, audio_token_id=4)
    with pytest.raises(DataError, match="image_token_id and audio_token_id are 3 and 4"):
        MediaEncoder(TOKENIZER, other)
