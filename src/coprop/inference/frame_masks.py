"""From a model's answer to the mask of one frame.

Masks stay at the size that the network gave. Labels are made from it once, at the frame's size;
probabilities, many times as large, when somebody asks for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from coprop.errors import ModelOutputError
from coprop.media.frame_images import Size
from coprop.types import FrameMask
from coprop.utils.brief import Brief
from coprop.utils.checks import is_plain

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
    expected = (len(images), max(logits.shape[1], 1), *images.shape[-2:])
    if logits.shape != expected:
        count = "one frame" if len(images) == 1 else f"{len(images)} frames"
        raise ModelOutputError(
            f"the keyframe model returned logits of shape {tuple(logits.shape)} for {count} "
            f"of {images.shape[-2]} x {images.shape[-1]}; expected {expected} with C >= 1. "
            "torch.nn.functional.interpolate(logits, frames.shape[-2:]) resizes them."
        )
    if logits.shape[1] > _MOST_CLASSES:
        raise ModelOutputError(
            f"the keyframe model returned {logits.shape[1]} classes; label maps are 8-bit and "
            f"hold {_MOST_CLASSES}, background included. Merge or leave out some."
        )


def as_probabilities(logits: Tensor) -> Tensor:
    """(K, C, H, W) logits -> (K, max(C, 2), H, W) probabilities with background first."""
    if logits.shape[1] > 1:
        return logits.softmax(dim=1)
    sounding = logits.sigmoid()
    return torch.cat([1 - sounding, sounding], dim=1)


def likeliest(values: Tensor) -> Tensor:
    """(K, C, H, W) -> (K, H, W) uint8: the channel of the highest value, the first of equals.

    >>> likeliest(torch.tensor([0.2, 0.5, 0.5]).view(1, 3, 1, 1)).item()
    1
    """
    # Not argmax: over the channels of a map it takes 15 times as long on a CPU.
    return values.max(dim=1).indices.to(torch.uint8)


@dataclass(frozen=True, eq=False, repr=False)
class SoftMask(Brief):
    """A frame's soft mask as the network gave it.

    Args:
        values: (1, C, h, w) probabilities, or logits.
        size: of the frame.
        are_logits: which of the two.
        corners_aligned: whether the outer pixels of both sizes lie on one another, as those of
            the propagator's grids do.
    """

    values: Tensor
    size: Size
    are_logits: bool = False
    corners_aligned: bool = False

    def channels(self) -> NDArray[np.uint8]:
        """(H, W) the likeliest channel at the frame's size."""
        if self.values.shape[1] == 2:
            found = self._resized(self._difference())[0, 0] > 0
            return np.asarray(found.cpu().numpy().view(np.uint8))
        return np.asarray(likeliest(self._resized(self.values))[0].cpu().numpy())

    def probabilities(self) -> NDArray[np.float32]:
        """(C, H, W) at the frame's size."""
        if not self.are_logits:
            soft = self._resized(self.values)
        elif self.values.shape[1] == 2:  # of the numbers that the channels are told by
            sounding = self._resized(self._difference()).sigmoid()
            soft = torch.cat([1 - sounding, sounding], dim=1)
        else:
            soft = self._resized(self.values).softmax(dim=1)
        return np.asarray(soft[0].float().cpu().numpy())

    def _difference(self) -> Tensor:
        """(1, 1, h, w): of two channels, one map tells all."""
        return self.values[:, 1:] - self.values[:, :1]

    def _resized(self, x: Tensor) -> Tensor:
        if x.shape[-2:] == self.size:
            return x
        return F.interpolate(x, self.size, mode="bilinear", align_corners=self.corners_aligned)


def keyframe_mask(frame: Frame, probabilities: Tensor) -> tuple[FrameMask, Tensor]:
    """The mask at the frame's size, and the soft one as the model gave it, both without specks.

    A class that covers less than 0.1 % of the frame is no object, be it one of many or the only
    one: it would be propagated for a whole segment.
    """
    channels = likeliest(probabilities)
    counts = torch.bincount(channels.flatten(), minlength=probabilities.shape[1])
    shares = (counts / channels.numel()).tolist()
    seen = [c for c in range(1, len(shares)) if shares[c] >= _SMALLEST_OBJECT]
    if not seen and len(shares) == 2:
        return empty_mask(frame, (0, 1), is_keyframe=True), probabilities
    classes = (0, *seen)
    kept = _select(probabilities, classes)
    soft = SoftMask(kept, _size_of(frame))
    return frame_mask(frame, soft, classes, is_keyframe=True), kept


def given_mask(frame: Frame, labels: NDArray[np.uint8]) -> tuple[FrameMask, Tensor]:
    """A keyframe's mask that is supplied, (H, W) labels, to the last pixel; and as a soft one."""
    classes = (0, *(int(label) for label in np.unique(labels) if label))
    if len(classes) == 1:
        return empty_mask(frame, (0, 1), is_keyframe=True), torch.zeros(1, 2, *labels.shape)
    channels = torch.from_numpy(np.stack([labels == label for label in classes]))
    kept = channels.float().unsqueeze(0)
    soft = SoftMask(kept, _size_of(frame))
    return frame_mask(frame, soft, classes, is_keyframe=True), kept


def whole_mask(frame: Frame, probabilities: Tensor) -> FrameMask:
    """The mask with every class that is the likeliest anywhere."""
    soft = SoftMask(probabilities, _size_of(frame))
    channels = soft.channels()
    counts = np.bincount(channels.ravel(), minlength=probabilities.shape[1])
    present = [int(c) for c in np.flatnonzero(counts) if c]
    classes = (0, *present) if len(counts) > 2 else (0, 1)
    mask = FrameMask(frame.index, frame.time_s, channels, None, classes, True)
    return mask.with_probabilities_by(partial(_probabilities_among, soft, classes))


def frame_mask(
    frame: Frame, soft: SoftMask, classes: tuple[int, ...], *, is_keyframe: bool
) -> FrameMask:
    """A mask at the frame's own size; thresholded once, here.

    Args:
        frame: the frame.
        soft: its soft mask.
        classes: the label of each of its channels.
        is_keyframe: whether it is the keyframe model's own.
    """
    channels = soft.channels()
    labels = channels if classes == (0, 1) else np.array(classes, dtype=np.uint8)[channels]
    mask = FrameMask(frame.index, frame.time_s, labels, None, classes, is_keyframe)
    return mask.with_probabilities_by(soft.probabilities)


def empty_mask(
    frame: Frame, classes: tuple[int, ...] = (0, 1), *, is_keyframe: bool = False
) -> FrameMask:
    """Nothing but background."""
    size = _size_of(frame)
    labels = np.zeros(size, dtype=np.uint8)
    mask = FrameMask(frame.index, frame.time_s, labels, None, classes, is_keyframe)
    return mask.with_probabilities_by(partial(_background, len(classes), size))


def _background(channels: int, size: Size) -> NDArray[np.float32]:
    probabilities: NDArray[np.float32] = np.zeros((channels, *size), dtype=np.float32)
    probabilities[0] = 1
    return probabilities


def _probabilities_among(soft: SoftMask, classes: tuple[int, ...]) -> NDArray[np.float32]:
    probabilities = torch.from_numpy(soft.probabilities())
    return np.asarray(_select(probabilities[None], classes)[0].numpy())


def _select(probabilities: Tensor, classes: tuple[int, ...]) -> Tensor:
    """The given classes' channels, summing to one: between them each pixel is as it was."""
    kept = probabilities[:, list(classes)]
    return kept / kept.sum(dim=1, keepdim=True).clamp_min(torch.finfo(kept.dtype).tiny)


def _size_of(frame: Frame) -> Size:
    height, width = frame.image.shape[:2]
    return height, width
