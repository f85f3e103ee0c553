"""A clip, frame by frame: a keyframe's mask, carried on with each frame's sound until the next."""

from __future__ import annotations

import logging
import math
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from coprop.brief import Brief
from coprop.context import ALONE, AudioWindows, FrameContext, nearest, stretch, with_neighbours
from coprop.errors import ModelOutputError
from coprop.frame_images import bounded_size, image_of, mask_at, own_size, small_image_of
from coprop.frame_masks import (
    SoftMask,
    as_probabilities,
    check_logits,
    empty_mask,
    frame_mask,
    keyframe_mask,
    whole_mask,
)
from coprop.keyframes.adapters.inference import network_of
from coprop.keyframes.adapters.registry import KeyframePredictor
from coprop.keyframes.model import KeyframeModel
from coprop.keyframes.naming import SoundNamer, name_sound
from coprop.keyframes.timed import Moment, NoKeyframe
from coprop.precision import computing_in
from coprop.propagation.checks import checked_step, values_known, warn_of_step_probabilities
from coprop.propagation.propagator import Propagator
from coprop.schedule import Schedule, keyframe_spans
from coprop.silence import heard_spans, is_silent, quiet_blocks
from coprop.types import AudioTrack, ControlPoints, FrameMask, Progress, Segment

if TYPE_CHECKING:
    from coprop.media.clip import Clip
    from coprop.media.reader import Frame

_log = logging.getLogger(__name__)
_ALONE_S = 1 / 25  # how long a frame lasts that is the only one, or the first so far


@dataclass(frozen=True, repr=False)
class SegmentState(Brief):
    """How far a keyframe's mask has been carried.

    Args:
        mask: of the last frame.
        memory: the propagator's state; None where nothing visible sounds, so that nothing is
            propagated until the next keyframe.
    """

    mask: FrameMask
    memory: Any


class Tracking:
    """Yields every frame of a clip with its mask, in order.

    Args:
        tracker: makes the masks.
        clip: the clip.
        points: its control points.
        longest_s: the longest time between keyframes; None for no limit.
        namer: says what sounds in each segment; None for nobody.
        progress: called frame by frame.

    Attributes:
        segments: from control point to control point, without silences, those in which a frame has
            been shown so far, with what sounds in them. They end with the video.
    """

    def __init__(
        self,
        tracker: SegmentTracker,
        clip: Clip,
        points: ControlPoints,
        *,
        longest_s: float | None,
        namer: SoundNamer | None,
        progress: Progress | None,
    ) -> None:
        self.segments: list[Segment] = []
        self._name = partial(name_sound, namer, clip.audio)
        self._frames = self._go(tracker, clip, points, longest_s, progress)

    def __iter__(self) -> Iterator[tuple[Frame, FrameMask]]:
        return self._frames

    def close(self) -> None:
        """Ends it before the last frame, and the thread that decodes."""
        self._frames.close()

    def _go(
        self,
        tracker: SegmentTracker,
        clip: Clip,
        points: ControlPoints,
        longest_s: float | None,
        progress: Progress | None,
    ) -> Generator[tuple[Frame, FrameMask], None, None]:
        quiet = quiet_blocks(clip.audio)
        sound_s, video_s = clip.audio.duration_s, clip.duration_s
        spans = keyframe_spans(
            points,
            heard_spans(quiet),
            sound_s,
            video_end_s=video_s,
            longest_s=longest_s,
            silent=lambda span: is_silent(quiet, span),
        )
        schedule = Schedule(spans)
        state: SegmentState | None = None
        begun: Segment | None = None
        duration_s, before_s = _ALONE_S, math.nan
        with closing(clip.frames_ahead()) as frames:
            for frame, around in with_neighbours(frames, tracker.context):
                # The next frame is not waited for: each is taken to last as long as the one before.
                duration_s = duration_s if math.isnan(before_s) else frame.time_s - before_s
                before_s = frame.time_s
                span, is_keyframe = schedule.at(frame.time_s, duration_s)
                if span is None:
                    mask = tracker.silent(frame, state.mask if state else None)
                elif state is None or is_keyframe:
                    words = points.categories_at(_middle_s(span.sources, sound_s))
                    _log.debug("keyframe %d at %.3f s", frame.index, frame.time_s)
                    started = tracker.start(frame, span.sources, around, words)
                    state = started or (tracker.step(frame, state) if state else None)
                    mask = state.mask if state else tracker.silent(frame, None)
                    if span.sources != begun:
                        begun = span.sources
                        self.segments.append(self._named(begun, frame.time_s))
                    # A short sound between two frames has ended when it is shown.
                    if span.end_s <= frame.time_s:
                        self._lengthen(frame.time_s + duration_s)
                else:
                    state = tracker.step(frame, state)
                    mask = state.mask
                yield frame, mask
                if progress is not None:
                    progress("frames", frame.index + 1, clip.num_frames)
        if self.segments:
            last = self.segments[-1]
            self.segments[-1] = replace(last, end_s=min(last.end_s, before_s + duration_s))

    def _named(self, sources: Segment, time_s: float) -> Segment:
        """A segment whose first frame is shown at a time."""
        start_s = min(sources.start_s, time_s)
        return Segment(start_s, sources.end_s, self._name(stretch(sources, time_s)))

    def _lengthen(self, end_s: float) -> None:
        last = self.segments[-1]
        self.segments[-1] = replace(last, end_s=max(last.end_s, end_s))


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
    def context(self) -> FrameContext:
        """The frames around a keyframe that the keyframe model takes, or looks at as well."""
        taken = self._keyframes.context
        return self._surroundings if taken.frames == 1 else taken

    # Not inference_mode: what a wrapped model keeps of these calls must stay usable in training.
    @torch.no_grad()
    def start(
        self,
        frame: Frame,
        sources: Segment,
        around: Sequence[Frame],
        words: tuple[str, ...] | None = None,
    ) -> SegmentState | None:
        """The keyframe's mask; None where the keyframe model wants no keyframe.

        Args:
            frame: the keyframe.
            sources: the span around it in which the same objects sound, for models that take
                their sound from the segment.
            around: the frames near it, for models that take several at a time.
            words: for what sounds in it, for models that are guided by them.
        """
        logits = self._keyframe_logits(frame, sources, around, words)
        if logits is None:
            return None
        mask, kept = keyframe_mask(frame, as_probabilities(logits))
        if len(mask.classes) == 1 or not mask.labels.any():
            return SegmentState(mask, None)
        sound = self._frame_windows.centred(frame.time_s).to(self._device)
        image, is_own_size = self._propagator_image(frame)
        kept = mask_at(kept, image) if is_own_size else kept
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
        soft = SoftMask(
            logits.to(self._device, torch.float32),
            (frame.image.shape[0], frame.image.shape[1]),
            are_logits=True,
            corners_aligned=is_own_size,
        )
        return SegmentState(frame_mask(frame, soft, classes, is_keyframe=False), memory)

    def _image(self, frame: Frame) -> Tensor:
        """(1, 3, h, w) in [0, 1], with its longer side at most the working edge."""
        return image_of(frame, self._device, self._bounded_size(frame))

    def _propagator_image(self, frame: Frame) -> tuple[Tensor, bool]:
        """The same for the propagator, and whether it has the size at which that works."""
        size = own_size(self._propagator, self._bounded_size(frame))
        if size is None:
            return self._image(frame), False
        return small_image_of(frame, self._device, size), True

    def _bounded_size(self, frame: Frame) -> tuple[int, int]:
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
        images = torch.cat([self._image(each) for each in frames])
        sound = torch.cat([self._keyframe_sound(each.time_s, sources) for each in frames])
        near, moment = self._near(frame, around), Moment(frame.time_s, frame.index)
        with self._computing(self._device, network_of(self._keyframes)):
            logits = self._predict(images, sound.to(self._device), words, near, moment)
        if isinstance(logits, NoKeyframe):
            return None
        check_logits(logits, images)
        position = context.position(frame.time_s)
        logits = logits[position : position + 1]
        if not torch.isfinite(logits).all():
            raise ModelOutputError(
                f"the keyframe model returned NaN or infinite logits at {frame.time_s:.3f} s; "
                "check its weights, and in half precision its range."
            )
        return logits.to(self._device, torch.float32)

    def _near(self, frame: Frame, around: Sequence[Frame]) -> Tensor | None:
        """(1, T, 3, h, w) for a model that looks at a keyframe's surroundings."""
        if self._surroundings.frames == 1:
            return None
        near = nearest(frame, around, self._surroundings)
        return torch.cat([self._image(each) for each in near]).unsqueeze(0)

    def _keyframe_sound(self, time_s: float, sources: Segment | None) -> Tensor:
        span = self._keyframes.audio_span
        if span == "example":
            return self._keyframe_windows.example(time_s)
        if span == "segment" and sources is not None:
            return self._keyframe_windows.within(time_s, sources)
        if span == "whole" and sources is not None:
            return self._keyframe_windows.whole(time_s, sources)
        return self._keyframe_windows.centred(time_s)


def _middle_s(span: Segment, sound_s: float) -> float:
    """The middle of what can be heard of a span."""
    return (span.start_s + max(min(span.end_s, sound_s), span.start_s)) / 2
