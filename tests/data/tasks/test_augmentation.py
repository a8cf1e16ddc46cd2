"""Augmented images and recordings stay what they are, and change as far as they may."""

import random

import pytest
import torch

from gemini_workshop.data.tasks.augmentation import Augmentation, as_lines, augment
from gemini_workshop.data.tasks.drawn import Draw
from gemini_workshop.data.tasks.voices import at_rate, at_tempo, varied


def several(image, how, number=30):
    return [augment(image, how, random.Random(i)) for i in range(number)]


def middle(image):
    """Row and column of the middle of what is unlike the background."""
    weight = (image - image[:, :1, :1]).abs().sum(dim=0)
    rows, columns = (torch.arange(size).float() for size in weight.shape)
    return torch.stack([weight.sum(dim=1) @ rows, weight.sum(dim=0) @ columns]) / weight.sum()


@pytest.fixture
def bar():
    """A dark bar right of the middle, on a light ground."""
    image = torch.full((3, 20, 30), 0.9)
    image[:, 7:13, 17:20] = 0.1
    return image


def test_no_augmentation_changes_nothing(bar):
    for image in several(bar, Augmentation(), 3):
        torch.testing.assert_close(image, bar)


def test_images_are_shifted_up_to_the_fraction_and_no_further(bar):
    moved = torch.stack([middle(image) - middle(bar) for image in several(bar, Augmentation(shift=0.1))])
    assert (moved.abs().amax(dim=0) <= torch.tensor([2.05, 3.05])).all()
    assert (moved.abs().amax(dim=0) > torch.tensor([1.0, 1.5])).all()


def test_images_become_larger_and_smaller(bar):
    ink = torch.tensor([float((0.9 - image).sum()) for image in several(bar, Augmentation(scale=0.2))])
    ratio = ink / (0.9 - bar).sum()
    assert 0.6 < ratio.min() < 0.85
    assert 1.15 < ratio.max() < 1.5


def test_images_are_turned_both_ways():
    image = torch.zeros(1, 21, 21)
    image[:, 10, 10:] = 1
    rows = torch.stack([middle(each)[0] for each in several(image, Augmentation(degrees=30.0))])
    assert rows.min() < 9
    assert rows.max() > 11


def test_images_are_flipped_half_of_the_time(bar):
    columns = torch.stack([middle(each)[1] for each in several(bar, Augmentation(can_flip=True), 60)])
    assert 15 < int((columns < 14).sum()) < 45
    assert sorted({round(float(column)) for column in columns}) == [11, 18]


def test_contrast_is_taken_away(bar):
    faded = [float(image.max() - image.min()) for image in several(bar, Augmentation(fade=0.5))]
    assert 0.4 <= min(faded) < max(faded) <= 0.8


def tone(hz, seconds=0.5):
    return 0.5 * torch.sin(2 * torch.pi * hz * torch.arange(round(8000 * seconds)) / 8000)


def pitch(samples):
    return float(torch.fft.rfft(samples, 8000).abs().argmax())


@pytest.mark.parametrize("rate", [0.8, 1.0, 1.25])
def test_at_another_rate_a_tone_is_shorter_and_higher(rate):
    samples = at_rate(tone(400), rate)
    assert len(samples) == pytest.approx(4000 / rate, abs=1)
    assert pitch(samples) == pytest.approx(400 * rate, abs=3)


@pytest.mark.parametrize("tempo", [0.8, 1.0, 1.25])
def test_at_another_tempo_a_tone_is_shorter_and_as_high(tempo):
    samples = at_tempo(tone(400), tempo)
    assert len(samples) == pytest.approx(4000 / tempo, abs=400)
    assert pitch(samples) == pytest.approx(400, abs=26)


def test_at_the_same_tempo_the_pieces_add_up_to_the_recording():
    samples = at_tempo(tone(400), 1.0)
    torch.testing.assert_close(samples[160:3900], tone(400)[160:3900])


def test_recordings_vary_in_length_level_and_noise():
    versions = [varied(tone(300), Draw("test", i, "train")) for i in range(60)]
    peaks = [float(each.abs().max()) for each in versions]
    lengths = [len(each) for each in versions]
    assert min(peaks) < 0.05
    assert 0.5 < max(peaks) <= 1
    assert min(lengths) < 4000 < 5000 < max(lengths)
    assert all(torch.isfinite(each).all() for each in versions)


def test_silence_can_be_varied_too():
    assert torch.isfinite(varied(torch.zeros(4000), Draw("test", 0, "train"))).all()


def test_colour_is_taken_away_from_nothing_to_all(bar):
    bar[0, 7:13, 17:20] = 0.9
    colour = [float(image.std(dim=0).max()) for image in several(bar, Augmentation(pale=1.0))]
    whole = float(bar.std(dim=0).max())
    assert min(colour) < 0.2 * whole
    assert 0.8 * whole < max(colour) <= whole + 1e-6


def test_images_in_lines_are_black_where_the_brightness_changes(bar):
    inked = [float((image < 0.2).float().mean()) for image in several(bar, Augmentation(lines=0.5), 60)]
    assert 15 < sum(share < 0.025 for share in inked) < 45  # the outline of the bar, and not the bar
    lines = as_lines(bar)
    assert (lines[:, 8:12, 18] == 1).all()
    assert (lines[:, 7:13, 16] < 0.5).all()
    torch.testing.assert_close(as_lines(torch.full((3, 5, 5), 0.4)), torch.ones(3, 5, 5))


def test_voices_become_brighter_and_duller():
    noise = torch.randn(4000, generator=torch.Generator().manual_seed(0))
    shares = []
    for i in range(40):
        strength = torch.fft.rfft(varied(noise, Draw("test", i, "train"))).abs().square()
        shares.append(float(strength[: len(strength) // 2].sum() / strength.sum()))
    assert min(shares) < 0.45
    assert max(shares) > 0.75
