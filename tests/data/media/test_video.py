from collections import Counter

import pytest
import torch

from gemini_workshop.data.media.images import load_images
from gemini_workshop.data.media.video import generate_moving_digits, load_videos
from gemini_workshop.errors import DataError

DIRECTIONS = {  # rows count downwards
    "moves to the right": (0, 1),
    "moves to the left": (0, -1),
    "moves up": (-1, 0),
    "moves down": (1, 0),
    "stays where it is": (0, 0),
}


@pytest.fixture(scope="module")
def films():
    return generate_moving_digits(60, num_frames=5, frame_pixels=20)


def steps(video):
    """How far the middle of what is bright moves from frame to frame, in rows and columns."""
    weights = video[:, 0]
    mass = weights.sum(dim=(1, 2))
    positions = torch.arange(weights.shape[-1], dtype=torch.float32)
    rows = (weights.sum(dim=2) @ positions) / mass
    columns = (weights.sum(dim=1) @ positions) / mass
    return torch.stack([rows.diff(), columns.diff()], dim=1)


def test_the_digit_moves_as_the_caption_says(films):
    for video, caption in zip(films.videos, films.captions, strict=True):
        direction = torch.tensor(DIRECTIONS[caption[4:]], dtype=torch.float32)
        moved = steps(video)
        speed = moved[0].abs().max().round().clamp(min=1)
        torch.testing.assert_close(moved, (direction * speed).expand(4, 2), atol=1e-4, rtol=0)


def test_the_digit_is_the_one_of_the_caption_and_wholly_in_sight(films):
    digits = load_images("digits")
    for video, caption in zip(films.videos[:20], films.captions[:20], strict=True):
        of_its_kind = digits.images[digits.labels == int(caption[2])]
        for frame in video:
            windows = frame[0].unfold(0, 8, 1).unfold(1, 8, 1).reshape(-1, 1, 64)
            assert (windows == of_its_kind.reshape(1, -1, 64)).all(dim=2).any()
            assert float(frame.sum()) == pytest.approx(float(video[0].sum()))


def test_films_are_of_the_size_asked_for(films):
    assert films.videos.shape == (60, 5, 1, 20, 20)
    assert films.videos.dtype == torch.float32
    assert (films.videos.min(), films.videos.max()) == (0, 1)
    assert len(films) == len(films.captions) == 60
    assert films[3][1] == films.captions[3]


def test_the_seed_decides_and_more_films_begin_with_the_same_ones(films):
    few = generate_moving_digits(4, num_frames=5, frame_pixels=20)
    assert torch.equal(few.videos, films.videos[:4])
    assert few.captions == films.captions[:4]
    assert generate_moving_digits(4, seed=1, num_frames=5, frame_pixels=20).captions != few.captions


def test_all_motions_and_digits_occur_about_equally_often():
    captions = generate_moving_digits(500, num_frames=2, frame_pixels=9).captions
    motions = Counter(caption[4:] for caption in captions)
    assert motions.keys() == DIRECTIONS.keys()
    assert 75 < min(motions.values()) <= max(motions.values()) < 125
    assert min(Counter(caption[2] for caption in captions).values()) > 30


def test_small_is_a_hundred_films_of_eight_frames():
    small = load_videos("moving-digits", "small")
    assert small.videos.shape == (100, 8, 1, 24, 24)


def test_frames_need_room_to_move_in():
    with pytest.raises(DataError, match=r"frame_pixels=10 .* 8 pixels to take 7 steps\. Choose frame_pixels >= 15"):
        generate_moving_digits(1, frame_pixels=10)


def test_a_film_may_be_a_single_frame():
    assert generate_moving_digits(2, num_frames=1, frame_pixels=8).videos.shape == (2, 1, 1, 8, 8)
