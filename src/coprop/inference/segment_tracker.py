"""The masks of a clip's frames: the keyframe model at keyframes, the propagator after them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from coprop.context import ALONE, AudioWindows, FrameContext, nearest
from coprop.errors import ModelOutputError
from coprop.inference.frame_masks import (
    SoftMask,
    as_probabilities,
    check_logits,
    empty_mask,
    frame_mask,
    given_mask,
    keyframe_mask,
    whole_mask,
)
from coprop.inference.turns import SegmentState, Turn
from coprop.keyframes.adapters.inference import network_of
from coprop.keyframes.adapters.registry import KeyframePredictor
from coprop.keyframes.model import KeyframeModel
from coprop.keyframes.timed import Moment, NoKeyframe, timed
from coprop.media.frame_images import (
    Size,
    bounded_size,
    image_of,
    mask_at,
    quick_image_of,
)
from coprop.prompts import drawn
from coprop.propagation.checks import checked_step, values_known, warn_of_step_probabilities
from coprop.propagation.masks import working_size
from coprop.propagation.memory import PropagationState
from coprop.propagation.propagator import AudioInsertPropagator, Propagator
from coprop.types import AudioTrack, FrameMask, Segment
from coprop.utils.precision import computing_in
from coprop.values.categories import as_label_names

if TYPE_CHECKING:
    from coprop.media.reader import Frame


class SegmentTracker:
    """Runs the keyframe model at keyframes and the propagator after them.

    Args:
        keyframes: the keyframe model.
        propagator: the propagator.
        audio: the clip's sound.
        working_edge: longer side of the frames shown to both, in pixels, at most.
        device: where they run.
        dtype: the precision that they compute in.
    """

    def __init__(
        self,
        keyframes: KeyframeModel,
        propagator: Propagator,
        audio: AudioTrack,
        *,
        working_edge: int,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self._keyframes = keyframes
        self._predict = KeyframePredictor(keyframes)
        self._surroundings: FrameContext = getattr(keyframes, "surroundings", ALONE)
        self._propagator = propagator
        self._working_edge = working_edge
        self._device = device
        self._computing = partial(computing_in, dtype)
        self._keyframe_windows = AudioWindows(audio, keyframes.sample_rate, keyframes.window_s)
        self._frame_windows = AudioWindows(audio, propagator.sample_rate, propagator.window_s)

    @property
    def device(self) -> torch.device:
        """Where they run."""
        return self._device

    @property
    def context(self) -> FrameContext:
        """The frames around a keyframe that the keyframe model takes, or looks at as well."""
        taken = self._keyframes.context
        return self._surroundings if taken.frames == 1 else taken

    def wants(self, frame: Frame) -> bool:
        """Whether the keyframe model answers at a frame, so far as that hangs on its time."""
        return timed(self._keyframes, Moment(frame.time_s, frame.index)) is not None

    @property
    def label_names(self) -> Mapping[int, str]:
        """What labels stand for, so far as the keyframe model says it in ``label_names``."""
        return dict(as_label_names(getattr(self._keyframes, "label_names", None) or {}))

    # Not inference_mode: what a wrapped model keeps of these calls must stay usable in training.
    @torch.no_grad()
    def start(self, turn: Turn, *, logits: Tensor | None = None) -> SegmentState | None:
        """The keyframe's mask; None where the keyframe model wants no keyframe.

        Args:
            turn: the keyframe's.
            logits: the model's `answers`, where it has been asked already.
        """
        frame = turn.frame
        if logits is None:
            logits = self._keyframe_logits(frame, turn.sources, turn.around, turn.words)
        else:
            logits = self._finite(logits, frame)
        if logits is None:
            return None
        return self._started(frame, *keyframe_mask(frame, as_probabilities(logits)))

    @torch.no_grad()
    def prompted(self, turn: Turn) -> SegmentState:
        """A keyframe whose mask is supplied; the model is asked where there are boxes."""
        frame, found = turn.frame, None
        if any(prompt.boxes for prompt in turn.given):
            logits = self._keyframe_logits(frame, turn.sources, turn.around, turn.words)
            if logits is not None:
                found = keyframe_mask(frame, as_probabilities(logits))[0].labels > 0
        height, width = frame.image.shape[:2]
        return self._started(frame, *given_mask(frame, drawn(turn.given, (height, width), found)))

    def _started(self, frame: Frame, mask: FrameMask, kept: Tensor) -> SegmentState:
        if len(mask.classes) == 1 or not mask.labels.any():
            return SegmentState(mask, None)
        sound = self._frame_windows.centred(frame.time_s).to(self._device)
        image, _ = self._propagator_image(frame)
        kept = mask_at(kept.to(self._device), image)
        with self._computing(self._device, network_of(self._propagator)):
            return SegmentState(mask, self._propagator.start(image, sound, kept))

    @torch.no_grad()
    def alone(
        self, frame: Frame, around: Sequence[Frame], words: tuple[str, ...] | None = None
    ) -> FrameMask:
        """The keyframe model's own mask of any frame, in silence too, to the last speck."""
        logits = self._keyframe_logits(frame, None, around, words)
        if logits is None:
            return empty_mask(frame)
        return whole_mask(frame, as_probabilities(logits))

    def silent(self, frame: Frame, before: FrameMask | None) -> FrameMask:
        """The empty mask of a frame in which nothing is heard, after another frame's."""
        return empty_mask(frame, before.classes if before else (0, 1))

    @torch.no_grad()
    def step(self, frame: Frame, state: SegmentState) -> SegmentState:
        """The next frame's mask, from the last one's."""
        if state.memory is None:
            return SegmentState(empty_mask(frame, state.mask.classes), None)
        sound = self._frame_windows.centred(frame.time_s).to(self._device)
        (image, is_own_size), classes = self._propagator_image(frame), state.mask.classes
        with self._computing(self._device, network_of(self._propagator)), values_known():
            returned = self._propagator.step(image, sound, state.memory)
        logits, memory = checked_step(returned, image, len(classes), frame.time_s)
        if state.mask.is_keyframe:
            warn_of_step_probabilities(logits)
        return SegmentState(self._followed(frame, logits, classes, is_own_size), memory)

    @torch.no_grad()
    def step_joined(
        self, frames: Sequence[Frame], memory: PropagationState, before: Sequence[FrameMask]
    ) -> tuple[list[FrameMask], PropagationState]:
        """The next frame's mask of several segments, of a propagator that takes them as one batch.

        Args:
            frames: (B) frames of one size, one of each segment.
            memory: of all B.
            before: their masks one frame earlier.
        """
        sound = torch.cat([self._frame_windows.centred(frame.time_s) for frame in frames])
        images = torch.cat([self._propagator_image(frame)[0] for frame in frames])
        with self._computing(self._device, network_of(self._propagator)), values_known():
            logits, memory = self._propagator.step(images, sound.to(self._device), memory)
        masks = []
        for i, (frame, mask) in enumerate(zip(frames, before, strict=True)):
            one = slice(i, i + 1)
            own, _ = checked_step((logits[one], None), images[one], len(mask.classes), frame.time_s)
            masks.append(self._followed(frame, own, mask.classes, is_own_size=True))
        return masks, memory

    def _followed(
        self, frame: Frame, logits: Tensor, classes: tuple[int, ...], is_own_size: bool
    ) -> FrameMask:
        soft = SoftMask(
            logits.to(self._device, torch.float32),
            (frame.image.shape[0], frame.image.shape[1]),
            are_logits=True,
            corners_aligned=is_own_size,
        )
        return frame_mask(frame, soft, classes, is_keyframe=False)

    def _image(self, frame: Frame) -> Tensor:
        """(1, 3, h, w) in [0, 1], with its longer side at most the working edge."""
        return image_of(frame, self._device, self._bounded_size(frame))

    def _propagator_image(self, frame: Frame) -> tuple[Tensor, bool]:
        """The same for the propagator, and whether it has the size at which that works."""
        size = own_size(self._propagator, self._bounded_size(frame))
        if size is None:
            return self._image(frame), False
        # Bicubic, as the propagator resizes frames itself.
        return quick_image_of(frame, self._device, size, "bicubic"), True

    def _bounded_size(self, frame: Frame) -> Size:
        height, width = frame.image.shape[:2]
        return bounded_size(height, width, self._working_edge)

    def _keyframe_logits(
        self,
        frame: Frame,
        sources: Segment | None,
        around: Sequence[Frame],
        words: tuple[str, ...] | None,
    ) -> Tensor | None:
        context = self._keyframes.context
        frames = nearest(frame, around, context)
        position = context.position(frame.time_s)
        images = torch.cat([self._image(each) for each in frames])
        sound = torch.cat([self._keyframe_sound(each.time_s, sources) for each in frames])
        near = self._near(frame, images[position : position + 1], around)
        moment = Moment(frame.time_s, frame.index)
        with self._computing(self._device, network_of(self._keyframes)):
            logits = self._predict(images, sound.to(self._device), words, near, moment)
        if isinstance(logits, NoKeyframe):
            return None
        check_logits(logits, images)
        return self._finite(logits[position : position + 1], frame)

    @torch.no_grad()
    def answers(self, turns: Sequence[Turn]) -> list[Tensor]:
        """The keyframe model's logits (1, C, h, w) of each of several keyframes.

        Those whose frames and sound have one size are shown to it in one call; it takes each by
        itself, with the frames around it where it looks at them.
        """
        answers = []
        shown = [self._shown(turn) for turn in turns]
        for _, alike in groupby(shown, key=lambda each: [x.shape for x in each if x is not None]):
            images, sounds, nears = (_joined(parts) for parts in zip(*alike, strict=True))
            with self._computing(self._device, network_of(self._keyframes)):
                logits: Any = self._predict(images, sounds.to(self._device), None, nears)
            check_logits(logits, images)
            answers += logits.split(1)
        return answers

    def _shown(self, turn: Turn) -> tuple[Tensor, Tensor, Tensor | None]:
        sound = self._keyframe_sound(turn.frame.time_s, turn.sources)
        image = self._image(turn.frame)
        return image, sound, self._near(turn.frame, image, turn.around)

    def _finite(self, logits: Tensor, frame: Frame) -> Tensor:
        if not torch.isfinite(logits).all():
            raise ModelOutputError(
                f"the keyframe model returned NaN or infinite logits at {frame.time_s:.3f} s; "
                "check its weights, and in half precision its range."
            )
        return logits.to(self._device, torch.float32)

    def _near(self, frame: Frame, image: Tensor, around: Sequence[Frame]) -> Tensor | None:
        """(1, T, 3, h, w) for a model that looks at a keyframe's surroundings, its image among."""
        if self._surroundings.frames == 1:
            return None
        images = [
            image
            if each is frame
            else quick_image_of(each, self._device, self._bounded_size(each), "bilinear")
            for each in nearest(frame, around, self._surroundings)
        ]
        return torch.cat(images).unsqueeze(0)

    def _keyframe_sound(self, time_s: float, sources: Segment | None) -> Tensor:
        span = self._keyframes.audio_span
        if span == "example":
            return self._keyframe_windows.example(time_s)
        if span == "segment" and sources is not None:
            return self._keyframe_windows.within(time_s, sources)
        if span == "whole" and sources is not None:
            return self._keyframe_windows.whole(time_s, sources)
        return self._keyframe_windows.centred(time_s)


def _joined(parts: tuple[Any, ...]) -> Any:
    return None if parts[0] is None else torch.cat(parts)


def own_size(propagator: Propagator, size: Size) -> Size | None:
    """The size at which a propagator works on frames of a size; None where that is not known.

    A frame that has it already is resized once, from 8-bit pixels, and so are its logits.
    """
    if not isinstance(propagator, AudioInsertPropagator):
        return None
    return working_size(*size, propagator.config.max_long_edge)
