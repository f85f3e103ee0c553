"""From a model's logits to the mask of one frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from coprop.checks import is_plain
from coprop.errors import ModelOutputError
from coprop.types import FrameMask

if TYPE_CHECKING:
    from coprop.media.reader import Frame

_MOST_CLASSES = 256  # label maps are 8-bit
_SMALLEST_OBJECT = 1e-3  # share of the frame; smaller specks on a keyframe are not propagated


def check_logits(logits: object, images: Tensor) -> None:
    """Whether a keyframe model's answer is what it should be.

    Args:
        logits: what it returned, to be (K, C, H, W).
        images: (K, 3, H, W) that it was given.

    Raises:
        ModelOutputError: it is not.
    """
    if not is_plain(logits) or logits.ndim != 4:
        given = type(logits).__name__
        if isinstance(logits, Tensor) and not logits.is_nested:
            given = f"{tuple(logits.shape)} {logits.dtype}, {logits.layout} on {logits.device}"
        raise ModelOutputError(
            f"the keyframe model must return logits as a real tensor (K, C, H, W), got {given}."
        )
    expected = (len(images), logits.shape[1], *images.shape[-2:])
    if logits.shape != expected or logits.shape[1] == 0:
        count = "one frame" if len(images) == 1 else f"{len(images)} frames"
        raise ModelOutputError(
            f"the keyframe model returned logits of shape {tuple(logits.shape)} for {count} "
            f"of {images.shape[-2]} x {images.shape[-1]}; expected {expected} with C >= 1."
        )
    if logits.shape[1] > _MOST_CLASSES:
        raise ModelOutputError(
            f"the keyframe model returned {logits.shape[1]} classes; label maps are 8-bit and "
            f"hold {_MOST_CLASSES}, background included. Merge or leave out some."
        )


def as_probabilities(logits: Tensor) -> Tensor:
    """(1, C, H, W) logits -> (1, K + 1, H, W) probabilities with background first."""
    if logits.shape[1] > 1:
        return logits.softmax(dim=1)
    sounding = logits.sigmoid()
    return torch.cat([1 - sounding, sounding], dim=1)


def keyframe_mask(frame: Frame, probabilities: Tensor) -> tuple[FrameMask, Tensor]:
    """The mask at the frame's size, and the soft one as the model gave it, both without specks.

    A class that covers less than 0.1 % of the frame is no object, be it one of many or the only
    one: it would be propagated for a whole segment.
    """
    labels = probabilities.argmax(dim=1)
    counts = torch.bincount(labels.flatten(), minlength=probabilities.shape[1])
    shares = (counts / labels.numel()).tolist()
    seen = [c for c in range(1, len(shares)) if shares[c] >= _SMALLEST_OBJECT]
    if not seen and len(shares) == 2:
        return empty_mask(frame, (0, 1), is_keyframe=True), probabilities
    classes = (0, *seen)
    kept = _select(probabilities, classes)
    return frame_mask(frame, kept, classes, is_keyframe=True), kept


def whole_mask(frame: Frame, probabilities: Tensor) -> FrameMask:
    """The mask with every class that is the likeliest anywhere."""
    resized = _resized(probabilities, frame)
    labels = resized.argmax(dim=1)
    counts = torch.bincount(labels.flatten(), minlength=resized.shape[1]).tolist()
    present = [c for c in range(1, len(counts)) if counts[c]]
    classes = (0, *present) if len(counts) > 2 else (0, 1)
    return FrameMask(
        frame.index,
        frame.time_s,
        labels[0].to(torch.uint8).cpu().numpy(),
        _select(resized, classes)[0].cpu().numpy(),
        classes,
        True,
    )


def _select(probabilities: Tensor, classes: tuple[int, ...]) -> Tensor:
    """The given classes' channels, summing to one: between them each pixel is as it was."""
    kept = probabilities[:, list(classes)]
    return kept / kept.sum(dim=1, keepdim=True).clamp_min(torch.finfo(kept.dtype).tiny)


def _resized(probabilities: Tensor, frame: Frame) -> Tensor:
    size = frame.image.shape[:2]
    if probabilities.shape[-2:] == size:
        return probabilities
    return F.interpolate(probabilities, size, mode="bilinear", align_corners=False)


def frame_mask(
    frame: Frame, probabilities: Tensor, classes: tuple[int, ...], *, is_keyframe: bool
) -> FrameMask:
    """A mask at the frame's own size; thresholded once, here."""
    probabilities = _resized(probabilities, frame)
    channels = probabilities.argmax(dim=1)[0]
    labels = torch.tensor(classes, device=channels.device, dtype=torch.uint8)[channels]
    return FrameMask(
        frame.index,
        frame.time_s,
        labels.cpu().numpy(),
        probabilities[0].float().cpu().numpy(),
        classes,
        is_keyframe,
    )


def empty_mask(
    frame: Frame, classes: tuple[int, ...] = (0, 1), *, is_keyframe: bool = False
) -> FrameMask:
    """Nothing but background."""
    shape = frame.image.shape[:2]
    probabilities: NDArray[np.float32] = np.zeros((len(classes), *shape), dtype=np.float32)
    probabilities[0] = 1
    labels = np.zeros(shape, dtype=np.uint8)
    return FrameMask(frame.index, frame.time_s, labels, probabilities, classes, is_keyframe)
