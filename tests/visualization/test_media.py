import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from gemini_workshop.visualization.media import image_grid, mel_spectrogram, video_strip


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def shown(axes):
    return np.asarray(axes.images[0].get_array())


def test_each_picture_stands_over_its_caption():
    images = torch.rand(5, 3, 4, 6, generator=torch.Generator().manual_seed(0))
    captions = ["a", "b", "c", "d", "a caption that is much too long to be shown below a small picture"]
    figure = image_grid(images, captions, columns=3, title="Pictures")
    filled = [axes for axes in figure.axes if axes.images]
    assert len(figure.axes) == 6
    assert len(filled) == 5
    np.testing.assert_array_equal(shown(filled[3]), images[3].movedim(0, 2))
    assert [axes.get_xlabel() for axes in filled][:4] == captions[:4]
    assert filled[4].get_xlabel().count("\n") == 1
    assert filled[4].get_xlabel().endswith("…")


def test_grey_pictures_are_grey_from_black_to_white():
    (axes,) = image_grid(torch.full((1, 1, 4, 6), 0.5), ["half"]).axes
    assert shown(axes).shape == (4, 6)
    assert axes.images[0].get_clim() == (0, 1)
    assert axes.images[0].get_cmap().name == "gray"


def test_a_spectrogram_has_time_to_the_right_and_high_bands_above():
    log_mel = torch.rand(50, 8, generator=torch.Generator().manual_seed(0))
    axes, bar = mel_spectrogram(log_mel, 0.01, "A sound").axes
    np.testing.assert_array_equal(shown(axes), log_mel.T)
    assert axes.get_xlim() == (0, 0.5)
    assert axes.get_ylim() == (0, 8)
    assert (axes.get_xlabel(), axes.get_title(loc="left") or axes.get_title()) == ("time (seconds)", "A sound")
    assert bar.get_ylabel() == "ln of the magnitude"


def test_a_video_strip_shows_the_time_of_each_frame():
    frames = torch.rand(4, 1, 5, 6, generator=torch.Generator().manual_seed(0))
    figure = video_strip(frames, 4.0, "a 3 moves up")
    assert [axes.get_xlabel() for axes in figure.axes] == ["0.00 s", "0.25 s", "0.50 s", "0.75 s"]
    for axes, frame in zip(figure.axes, frames, strict=True):
        np.testing.assert_array_equal(shown(axes), frame[0])
