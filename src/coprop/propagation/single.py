"""What propagators for one video at a time have in common: their checks, and their frames."""

from __future__ import annotations

from torch import Tensor

from coprop.errors import ShapeError
from coprop.propagation.checks import (
    as_mask,
    as_tensor,
    check_frame,
    check_mask,
    check_output_size,
)
from coprop.propagation.masks import Size


def check_start(frame: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """A frame and its mask as tensors, of what `as_mask` takes.

    Raises:
        ShapeError: other than a frame (1, 3, H, W) in [0, 1] and a mask with B = 1.
    """
    frame, mask = as_tensor(frame, "the frame"), as_mask(mask)
    _check_one(frame)
    check_mask(mask, 1, None)
    return frame, mask


def check_step(frame: Tensor, output_size: Size | None) -> tuple[Tensor, Size]:
    """A frame as tensor, and the size of its logits.

    Raises:
        ShapeError: other than a frame (1, 3, H, W) in [0, 1].
    """
    frame = as_tensor(frame, "the frame")
    _check_one(frame)
    check_output_size(output_size)
    return frame, output_size or (frame.shape[-2], frame.shape[-1])


def _check_one(frame: Tensor) -> None:
    check_frame(frame)
    if frame.shape[0] != 1:
        raise ShapeError(
            f"this propagator follows one video at a time, but the frame has B = {frame.shape[0]}; "
            "give each video its own start() and step()."
        )
