"""Frames as networks are shown them: on the device, at the size at which they are looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from coprop.media.reader import Frame

Size = tuple[int, int]
"""(height, width) in pixels."""


def bounded_size(height: int, width: int, longest: int) -> Size:
    """The size with its longer side at most ``longest`` pixels."""
    scale = min(longest / max(height, width), 1)
    return max(round(height * scale), 1), max(round(width * scale), 1)


def image_of(frame: Frame, device: torch.device, size: Size) -> Tensor:
    """(1, 3, *size) float RGB in [0, 1]; bilinear where the frame has another size."""
    image = _pixels(frame, device).float() / 255
    if image.shape[-2:] == size:
        return image
    return F.interpolate(image, size, mode="bilinear", antialias=True, align_corners=False)


def quick_image_of(
    frame: Frame, device: torch.device, size: Size, mode: Literal["bilinear", "bicubic"]
) -> Tensor:
    """`image_of`, to two steps of the pixels' 256.

    On CPUs the pixels are resized as 8-bit numbers, which takes a tenth of the time.
    """
    pixels = _pixels(frame, device)
    if pixels.shape[-2:] != size:
        if device.type != "cpu":  # elsewhere torch resizes floats alone
            pixels = pixels.float()
        pixels = F.interpolate(pixels, size, mode=mode, antialias=True, align_corners=False)
    image = pixels.to(torch.float32, memory_format=torch.contiguous_format) / 255
    return image.clamp_(0, 1)  # bicubic overshoots at edges


def mask_at(mask: Tensor, image: Tensor) -> Tensor:
    """(1, C, H, W) probabilities at the size of an image, as the propagator resizes them itself.

    Here that is done in float32, in whatever precision the propagator computes.
    """
    if mask.shape[-2:] == image.shape[-2:]:
        return mask
    return F.interpolate(mask, image.shape[-2:], mode="bilinear", antialias=True)


def _pixels(frame: Frame, device: torch.device) -> Tensor:
    """(1, 3, H, W) uint8 on the device: a quarter of what floats would take to get there."""
    image = torch.tensor(frame.image, device=device)  # a copy: arrays may be read-only
    return image.permute(2, 0, 1).unsqueeze(0)
