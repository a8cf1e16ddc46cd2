import pytest
import torch

from gemini_workshop.errors import WorkshopError
from gemini_workshop.models.multimodal.patches import patch_places, patchify, stack_frames, unpatchify


def test_patches_go_row_by_row_and_so_do_their_pixels_with_channels_innermost():
    image = torch.arange(2.0 * 4 * 6).reshape(2, 4, 6)
    patches = patchify(image, 2)
    assert patches.shape == (6, 8)
    for n, (row, column) in enumerate(patch_places(2, 3).tolist()):
        pixels = [image[:, 2 * row + y, 2 * column + x].tolist() for y in range(2) for x in range(2)]
        assert torch.equal(patches[n], torch.tensor(pixels).flatten())


def test_a_convolution_whose_stride_is_its_size_is_a_product_with_patches():
    image, kernel = torch.rand(3, 8, 4, dtype=torch.float64), torch.rand(5, 3, 4, 4, dtype=torch.float64)
    by_convolution = torch.conv2d(image[None], kernel, stride=4)[0].flatten(1).T
    weight = kernel.permute(0, 2, 3, 1).flatten(1)  # of each output: rows, columns, channels
    torch.testing.assert_close(patchify(image, 4) @ weight.T, by_convolution)


def test_images_come_back_from_their_patches():
    images = torch.rand(2, 5, 3, 6, 9)
    assert torch.equal(unpatchify(patchify(images, 3), 2, 3), images)


@pytest.mark.parametrize("shape", [(3, 5, 4), (3, 4, 5)])
def test_an_image_that_leaves_a_rest_is_refused_with_its_size(shape):
    with pytest.raises(WorkshopError, match=rf"{shape[1]}x{shape[2]} pixels cannot be cut .* 2x2.*multiples of 2"):
        patchify(torch.zeros(shape), 2)


def test_places_are_rows_and_columns():
    assert patch_places(2, 3).tolist() == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]
    assert patch_places(1, 1).tolist() == [[0, 0]]


def test_frames_are_stacked_in_their_order_and_nothing_is_lost():
    frames = torch.arange(10.0).reshape(5, 2)
    assert stack_frames(frames, 2).tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 0, 0]]
    assert torch.equal(stack_frames(frames, 1), frames)
    assert stack_frames(frames[:0], 3).shape == (0, 6)
