"""Inside one segment: a keyframe's mask, carried from frame to frame with each frame's sound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from coprop.errors import ModelOutputError
from coprop.keyframes.asking import Asked
from coprop.keyframes.model import KeyframeModel
from coprop.loudness import is_silent, quiet_blocks
from coprop.neighbours import nearest
from coprop.propagation.propagator import Propagator
from coprop.types import AudioTrack, FrameMask, Segment
from coprop.windows import AudioWindows

if TYPE_CHECKING:
    from coprop.media.reader import Frame

_MOST_CLASSES = 256
_SMALLEST_OBJECT = 1e-3  # share of the frame; smaller specks on a keyframe are not propagated


@dataclass(frozen=True)
class SegmentState:
    """How far a segment has been tracked.

    Args:
        mask: of the last frame.
        memory: the propagator's state; None where nothing visible sounds, so that nothing is
            propagated until the next segment.
    """

    mask: FrameMask
    memory: Any


class SegmentTracker:
    """Runs the keyframe model at a segment's first frame and the propagator after it.

    Args:
        keyframes: the keyframe model.
        propagator: the propagator.
        audio: the clip's sound.
        working_edge: longer side of the frames shown to both, in pixels, at most.
        device: where they run.
    """

    def __init__(
        self,
        keyframes: KeyframeModel,
        propagator: Propagator,
        audio: AudioTrack,
        *,
        working_edge: int,
        device: torch.device,
    ) -> None:
        self._keyframes = keyframes
        self._ask = Asked(keyframes)
        self._propagator = propagator
        self._quiet = quiet_blocks(audio)
        self._working_edge = working_edge
        self._device = device
        self._keyframe_windows = AudioWindows(audio, keyframes.sample_rate, keyframes.window_s)
        self._frame_windows = AudioWindows(audio, propagator.sample_rate, propagator.window_s)

    # Not inference_mode: what a wrapped model keeps of these calls must stay usable in training.
    @torch.no_grad()
    def start(
        self, frame: Frame, segment: Segment, sources: Segment, around: Sequence[Frame]
    ) -> SegmentState:
        """The keyframe's mask. Silent segments are empty without asking the model.

        Args:
            frame: the keyframe.
            segment: until the next keyframe.
            sources: the span around it in which the same objects sound, for models that take
                their sound from the segment.
            around: the frames near it, for models that take several at a time.
        """
        if is_silent(self._quiet, segment):
            return SegmentState(_empty_mask(frame), None)
        mask, probabilities = self._segment(frame, sources, around)
        if len(mask.classes) == 1 or not mask.labels.any():
            return SegmentState(mask, None)
        sound = self._frame_windows.centred(frame.time_s).to(self._device)
        return SegmentState(mask, self._propagator.start(self._image(frame), sound, probabilities))

    @torch.no_grad()
    def alone(self, frame: Frame, around: Sequence[Frame]) -> FrameMask:
        """The keyframe model's mask of any frame, whatever sounds, in silence too."""
        return self._segment(frame, None, around)[0]

    @torch.no_grad()
    def step(self, frame: Frame, state: SegmentState) -> SegmentState:
        """The next frame's mask, from the last one's."""
        if state.memory is None:
            return SegmentState(_empty_mask(frame, state.mask.classes), None)
        sound = self._frame_windows.centred(frame.time_s).to(self._device)
        logits, memory = self._propagator.step(self._image(frame), sound, state.memory)
        mask = _frame_mask(frame, logits.softmax(dim=1), state.mask.classes, is_keyframe=False)
        return SegmentState(mask, memory)

    def _image(self, frame: Frame) -> Tensor:
        """(1, 3, h, w) in [0, 1], with its longer side at most the working edge."""
        image = torch.tensor(frame.image, device=self._device)  # a copy: arrays may be read-only
        image = image.permute(2, 0, 1).unsqueeze(0).float() / 255
        scale = self._working_edge / max(image.shape[-2:])
        if scale >= 1:
            return image
        size = [max(round(side * scale), 1) for side in image.shape[-2:]]
        return F.interpolate(image, size, mode="bilinear", antialias=True, align_corners=False)

    def _segment(
        self, frame: Frame, sources: Segment | None, around: Sequence[Frame]
    ) -> tuple[FrameMask, Tensor]:
        """The keyframe model's mask at the frame's size, and its soft one as it was shown."""
        probabilities = _probabilities(self._keyframe_logits(frame, sources, around))
        classes = _visible_classes(probabilities)
        probabilities = _select(probabilities, classes)
        return _frame_mask(frame, probabilities, classes, is_keyframe=True), probabilities

    def _keyframe_logits(
        self, frame: Frame, sources: Segment | None, around: Sequence[Frame]
    ) -> Tensor:
        context = self._keyframes.context
        frames = nearest(frame, around, context)
        images = torch.cat([self._image(each) for each in frames])
        sound = torch.cat([self._keyframe_sound(each.time_s, sources) for each in frames])
        logits = self._ask(images, sound.to(self._device))
        _check_logits(logits, images)
        position = context.position(frame.time_s)
        logits = logits[position : position + 1]
        if not torch.isfinite(logits).all():
            raise ModelOutputError(
                f"the keyframe model returned NaN or infinite logits at {frame.time_s:.3f} s; "
                "check its weights, and in half precision its range."
            )
        return logits.to(self._device, torch.float32)

    def _keyframe_sound(self, time_s: float, sources: Segment | None) -> Tensor:
        span = self._keyframes.audio_span
        if span == "example":
            return self._keyframe_windows.example(time_s)
        if span == "segment" and sources is not None:
            return self._keyframe_windows.within(time_s, sources)
        return self._keyframe_windows.centred(time_s)


def _check_logits(logits: object, images: Tensor) -> None:
    if not isinstance(logits, Tensor) or logits.ndim != 4 or logits.is_complex():
        given = type(logits).__name__
        if isinstance(logits, Tensor):
            given = f"{tuple(logits.shape)} {logits.dtype}"
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


def _probabilities(logits: Tensor) -> Tensor:
    """(1, C, H, W) logits -> (1, K + 1, H, W) probabilities with background first."""
    if logits.shape[1] > 1:
        return logits.softmax(dim=1)
    sounding = logits.sigmoid()
    return torch.cat([1 - sounding, sounding], dim=1)


def _visible_classes(probabilities: Tensor) -> tuple[int, ...]:
    """0, and the classes that cover more than specks of the frame."""
    if probabilities.shape[1] == 2:
        return (0, 1)
    labels = probabilities.argmax(dim=1)
    counts = torch.bincount(labels.flatten(), minlength=probabilities.shape[1])
    shares = (counts / labels.numel()).tolist()
    return (0, *(c for c in range(1, len(shares)) if shares[c] >= _SMALLEST_OBJECT))


def _select(probabilities: Tensor, classes: tuple[int, ...]) -> Tensor:
    """The given classes' channels; whatever the others had goes to background."""
    objects = probabilities[:, list(classes[1:])]
    background = (1 - objects.sum(dim=1, keepdim=True)).clamp_min(0)  # rounding may go below
    return torch.cat([background, objects], dim=1)


def _frame_mask(
    frame: Frame, probabilities: Tensor, classes: tuple[int, ...], *, is_keyframe: bool
) -> FrameMask:
    """A mask at the frame's own size; thresholded once, here."""
    size = frame.image.shape[:2]
    if probabilities.shape[-2:] != size:
        probabilities = F.interpolate(probabilities, size, mode="bilinear", align_corners=False)
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


def _empty_mask(frame: Frame, classes: tuple[int, ...] = (0, 1)) -> FrameMask:
    shape = frame.image.shape[:2]
    probabilities: NDArray[np.float32] = np.zeros((len(classes), *shape), dtype=np.float32)
    probabilities[0] = 1
    labels = np.zeros(shape, dtype=np.uint8)
    return FrameMask(frame.index, frame.time_s, labels, probabilities, classes, False)
