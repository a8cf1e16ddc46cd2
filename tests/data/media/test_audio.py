import os
import zipfile

import pytest
import torch

from gemini_workshop.data.corpora import MIRROR_VARIABLE, Edition, corpus_names, find_corpus
from gemini_workshop.data.media.audio import AUDIO_READERS, generate_dial_tones, load_audio
from gemini_workshop.data.media.dial_tones import (
    KEYS,
    PAUSE_SECONDS,
    SAMPLE_RATE,
    TONE_SECONDS,
    dial,
    key_frequencies,
)
from gemini_workshop.data.media.spectrogram import EIGHT_KILOHERTZ, hz_to_mel, log_mel_frames, mel_to_hz
from gemini_workshop.data.media.wav import encode_wav
from gemini_workshop.errors import DataError

ROWS_HZ, COLUMNS_HZ = (697, 770, 852, 941), (1209, 1336, 1477)  # as Q.23 states them


def heard_keys(samples):
    """The keys of a dialled number, by the strongest low and the strongest high frequency of each tone's spectrum."""
    period = round((TONE_SECONDS + PAUSE_SECONDS) * SAMPLE_RATE)
    tones = samples.reshape(-1, period)[:, : round(TONE_SECONDS * SAMPLE_RATE)]
    spectra = torch.fft.rfft(tones, SAMPLE_RATE).abs()  # one bin a hertz
    rows = spectra[:, list(ROWS_HZ)].argmax(dim=1)
    columns = spectra[:, list(COLUMNS_HZ)].argmax(dim=1)
    return "".join(KEYS[row * 3 + column] for row, column in zip(rows.tolist(), columns.tolist(), strict=True))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_each_key_has_its_two_frequencies():
    for i, key in enumerate("123456789*0#"):
        assert key_frequencies(key) == (ROWS_HZ[i // 3], COLUMNS_HZ[i % 3])


@pytest.mark.parametrize("noise", [0.0, 0.05, 0.5])
def test_what_was_dialled_can_be_heard_through_the_noise(noise):
    for seed in range(20):
        assert heard_keys(dial(KEYS, generator(seed), noise=noise)) == KEYS


def test_too_much_noise_drowns_the_keys():
    assert heard_keys(dial(KEYS * 5, generator(), noise=100.0)) != KEYS * 5


def test_a_tone_has_no_other_strong_frequency():
    sound = dial("5", generator(), noise=0.0)[: round(TONE_SECONDS * SAMPLE_RATE)]
    spectrum = torch.fft.rfft(sound, SAMPLE_RATE).abs()
    strongest = spectrum.max()
    for hz in (770, 1336):
        spectrum[hz - 40 : hz + 40] = 0
    assert spectrum.max() < 0.1 * strongest


def test_dialling_stays_within_the_range_and_depends_on_the_generator():
    sound = dial(KEYS, generator())
    assert sound.dtype == torch.float32
    assert sound.abs().max() <= 1
    assert torch.equal(sound, dial(KEYS, generator()))
    assert not torch.equal(sound, dial(KEYS, generator(1)))


def test_what_is_no_key_cannot_be_dialled():
    with pytest.raises(DataError, match=r"no key 'A'\. Its keys are 123456789\*0#"):
        dial("12A", generator())
    with pytest.raises(DataError, match="There are no keys to dial"):
        dial("", generator())


def test_dial_tones_are_captioned_with_what_was_dialled():
    clips = load_audio("dial-tones", "small")
    assert len(clips) == 100
    for sound in clips:
        assert sound.sample_rate == SAMPLE_RATE
        assert sound.caption == f"someone dials {' '.join(heard_keys(sound.samples))}"
    assert len({sound.caption for sound in clips}) > 95


def test_more_dial_tones_begin_with_the_same_ones():
    few, many, others = generate_dial_tones(3), generate_dial_tones(5), generate_dial_tones(3, seed=1)
    assert [sound.caption for sound in few] == [sound.caption for sound in many[:3]]
    assert torch.equal(few[2].samples, many[2].samples)
    assert [sound.caption for sound in few] != [sound.caption for sound in others]


def test_a_spectrogram_of_a_dial_tone_peaks_at_its_two_frequencies():
    sound = dial("1", generator(), noise=0.0)
    frames = log_mel_frames(sound, EIGHT_KILOHERTZ)[2:8].mean(dim=0)
    peaks = [i for i in range(1, 39) if frames[i - 1] < frames[i] > frames[i + 1]]
    mels = torch.linspace(0, float(hz_to_mel(torch.tensor(4000.0), "htk")), 42)
    edges = mel_to_hz(mels, "htk")
    for peak, hz in zip(sorted(sorted(peaks, key=lambda i: -frames[i])[:2]), key_frequencies("1"), strict=True):
        assert edges[peak] < hz < edges[peak + 2]


def test_spoken_digits_come_take_by_take(tmp_path):
    archive = tmp_path / "recordings.zip"
    with zipfile.ZipFile(archive, "w") as files:
        for name in ("0_theo_10.wav", "0_theo_9.wav", "1_george_9.wav", "0_george_9.wav"):
            files.writestr(f"free-spoken-digit-dataset/recordings/{name}", encode_wav(torch.zeros(80), 8000))
        files.writestr("free-spoken-digit-dataset/README.md", "About")
    clips = AUDIO_READERS["spoken-digits"](Edition(num_items=3), [archive])
    assert [(sound.caption, sound.speaker) for sound in clips] == [
        ("someone says 0", "george"),
        ("someone says 1", "george"),
        ("someone says 0", "theo"),
    ]


def test_spoken_digits_of_two_archives_come_take_by_take_too(tmp_path):
    for archive, take in ("more.zip", 30), ("first.zip", 7):
        with zipfile.ZipFile(tmp_path / archive, "w") as files:
            files.writestr(f"1_theo_{take}.wav", encode_wav(torch.full((take,), 0.5), 8000))
    clips = AUDIO_READERS["spoken-digits"](Edition(), [tmp_path / "more.zip", tmp_path / "first.zip"])
    assert [len(clip.samples) for clip in clips] == [7, 30]


def test_an_archive_without_recordings_is_an_error(tmp_path):
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as files:
        files.writestr("README.md", "About")
    with pytest.raises(DataError, match=r"empty\.zip holds no recordings called DIGIT_SPEAKER_TAKE\.wav"):
        AUDIO_READERS["spoken-digits"](Edition(), [tmp_path / "empty.zip"])


def test_every_corpus_of_sounds_has_a_reader():
    assert {find_corpus(name).reader for name in corpus_names("audio")} == set(AUDIO_READERS)


@pytest.mark.skipif(not os.environ.get(MIRROR_VARIABLE), reason=f"{MIRROR_VARIABLE} is not set")
def test_spoken_digits_of_the_mirror():
    assert len(load_audio("spoken-digits")) == 1800
    clips = load_audio("spoken-digits", "small")
    assert len(clips) == 100
    assert {sound.caption for sound in clips} == {f"someone says {digit}" for digit in range(10)}
    assert {sound.speaker for sound in clips} == {"george", "jackson", "nicolas", "theo"}
    assert all(sound.sample_rate == 8000 and 0.1 < len(sound.samples) / 8000 < 3 for sound in clips)
