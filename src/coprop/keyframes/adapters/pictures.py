"""Frames as networks of the field take them, and their logits as coprop takes them."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from coprop.checks import is_plain
from coprop.errors import ModelOutputError, ShapeError
from coprop.keyframes.adapters.resizing import Size


def logits_at(logits: Tensor, size: Size) -> Tensor:
    """(K, C, h, w) logits -> (K, C, *size) float32, bilinear; nothing is thresholded before."""
    if logits.shape[-2:] == size:
        return logits.float()
    return F.interpolate(logits.float(), size, mode="bilinear", align_corners=False)


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
    if is_plain(logits) and logits.ndim == 4 and len(logits) == count:
        return logits
    given = f"{tuple(logits.shape)}" if isinstance(logits, Tensor) else type(logits).__name__
    raise ModelOutputError(
        f"{name} was given {count} frames and should have returned logits ({count}, C, h, w), got "
        f"{given}; where it returns several things, hand on its logits alone, and where "
        "it takes clips of T frames, give CallableSegmenter frames_per_call=T."
    )
