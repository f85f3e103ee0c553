"""Resizing of frames as other libraries do it, in their integers where pictures are bytes.

Networks are trained on pictures that some library resized. The libraries differ, mostly where they
shrink: Pillow averages over all pixels that fall into one, OpenCV looks at the nearest four.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, TypeAlias, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from coprop.encoders.imagenet import normalised
from coprop.errors import CoPropError

Size: TypeAlias = tuple[int, int]
"""Height and width in pixels."""

Resize = Literal["opencv", "pillow", "pillow_bicubic", "torch", "torch_antialias"]
"""How frames get to a network's size.

"opencv"
    ``cv2.resize(image, size)``, bilinear and not antialiased, of bytes: the scripts of AVSBench.
"pillow"
    ``image.resize(size, BILINEAR)``, antialiased, of bytes: most loaders.
"pillow_bicubic"
    ``image.resize(size, BICUBIC)``, antialiased, of bytes.
"torch"
    ``interpolate(frames, size, mode="bilinear")``, not antialiased, of floats.
"torch_antialias"
    the same with ``antialias=True``.
"""

_PEAK = 255
_PILLOW_BITS = 22  # of Pillow's fixed-point weights
_OPENCV_BITS = 11  # of OpenCV's


def resized(frames: Tensor, size: Size | None, how: Resize) -> Tensor:
    """(K, 3, H, W) float in [0, 1] -> (K, 3, *size) float. None, or their own size: as they are.

    Where ``how`` is of bytes, frames are rounded to these, and the result is one of 256 steps.
    """
    if size is None or frames.shape[-2:] == size:
        return frames
    if how in ("torch", "torch_antialias"):
        antialias = how == "torch_antialias"
        return F.interpolate(
            frames, size, mode="bilinear", antialias=antialias, align_corners=False
        )
    # Integers of 32 bits hold every sum below, and there is no device that lacks them.
    pixels = (frames * _PEAK).round().clamp(0, _PEAK).int()
    pixels = _opencv(pixels, size) if how == "opencv" else _pillow(pixels, size, how)
    return pixels.to(frames.dtype) / _PEAK


def prepared(frames: Tensor, size: Size | None, how: Resize, *, normalise: bool = True) -> Tensor:
    """Frames in [0, 1] as networks take them: resized, and of ImageNet's mean 0 and deviation 1.

    Bytes are resized before they are normalised, floats after it, as loaders do.
    """
    if not normalise:
        return resized(frames, size, how)
    if how in ("torch", "torch_antialias"):
        return resized(normalised(frames), size, how)
    return normalised(resized(frames, size, how))


def check_size(size: Size | None) -> None:
    """Refuses what is not a height and a width in pixels, or None."""
    if size is None:
        return
    two = isinstance(size, (tuple, list)) and len(size) == 2
    if not two or not all(isinstance(side, int) and side >= 1 for side in size):
        raise CoPropError(
            f"size must be a height and a width in pixels, such as (224, 224), got {size!r}."
        )


def check_resize(how: str) -> None:
    """Refuses a way of resizing that is not known."""
    if how not in get_args(Resize):
        raise CoPropError(f"resize must be one of {get_args(Resize)}, got {how!r}.")


def _pillow(pixels: Tensor, size: Size, how: Resize) -> Tensor:
    """Pillow's ``resize``: one axis after the other, each rounded to bytes.

    Which axis Pillow takes first differs between its versions; bilinear results differ by a step.
    """
    kernel, support = (_triangle, 1.0) if how == "pillow" else (_cubic, 2.0)
    axes = [(-1, size[1]), (-2, size[0])]
    if size[0] < pixels.shape[-2] and size[1] > pixels.shape[-1]:
        axes.reverse()  # it shrinks before it enlarges
    for axis, length in axes:
        if pixels.shape[axis] != length:
            taps, weights = _pillow_taps(pixels.shape[axis], length, kernel, support)
            total = _weighted(pixels, axis, taps, weights)
            total = (total + (1 << (_PILLOW_BITS - 1))) >> _PILLOW_BITS
            pixels = total.clamp(0, _PEAK)
    return pixels


def _pillow_taps(
    old: int, new: int, kernel: Callable[[Tensor], Tensor], support: float
) -> tuple[Tensor, Tensor]:
    """For each of ``new`` pixels, which of the ``old`` ones it is made of, and their weights.

    Returns:
        Two (new, taps) integer tensors; places without a pixel have the weight 0.
    """
    scale = old / new
    stretch = max(scale, 1.0)
    centre = (torch.arange(new, dtype=torch.float64) + 0.5) * scale
    reach = support * stretch
    first = (centre - reach + 0.5).long().clamp_min(0)
    last = (centre + reach + 0.5).long().clamp_max(old)
    taps = first[:, None] + torch.arange(math.ceil(reach) * 2 + 1)
    weights = kernel((taps - centre[:, None] + 0.5) * (1 / stretch))
    weights = torch.where(taps < last[:, None], weights, 0.0)
    # Pillow adds the weights up one by one.
    weights = weights * (1 / weights.cumsum(1)[:, -1:])
    fixed = weights * (1 << _PILLOW_BITS)
    return taps.clamp_max(old - 1), (fixed + 0.5 * fixed.sign()).trunc().int()


def _triangle(x: Tensor) -> Tensor:
    return (1 - x.abs()).clamp_min(0)


def _cubic(x: Tensor) -> Tensor:
    a = -0.5  # Pillow's; PyTorch without antialiasing and OpenCV have -0.75
    x = x.abs()
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return torch.where(x < 1, near, torch.where(x < 2, far, 0.0))


def _opencv(pixels: Tensor, size: Size) -> Tensor:
    """OpenCV's ``resize`` with INTER_LINEAR."""
    height, width = pixels.shape[-2:]
    if (height, width) == (2 * size[0], 2 * size[1]):  # it takes the mean of each four then
        four = pixels[..., ::2, ::2] + pixels[..., 1::2, ::2]
        return (four + pixels[..., ::2, 1::2] + pixels[..., 1::2, 1::2] + 2) >> 2
    taps, weights = _opencv_taps(width, size[1], clamp_weights=True)
    rows = _weighted(pixels, -1, taps, weights) >> 4
    taps, weights = _opencv_taps(height, size[0], clamp_weights=False)
    upper, lower = (
        (rows.index_select(-2, taps[:, k].to(rows.device)) * _along(weights[:, k], -2, rows)) >> 16
        for k in (0, 1)
    )
    return ((upper + lower + 2) >> 2).clamp(0, _PEAK)


def _opencv_taps(old: int, new: int, *, clamp_weights: bool) -> tuple[Tensor, Tensor]:
    """For each of ``new`` pixels its two neighbours among the ``old`` ones, and their weights."""
    # Single precision, as there; the scale alone is of double precision.
    place = ((torch.arange(new, dtype=torch.float64) + 0.5) * (old / new) - 0.5).float()
    first = place.floor()
    share = place - first
    if clamp_weights:
        outside = (first < 0) | (first >= old - 1)
        share = torch.where(outside, 0.0, share)
    taps = torch.stack((first, first + 1), 1).long().clamp(0, old - 1)
    weights = torch.stack((1 - share, share), 1) * (1 << _OPENCV_BITS)
    return taps, weights.round().int()


def _weighted(pixels: Tensor, axis: int, taps: Tensor, weights: Tensor) -> Tensor:
    """Along an axis, the sum of the pixels at ``taps`` (new, k) times ``weights`` (new, k)."""
    total = torch.zeros((), dtype=pixels.dtype, device=pixels.device)
    for k in range(taps.shape[1]):
        chosen = pixels.index_select(axis, taps[:, k].to(pixels.device))
        total = total + chosen * _along(weights[:, k], axis, pixels)
    return total


def _along(values: Tensor, axis: int, like: Tensor) -> Tensor:
    shape = [1] * like.ndim
    shape[axis] = -1
    return values.to(like.device).view(shape)
