"""Exercise 09.1, ``patchify``: its cases, and what learners get wrong."""

import torch
from einops import rearrange
from torch import Tensor

from gemini_workshop.exercises.core.battery.declaration import Battery
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Say
from gemini_workshop.exercises.core.tools import drawing, first_wrong_row, vector
from gemini_workshop.models.multimodal.patches import patchify

SHOWN = 8  # numbers of a patch


def _cases(generator: torch.Generator) -> list[Arguments]:
    draw = drawing(generator)
    return [
        (torch.arange(1.0, 9.0).view(1, 2, 4), 2),
        (torch.arange(1.0, 17.0).view(1, 4, 4), 2),
        (torch.tensor([[[1.0, 2, 3], [4, 5, 6]], [[10, 20, 30], [40, 50, 60]]]), 1),
        (draw(3, 4, 6), 2),
        (draw(2, 4, 6, 9), 3),
        (draw(5, 1, 8, 4), 4),
    ]


def _beyond(generator: torch.Generator) -> list[Arguments]:
    draw = drawing(generator)
    return [(draw(3, 32, 48), 8), (draw(2, 4, 3, 6, 4), 2)]


def _oracle(images: Tensor, patch_pixels: int) -> Tensor:
    """One patch at a time, cut out and read pixel by pixel."""
    p, (height, width) = patch_pixels, images.shape[-2:]
    patches = [
        images[..., top : top + p, left : left + p].movedim(-3, -1).flatten(-3)
        for top in range(0, height, p)
        for left in range(0, width, p)
    ]
    return torch.stack(patches, dim=-2)


def _explain(function: Function, case: Arguments) -> str | None:
    images, p = case
    got, expected = function(*case), _oracle(*case)
    size = " x ".join(map(str, images.shape))
    what = f"Images of {size}, patches of {p} {'pixel' if p == 1 else 'pixels'}"
    if got.shape != expected.shape:
        return f"{what}: shape {tuple(got.shape)}; {tuple(expected.shape)} is needed."
    found = first_wrong_row(torch.arange(expected.flatten(0, -2).shape[0]) % expected.shape[-2], got, expected)
    if found is None:
        return None
    number, row, needed = found
    begins = "is" if len(needed) <= SHOWN else "begins with"
    return f"{what}: patch {int(number)} {begins} {vector(row[:SHOWN])}; {vector(needed[:SHOWN])} is needed."


def _cut(
    images: Tensor,
    patch_pixels: int,
    *,
    side: str = "(r y) (k x)",
    order: str = "(r k)",
    inside: str = "(y x c)",
    whole: str = "",
) -> Tensor:
    """The cut as a pattern of axes: rows r and columns k of patches, pixels y and x inside each, channels c."""
    result = whole or f"{order} {inside}"
    return rearrange(images, f"... c {side} -> ... {result}", y=patch_pixels, x=patch_pixels)


def _plain(images: Tensor, patch_pixels: int) -> Tensor:
    channels, height, width = images.shape[-3:]
    p = patch_pixels
    grid = images.reshape(*images.shape[:-3], channels, height // p, p, width // p, p)
    pixels_last = grid.movedim(-2, -3).movedim(-5, -1)  # rows, columns, y, x, channels
    return pixels_last.flatten(-3).flatten(-3, -2)


def _reshaped(images: Tensor, patch_pixels: int) -> Tensor:
    return images.reshape(*images.shape[:-3], -1, images.shape[-3] * patch_pixels**2)


def _overlapping(images: Tensor, patch_pixels: int) -> Tensor:
    windows = images.unfold(-2, patch_pixels, 1).unfold(-2, patch_pixels, 1)
    return rearrange(windows, "... c r k y x -> ... (r k) (y x c)")


def _counted(images: Tensor, patch_pixels: int) -> Tensor:
    return rearrange(images, "... c (r y) (k x) -> ... (r k) (y x c)", r=patch_pixels, k=patch_pixels)


PATCHIFY = Exercise(
    id="09.1",
    minutes=8,
    difficulty=3,
    importance=5,
    reference=patchify,
    oracle=_oracle,
    cases=_cases,
    explain=_explain,
    plain=_plain,
    battery=Battery(untrained="pixels are data: what is trained comes after them", beyond=_beyond),
    misconceptions={
        "plain reshape": Say(
            "The pixels are cut into pieces in the order in which they are in memory: a patch then holds parts of a "
            "row of the image, and not a square. Split both sides first, then bring the axes together."
        ).to(_reshaped),
        "channels first": Say(
            "Inside a patch, all pixels of one channel come before those of the next. The channels of a pixel belong "
            "side by side: they are the innermost axis."
        ).to(_cut, inside="(c y x)"),
        "pixels column by column": Say(
            "Inside a patch the pixels are read column by column. They are read like a page: row by row."
        ).to(_cut, inside="(x y c)"),
        "patches column by column": Say(
            "The patches go down the columns of the image. They are counted like the words of a page: patch 1 is to "
            "the right of patch 0."
        ).to(_cut, order="(k r)"),
        "every few pixels": Say(
            "Each patch has pixels from all over the image, with gaps between them. A patch is a square of neighbors: "
            "in the split of a side, the pixels of a patch are the inner axis."
        ).to(_cut, side="(y r) (x k)"),
        "a patch for each channel": Say(
            "Each channel has patches of its own. A patch holds all channels of its pixels."
        ).to(_cut, order="(c r k)", inside="(y x)"),
        "still a grid": Say(
            "The patches are still in a grid. The model reads a sequence: one axis for all of them."
        ).to(_cut, order="r k"),
        "still squares": Say("Each patch is still a square. One vector per patch is asked for.").to(
            _cut, inside="y x c"
        ),
        "vectors in columns": Say("Each patch is a column of the result. It should be a row: one vector per token.").to(
            _cut, whole="(y x c) (r k)"
        ),
        "means": Say("Only the mean of each patch is left. That is pooling; a patch keeps all of its pixels.").to(
            lambda images, patch_pixels: patchify(images, patch_pixels).unflatten(-1, (-1, images.shape[-3])).mean(-2)
        ),
        "overlapping": Say(
            "The patches overlap: a new one begins at every pixel. They lie edge to edge, so that each pixel is in "
            "exactly one."
        ).to(_overlapping),
        "a number of patches": Say(
            "`patch_pixels` is taken for the number of patches along a side. It is the side of a patch, in pixels."
        ).to(_counted),
        "rows of patches upwards": Say(
            "The rows of patches are counted from below. Row 0 is the top of the image, as in its tensor."
        ).to(
            lambda images, patch_pixels: _cut(
                images.unflatten(-2, (-1, patch_pixels)).flip(-3).flatten(-3, -2), patch_pixels
            )
        ),
        "shifted to -1 to 1": Say(
            "The pixels are scaled as well. That is a good idea elsewhere; here they keep their values."
        ).to(lambda images, patch_pixels: 2 * patchify(images, patch_pixels) - 1),
        "first channel only": Say("Only the first channel is kept. A patch holds all channels of its pixels.").to(
            lambda images, patch_pixels: patchify(images[..., :1, :, :], patch_pixels)
        ),
    },
    hints=(
        "Draw an image of 4 x 4 pixels and number them. Which four are patch 1? Where do they lie in memory?",
        "Three steps: split height into (rows, y) and width into (columns, x); move the axes into the order rows, "
        "columns, y, x, channels; join the first two, and the last three. `einops.rearrange` does all three.",
        '`rearrange(images, "... c (r y) (k x) -> ...", y=patch_pixels, x=patch_pixels)`: behind the arrow stand the '
        "same letters, `r k` in one pair of parentheses and `y x c` in another.",
    ),
)
