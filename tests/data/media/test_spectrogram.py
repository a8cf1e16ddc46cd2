import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gemini_workshop.data.media.spectrogram import (
    EIGHT_KILOHERTZ,
    MelConfig,
    hann_window,
    hz_to_mel,
    log_mel_frames,
    mel_filters,
    mel_to_hz,
    stft_magnitudes,
)
from gemini_workshop.errors import ConfigError, DataError

CONFIGS = {
    "Gemma 4": MelConfig(),
    "8 kHz": EIGHT_KILOHERTZ,
    "Slaney": MelConfig(
        num_bands=80, scale="slaney", is_area_normalised=True, power=2.0, fft_samples=400, window_samples=400
    ),
    "part of the range": MelConfig(num_bands=23, low_hz=125.0, high_hz=7600.0, scale="slaney"),
    "hop over a window": MelConfig(num_bands=30, hop_samples=500, fft_samples=1024, is_area_normalised=True),
}


def noise(num_samples, dtype=torch.float64):
    return torch.randn(num_samples, generator=torch.Generator().manual_seed(0), dtype=dtype)


def theirs(samples, config):
    """The spectrogram of transformers' independent implementation."""
    audio_utils = pytest.importorskip("transformers.audio_utils")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that narrow bands hold no frequency
        filters = audio_utils.mel_filter_bank(
            num_frequency_bins=config.fft_samples // 2 + 1,
            num_mel_filters=config.num_bands,
            min_frequency=config.low_hz,
            max_frequency=config.high_hz,
            sampling_rate=config.sample_rate,
            norm="slaney" if config.is_area_normalised else None,
            mel_scale=config.scale,
        )
    mel = audio_utils.spectrogram(
        samples.numpy(),
        window=audio_utils.window_function(config.window_samples, "hann"),
        frame_length=config.window_samples,
        hop_length=config.hop_samples,
        fft_length=config.fft_samples,
        power=config.power,
        center=False,
        mel_filters=filters,
        mel_floor=0.0,
        dtype=np.float64,
    )
    return filters, np.log(mel.T + config.floor)


@pytest.mark.parametrize("name", CONFIGS)
def test_spectrograms_equal_an_independent_implementation(name):
    config = CONFIGS[name]
    samples = noise(config.sample_rate // 4)
    filters, expected = theirs(samples, config)
    ours = log_mel_frames(samples, config)
    assert ours.dtype == torch.float64
    np.testing.assert_allclose(mel_filters(config), filters, atol=1e-12)
    np.testing.assert_allclose(ours, expected, atol=2e-6)  # theirs keeps its FFT in complex64


def test_spectrograms_equal_those_of_gemma_4():
    gemma4 = pytest.importorskip("transformers.models.gemma4.feature_extraction_gemma4")
    samples = noise(8000, torch.float32)
    features = gemma4.Gemma4AudioFeatureExtractor()([samples.numpy()], return_tensors="np")
    theirs = features["input_features"][0][features["input_features_mask"][0]]
    ours = log_mel_frames(torch.cat([torch.zeros(160), samples]), MelConfig())
    assert len(ours) - len(theirs) in (0, 1)
    np.testing.assert_allclose(ours[: len(theirs)], theirs, atol=1e-4)  # theirs is computed in float32


def test_magnitudes_are_those_of_the_definition():
    samples = noise(40)
    magnitudes = stft_magnitudes(samples, window_samples=10, hop_samples=7, fft_samples=16)
    assert magnitudes.shape == (5, 9)
    for frame, bin in [(0, 0), (2, 3), (4, 8)]:
        total = sum(
            complex(samples[frame * 7 + n] * (1 - math.cos(2 * math.pi * n / 10)) / 2)
            * np.exp(-2j * math.pi * bin * n / 16)
            for n in range(10)
        )
        assert float(magnitudes[frame, bin]) == pytest.approx(abs(total), abs=1e-12)


def test_windows_half_a_window_apart_add_up_to_one():
    window = hann_window(320)
    torch.testing.assert_close(window[:160] + window[160:], torch.ones(160, dtype=torch.float64))


def test_a_tone_is_loudest_in_the_band_of_its_frequency():
    config = EIGHT_KILOHERTZ
    edges = mel_to_hz(torch.linspace(0, float(hz_to_mel(torch.tensor(4000.0), "htk")), 42), "htk")
    for hz in (300.0, 1000.0, 2500.0):
        tone = torch.sin(2 * math.pi * hz * torch.arange(800) / 8000)
        band = int(log_mel_frames(tone, config).mean(dim=0).argmax())
        assert edges[band] <= hz <= edges[band + 2]


def test_a_frame_knows_nothing_of_samples_outside_it():
    samples = noise(1600)
    before = log_mel_frames(samples, MelConfig())
    changed = samples.clone()
    changed[480:] = 0
    after = log_mel_frames(changed, MelConfig())
    assert torch.equal(before[:2], after[:2])
    assert not torch.allclose(before[2], after[2])


def test_silence_is_the_floor():
    frames = log_mel_frames(torch.zeros(640), MelConfig())
    assert frames.shape == (3, 128)
    torch.testing.assert_close(frames, torch.full((3, 128), math.log(1e-3)))


def test_a_second_has_about_a_hundred_frames():
    assert len(log_mel_frames(torch.zeros(16_000), MelConfig())) == 99
    assert len(log_mel_frames(torch.zeros(320), MelConfig())) == 1


def test_a_sound_shorter_than_a_frame_is_an_error():
    with pytest.raises(DataError, match="319 samples are shorter than one frame of window_samples=320"):
        log_mel_frames(torch.zeros(319), MelConfig())


@given(st.floats(0, 20_000), st.sampled_from(["htk", "slaney"]))
def test_a_pitch_has_one_frequency(hz, scale):
    tensor = torch.tensor([hz], dtype=torch.float64)
    torch.testing.assert_close(mel_to_hz(hz_to_mel(tensor, scale), scale), tensor, atol=1e-6, rtol=1e-9)


def test_known_pitches():
    assert float(hz_to_mel(torch.tensor(1000.0, dtype=torch.float64), "htk")) == pytest.approx(1000, abs=0.02)
    slaney = hz_to_mel(torch.tensor([500.0, 1000.0, 6400.0], dtype=torch.float64), "slaney")
    assert slaney.tolist() == pytest.approx([7.5, 15, 42])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fft_samples": 256}, r"fft_samples=256 does not hold window_samples=320. Choose the next power of two, 512"),
        ({"high_hz": 9000.0}, r"low_hz=0 to high_hz=9000 .* half of sample_rate=16000. Choose high_hz=8000 at most"),
        ({"low_hz": 8000.0}, r"low_hz=8000 to high_hz=8000 must lie in order"),
        ({"hop_samples": 0}, r"hop_samples=0.* must all be at least 1"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        replace(MelConfig(), **change)
