"""What one token of a medium is: a patch of an image, a few frames of a recording."""

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from gemini_workshop.errors import WorkshopError


def patchify(images: Float[Tensor, "*I channels height width"], patch_pixels: int) -> Float[Tensor, "*I N P"]:
    """Cut images into squares, row by row; each becomes a vector of its pixels, row by row, the channels innermost.

        patchify(4 x 4 image, 2)      0 0 1 1
                                      0 0 1 1        patches 0, 1, 2, 3, of 4 pixels each
                                      2 2 3 3
                                      2 2 3 3

    Source: Dosovitskiy et al. 2020, arXiv:2010.11929, section 3.1, equation 1.

    Raises:
        WorkshopError: height or width is not a multiple of ``patch_pixels``.
    """
    height, width = images.shape[-2:]
    if height % patch_pixels or width % patch_pixels:
        raise WorkshopError(
            f"An image of {height}x{width} pixels cannot be cut into patches of {patch_pixels}x{patch_pixels}. "
            f"Pad it to multiples of {patch_pixels}."
        )
    return rearrange(images, "... c (rows y) (columns x) -> ... (rows columns) (y x c)", y=patch_pixels, x=patch_pixels)


def unpatchify(
    patches: Float[Tensor, "*I N P"], num_rows: int, patch_pixels: int
) -> Float[Tensor, "*I channels height width"]:
    """The images that :func:`patchify` has cut."""
    return rearrange(
        patches,
        "... (rows columns) (y x c) -> ... c (rows y) (columns x)",
        rows=num_rows,
        y=patch_pixels,
        x=patch_pixels,
    )


def patch_places(num_rows: int, num_columns: int) -> Int[Tensor, "N 2"]:
    """Row and column of each patch, in the order of :func:`patchify`.

    Example:
        >>> patch_places(2, 2).tolist()
        [[0, 0], [0, 1], [1, 0], [1, 1]]
    """
    return torch.cartesian_prod(torch.arange(num_rows), torch.arange(num_columns)).reshape(-1, 2)


def stack_frames(frames: Float[Tensor, "N bands"], num_stacked: int) -> Float[Tensor, "M stacked"]:
    """Lay neighboring frames side by side, so that one token covers ``num_stacked`` of them.

    The last frames are filled up with the recording's quietest value, so that nothing that was heard is lost.

    Example:
        >>> stack_frames(torch.tensor([[1.0], [2.0], [3.0]]), 2).tolist()
        [[1.0, 2.0], [3.0, 1.0]]
    """
    missing = -len(frames) % num_stacked
    silence = frames.new_full((missing, frames.shape[1]), float(frames.min()) if len(frames) else 0.0)
    return torch.cat([frames, silence]).reshape(-1, num_stacked * frames.shape[1])
