"""Training images in many versions: shifted, turned, scaled, with less contrast or colour, or drawn in lines.

Not noisy: a patch is normalised before it is embedded, and of an empty patch with a little noise that would make a
patch as strong as one with a stroke.

One matrix says where each pixel of the result comes from. ``affine_grid`` turns it into places between -1 and 1, and
``grid_sample`` reads the image there, between pixels if need be:

    | cos -sin  x |
    | sin  cos  y |  / scale

Source: Jaderberg et al. 2015, "Spatial Transformer Networks", equation 1.
"""

import math
import random
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class Augmentation:
    """How far images may be changed; each change is drawn evenly up to these.

    Args:
        degrees: turned to the left or to the right.
        shift: moved, as a fraction of the image's size.
        scale: made larger or smaller; 0.1 is from 0.9 to 1.1.
        fade: how much contrast is taken away, at most.
        pale: how much of the colour is taken away, at most: 1 is all of it.
        lines: how many of the images are drawn in lines: black where the brightness changes, on white.
        can_flip: whether left and right may be exchanged.
    """

    degrees: float = 0.0
    shift: float = 0.0
    scale: float = 0.0
    fade: float = 0.0
    pale: float = 0.0
    lines: float = 0.0
    can_flip: bool = False


Image = Float[Tensor, "channels height width"]


def augment(image: Image, how: Augmentation, chances: random.Random) -> Image:
    """Another version of an image. What comes in from outside has the colour of its top left pixel."""
    background = image[:, :1, :1]
    moved = _moved(image - background, how, chances) * chances.uniform(1 - how.fade, 1)
    changed = (background + moved).clamp(0, 1)
    if how.pale:
        changed = changed.lerp(changed.mean(dim=0, keepdim=True), chances.uniform(0, how.pale))
    if how.lines and chances.random() < how.lines:
        changed = as_lines(changed)
    return changed


def as_lines(image: Image) -> Image:
    """The image as a pen would draw it: black where the brightness changes most from pixel to pixel, on white."""
    grey = F.pad(image.mean(dim=0)[None], [0, 1, 0, 1], mode="replicate")[0]
    right, down = grey[:-1, 1:] - grey[:-1, :-1], grey[1:, :-1] - grey[:-1, :-1]
    change = (right.square() + down.square()).sqrt()
    return (1 - change / change.max().clamp(min=1e-6)).expand_as(image)


def _moved(image: Image, how: Augmentation, chances: random.Random) -> Image:
    angle = math.radians(chances.uniform(-how.degrees, how.degrees))
    scale = chances.uniform(1 - how.scale, 1 + how.scale)
    x, y = (2 * chances.uniform(-how.shift, how.shift) for _ in range(2))
    flip = -1 if how.can_flip and chances.random() < 0.5 else 1
    cos, sin = math.cos(angle) / scale, math.sin(angle) / scale
    matrix = torch.tensor([[[flip * cos, -sin, x], [flip * sin, cos, y]]])
    grid = F.affine_grid(matrix, [1, *image.shape], align_corners=False)
    return F.grid_sample(image[None], grid, align_corners=False)[0]
