"""Views of pictures, by which training's samples differ: parts of them, mirrored or not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

# Of the sides of the largest part that fits: a view is at least a third of that part's area, so
# that what sounds is seldom cut away. Chosen, not tuned.
_SMALLEST = 0.6
_MIRRORED = 0.5  # how often: a fair coin, as left and right mean the same


@dataclass(frozen=True)
class View:
    """A part of a picture, in pixels.

    Args:
        top: first row.
        left: first column.
        height: rows.
        width: columns.
        mirrored: left and right change places.
    """

    top: int
    left: int
    height: int
    width: int
    mirrored: bool = False


def whole_view(shape: tuple[int, int]) -> View:
    """All of a picture of (height, width).

    >>> whole_view((90, 160))
    View(top=0, left=0, height=90, width=160, mirrored=False)
    """
    return View(0, 0, *shape)


def random_view(shape: tuple[int, int], size: tuple[int, int], rng: np.random.Generator) -> View:
    """A part of a picture of ``shape`` with the proportions of ``size``, so nothing is distorted.

    Its sides are 0.6 to 1 of the largest that fit; half of the views are mirrored.
    """
    scale = min(shape[0] / size[0], shape[1] / size[1]) * rng.uniform(_SMALLEST, 1.0)
    height, width = (
        min(max(round(scale * side), 1), limit) for side, limit in zip(size, shape, strict=True)
    )
    top, left = (
        int(rng.integers(limit - side + 1))
        for side, limit in ((height, shape[0]), (width, shape[1]))
    )
    return View(top, left, height, width, bool(rng.random() < _MIRRORED))


def between(first: View, last: View, part: float, *, mirrored: bool) -> View:
    """The view a part, in [0, 1], of the way from one to another.

    >>> between(View(0, 0, 90, 160), View(10, 20, 50, 80), 0.5, mirrored=True)
    View(top=5, left=10, height=70, width=120, mirrored=True)
    """
    ends = zip(
        (first.top, first.left, first.height, first.width),
        (last.top, last.left, last.height, last.width),
        strict=True,
    )
    top, left, height, width = (round((1 - part) * a + part * b) for a, b in ends)
    return View(top, left, height, width, mirrored)


def see(image: Tensor, labels: Tensor, view: View, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """A picture and its mask in a view.

    Args:
        image: (3, H, W) uint8.
        labels: (H, W) uint8.
        view: the part.
        size: height and width of what is returned.

    Returns:
        (3, h, w) float in [0, 1] and (h, w) uint8.
    """
    rows = slice(view.top, view.top + view.height)
    columns = slice(view.left, view.left + view.width)
    part, mask = image[None, :, rows, columns].float() / 255, labels[None, None, rows, columns]
    if part.shape[-2:] != size:
        part = F.interpolate(part, size, mode="bilinear", antialias=True, align_corners=False)
        mask = F.interpolate(mask.float(), size, mode="nearest-exact").to(torch.uint8)
    if view.mirrored:
        part, mask = part.flip(3), mask.flip(3)
    return part[0].clamp(0, 1), mask[0, 0]
