import io
import math
import wave

import numpy as np
import pytest
import torch

from gemini_workshop.data.media.wav import decode_wav, encode_wav, read_wav, resample
from gemini_workshop.errors import DataError


def sine(hz, rate, seconds=0.25, phase=0.3):
    return torch.sin(2 * math.pi * hz * torch.arange(round(rate * seconds), dtype=torch.float64) / rate + phase)


def wav(samples, width, channels=1, rate=8000):
    """The bytes of a wav file with these whole numbers."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((channels, width, rate, 0, "NONE", "not compressed"))
        sound.writeframes(b"".join(int(n).to_bytes(width, "little", signed=width > 1) for n in samples))
    return file.getvalue()


@pytest.mark.parametrize(
    ("width", "numbers"),
    [
        (1, [128, 255, 0, 192]),
        (2, [0, 2**15 - 1, -(2**15), 2**14]),
        (3, [0, 2**23 - 1, -(2**23), 2**22]),
        (4, [0, 2**31 - 1, -(2**31), 2**30]),
    ],
)
def test_whole_numbers_of_any_width_lie_between_minus_one_and_one(width, numbers):
    samples, rate = decode_wav(wav(numbers, width))
    assert rate == 8000
    assert samples.dtype == torch.float32
    torch.testing.assert_close(samples, torch.tensor([0, 1 - 2.0 ** (1 - 8 * width), -1, 0.5]))


def test_channels_are_averaged():
    samples, _ = decode_wav(wav([2**14, 0, -(2**14), -(2**14), 0, 2**13], 2, channels=2))
    assert samples.tolist() == [0.25, -0.5, 0.125]


def test_a_sound_survives_being_written(tmp_path):
    samples = torch.cat(
        [torch.rand(999, generator=torch.Generator().manual_seed(0)) * 2 - 1, torch.tensor([-1.0, 1.0])]
    )
    (tmp_path / "sound.wav").write_bytes(encode_wav(samples, 11_025))
    again, rate = read_wav(tmp_path / "sound.wav")
    assert rate == 11_025
    assert (again - samples).abs().max() <= 2**-15
    assert torch.equal(decode_wav(encode_wav(again, rate))[0], again)


def test_what_is_too_loud_is_not_written():
    with pytest.raises(DataError, match=r"The loudest sample is 1\.5\. Samples must lie in \[-1, 1\]"):
        encode_wav(torch.tensor([0.0, -1.5]), 8000)
    with pytest.raises(DataError, match="The loudest sample is nan"):
        encode_wav(torch.tensor([math.nan]), 8000)


def test_another_file_is_an_error_that_names_it(tmp_path):
    (tmp_path / "x.wav").write_bytes(b"ID3 this is an mp3 file, which wave cannot read")
    with pytest.raises(DataError, match=r"x\.wav is not a wav file that can be read: .*Convert it to 16-bit PCM"):
        read_wav(tmp_path / "x.wav")


def test_a_sound_cut_off_is_an_error():
    with pytest.raises(DataError, match=r"is cut off: it has 194 of 244 bytes"):
        decode_wav(wav(range(100), 2)[:-50])


@pytest.mark.parametrize(
    ("old", "new"), [(8000, 16_000), (16_000, 8000), (44_100, 16_000), (11_025, 8000), (1000, 1001)]
)
@pytest.mark.parametrize("share", [0.05, 0.5, 0.85])
def test_a_tone_that_both_rates_hold_stays_the_same(old, new, share):
    hz = share * min(old, new) / 2
    resampled, expected = resample(sine(hz, old), old, new), sine(hz, new)
    assert abs(len(resampled) - len(expected)) <= 1
    margin = 40 * math.ceil(new / old)  # at its ends a sound meets silence
    inner = slice(margin, len(expected) - margin)
    torch.testing.assert_close(resampled[inner], expected[inner], atol=2e-3, rtol=0)


def test_a_tone_that_the_lower_rate_cannot_hold_is_removed():
    resampled = resample(sine(5000, 16_000), 16_000, 8000)
    assert resampled[100:-100].abs().max() < 2e-3


def test_silence_and_a_constant_stay():
    constant = resample(torch.full((4000,), 0.5), 44_100, 16_000)
    torch.testing.assert_close(constant[50:-50], torch.full_like(constant[50:-50], 0.5), atol=1e-4, rtol=0)
    assert len(resample(torch.zeros(0), 8000, 16_000)) == 0


def test_the_length_is_that_of_the_same_time():
    assert len(resample(torch.zeros(441), 44_100, 16_000)) == 160
    assert len(resample(torch.zeros(442), 44_100, 16_000)) == 161
    assert len(resample(torch.zeros(1), 8000, 16_000)) == 2


def test_the_same_rate_changes_nothing():
    samples = sine(440, 8000)
    assert resample(samples, 8000, 8000) is samples


def test_a_rate_must_be_positive():
    with pytest.raises(DataError, match="Sample rates 8000 and 0 are given"):
        resample(torch.zeros(5), 8000, 0)


@pytest.mark.parametrize(("seconds", "rate", "channels"), [(301, 1000, 1), (2, 768_000, 22)])
def test_audio_that_is_too_long_is_refused_before_it_becomes_floats(seconds, rate, channels):
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((channels, 1, rate, 0, "NONE", ""))
        sound.writeframes(bytes(seconds * rate * channels))
    with pytest.raises(DataError, match=rf"talk.wav has {seconds} s of audio, {seconds * rate * channels:,} numbers"):
        decode_wav(file.getvalue(), "talk.wav")


def test_a_rate_without_a_common_divisor_needs_no_filter_of_gigabytes(monkeypatch):
    taps = []
    firwin = "gemini_workshop.data.media.wav.firwin"
    monkeypatch.setattr(firwin, lambda number, *cutoff, **kind: taps.append(number) or np.ones(1))
    resampled = resample(torch.zeros(767_999), 767_999, 8000)
    assert taps[0] <= 2 * 32 * 10_000 + 1
    assert len(resampled) == 8000
