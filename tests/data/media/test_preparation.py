import pytest
import torch

from gemini_workshop.config import MediaConfig
from gemini_workshop.data.media.preparation import prepare_audio, prepare_image
from gemini_workshop.data.media.spectrogram import EIGHT_KILOHERTZ, mel_filters
from gemini_workshop.errors import DataError
from gemini_workshop.models.multimodal.patches import patchify, unpatchify

MEDIA = MediaConfig(image_token_id=1, audio_token_id=2, patch_pixels=4, max_rows=5)


def test_an_image_of_whole_patches_is_only_cut():
    image = torch.rand(3, 8, 12)
    patches, places = prepare_image(image, MEDIA)
    assert torch.equal(patches, patchify(image, 4))
    assert places.tolist() == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]


def test_grey_is_repeated_for_each_color():
    image = torch.rand(1, 4, 4)
    patches, _ = prepare_image(image, MEDIA)
    assert torch.equal(unpatchify(patches, 1, 4), image.expand(3, -1, -1))


def test_the_edge_fills_the_last_patches():
    image = torch.rand(3, 5, 7)
    patches, _ = prepare_image(image, MEDIA)
    whole = unpatchify(patches, 2, 4)
    assert torch.equal(whole[:, :5, :7], image)
    assert torch.equal(whole[:, 5:, :7], image[:, 4:].expand(-1, 3, -1))
    assert torch.equal(whole[:, :5, 7], image[:, :, 6])


@pytest.mark.parametrize(("height", "width", "rows", "columns"), [(200, 100, 5, 3), (10, 1000, 1, 5), (20, 20, 5, 5)])
def test_a_large_image_is_shrunk_in_proportion(height, width, rows, columns):
    patches, places = prepare_image(torch.full((1, height, width), 0.5), MEDIA)
    assert places.amax(dim=0).tolist() == [rows - 1, columns - 1]
    torch.testing.assert_close(patches, torch.full_like(patches, 0.5))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (torch.zeros(2, 4, 4), "2 x 4 x 4 numbers cannot be read.*1 .grey. or 3"),
        (torch.zeros(3, 0, 4), "at least one pixel"),
        (torch.full((3, 4, 4), 255.0), r"from 255 to 255. They must lie in \[0, 1\]"),
        (torch.full((3, 4, 4), float("nan")), "from nan to nan"),
    ],
)
def test_what_is_not_an_image_is_refused(image, message):
    with pytest.raises(DataError, match=message):
        prepare_image(image, MEDIA)


def test_a_second_of_audio_is_25_frames_at_any_rate():
    for rate in (8000, 16000, 44100):
        tone = torch.sin(2 * torch.pi * 440 * torch.arange(rate) / rate)
        frames = prepare_audio(tone, rate, MEDIA)
        assert frames.shape == (25, 160)
        loudest = frames.unflatten(1, (4, 40)).mean(dim=(0, 1)).argmax()
        bin_of_tone = round(440 * EIGHT_KILOHERTZ.fft_samples / EIGHT_KILOHERTZ.sample_rate)
        assert mel_filters(EIGHT_KILOHERTZ)[bin_of_tone, loudest] > 0.4
        assert frames.dtype == torch.float32


def test_silence_and_speech_stay_near_one():
    silence = prepare_audio(torch.zeros(8000), 8000, MEDIA)
    noise = prepare_audio(torch.rand(8000, generator=torch.Generator().manual_seed(0)) * 2 - 1, 8000, MEDIA)
    assert -2.5 < float(silence.max()) < -1
    assert -1 < float(noise.mean()) < 2.5


def test_bad_audio_is_refused():
    with pytest.raises(DataError, match="shorter than one frame"):
        prepare_audio(torch.zeros(10), 8000, MEDIA)
    with pytest.raises(DataError, match="not finite"):
        prepare_audio(torch.full((8000,), float("inf")), 8000, MEDIA)
    with pytest.raises(DataError, match="Set frame_dim=160"):
        prepare_audio(torch.zeros(8000), 8000, MediaConfig(image_token_id=1, audio_token_id=2, frame_dim=10))
