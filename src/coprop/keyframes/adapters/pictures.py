"""Frames as networks of the field take them, and their logits as coprop takes them."""

from __future__ import annotations

from typing import TypeAlias

import torch.nn.functional as F
from torch import Tensor

from coprop.errors import CoPropError, ModelOutputError, ShapeError

Size: TypeAlias = tuple[int, int]
"""Height and width in pixels."""


def at_size(frames: Tensor, size: Size | None) -> Tensor:
    """(K, 3, H, W) -> (K, 3, *size): bilinear, antialiased as Pillow does it. None: as they are."""
    if size is None or frames.shape[-2:] == size:
        return frames
    return F.interpolate(frames, size, mode="bilinear", antialias=True, align_corners=False)


def at_size_in_bytes(frames: Tensor, size: Size | None) -> Tensor:
    """`at_size` with the rounding of pictures of 8 bits, as published networks' loaders resize.

    On a CPU it is Pillow's integer arithmetic (224 x 224 to 512 x 512 is equal to the bit, other
    sizes are off by a step of 255 or two in a few places). Elsewhere, where PyTorch lacks that,
    what was resized in float is rounded.
    """
    if size is None or frames.shape[-2:] == size:
        return frames
    if frames.device.type != "cpu":
        return (at_size(frames, size) * 255).round() / 255
    return at_size((frames * 255).round().byte(), size).float() / 255


def logits_at(logits: Tensor, size: Size) -> Tensor:
    """(K, C, h, w) logits -> (K, C, *size) float32, bilinear; nothing is thresholded before."""
    if logits.shape[-2:] == size:
        return logits.float()
    return F.interpolate(logits.float(), size, mode="bilinear", align_corners=False)


def check_size(size: Size | None) -> None:
    """Refuses what is not a height and a width in pixels, or None."""
    if size is None:
        return
    if len(size) != 2 or not all(isinstance(side, int) and side >= 1 for side in size):
        raise CoPropError(
            f"size must be a height and a width in pixels, such as (224, 224), got {size!r}."
        )


def check_input(frames: Tensor, audio: Tensor) -> None:
    """Refuses what is not frames (K, 3, H, W) with their sound (K, samples), K at least 1."""
    matched = audio.ndim == 2 and len(audio) == len(frames) and 0 not in audio.shape
    if frames.ndim != 4 or frames.shape[1] != 3 or 0 in frames.shape or not matched:
        raise ShapeError(
            "a keyframe model takes frames (K, 3, H, W) and audio (K, samples), got "
            f"{tuple(frames.shape)} and {tuple(audio.shape)}."
        )


def check_output(logits: object, count: int, name: str) -> Tensor:
    """The logits (count, C, h, w) that a network returned.

    Raises:
        ModelOutputError: it returned something else.
    """
    if isinstance(logits, Tensor) and logits.ndim == 4 and len(logits) == count:
        return logits
    given = f"{tuple(logits.shape)}" if isinstance(logits, Tensor) else type(logits).__name__
    raise ModelOutputError(
        f"{name} was given {count} frames and should have returned logits ({count}, C, h, w), got "
        f"{given}; where it returns several things, hand on its logits alone."
    )
