"""A clip, frame by frame: a keyframe's mask, carried on with each frame's sound until the next."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from coprop.brief import Brief
from coprop.carrier import Carrier
from coprop.context import ALONE, AudioWindows, FrameContext, nearest, stretch
from coprop.errors import ModelOutputError
from coprop.frame_images import bounded_size, image_of, mask_at, own_size, small_image_of
from coprop.frame_masks import (
    SoftMask,
    as_probabilities,
    check_logits,
    empty_mask,
    frame_mask,
    given_mask,
    keyframe_mask,
    whole_mask,
)
from coprop.keyframes.adapters.inference import network_of
from coprop.keyframes.adapters.registry import KeyframePredictor
from coprop.keyframes.model import KeyframeModel
from coprop.keyframes.naming import SoundNamer, name_segment
from coprop.keyframes.timed import Moment, NoKeyframe, timed
from coprop.precision import computing_in
from coprop.prompts import Prompts, drawn
from coprop.propagation.checks import checked_step, values_known, warn_of_step_probabilities
from coprop.propagation.memory import PropagationState
from coprop.propagation.propagator import Propagator
from coprop.turns import AtOnce, Tracker, Turn, turns_of, windows
from coprop.types import AudioTrack, ControlPoints, FrameMask, Progress, Segment

if TYPE_CHECKING:
    from coprop.media.clip import Clip
    from coprop.media.reader import Frame

_log = logging.getLogger(__name__)


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
        namer: says what sounds in each segment, where the control points do not; None for nobody.
        progress: called frame by frame.
        at_once: how many segments and keyframes are done together; one, but of a `SegmentTracker`.
        prompts: masks that are supplied.

    Attributes:
        segments: from control point to control point, without silences, those in which a frame has
            been shown so far, with what sounds in them. They end with the video.
    """

    def __init__(
        self,
        tracker: Tracker,
        clip: Clip,
        points: ControlPoints,
        *,
        longest_s: float | None,
        namer: SoundNamer | None,
        progress: Progress | None,
        at_once: AtOnce = AtOnce(),  # noqa: B008 - a frozen value
        prompts: Prompts | None = None,
    ) -> None:
        self.segments: list[Segment] = []
        self._name = partial(name_segment, points, namer, clip.audio)
        turns = turns_of(tracker, clip, points, longest_s, prompts or Prompts())
        self._frames = self._go(tracker, turns, at_once, partial(_told, progress, clip.num_frames))

    def __iter__(self) -> Iterator[tuple[Frame, FrameMask]]:
        return self._frames

    def close(self) -> None:
        """Ends it before the last frame, and the thread that decodes."""
        self._frames.close()

    def _go(
        self,
        tracker: Tracker,
        turns: Generator[Turn, None, None],
        at_once: AtOnce,
        progress: Callable[[Frame], None],
    ) -> Generator[tuple[Frame, FrameMask], None, None]:
        # Others than a SegmentTracker are asked for one frame at a time.
        carried = Carrier(cast(SegmentTracker, tracker), at_once)
        begun: Segment | None = None
        end_s = math.nan
        with closing(turns):
            for turn in (
                each for window in windows(turns, at_once) for each in carried.in_turn(window)
            ):
                frame, span = turn.frame, turn.span
                end_s = frame.time_s + turn.duration_s
                if turn.starts:
                    _log.debug("keyframe %d at %.3f s", frame.index, frame.time_s)
                mask = carried.mask(turn)
                if turn.opens and span is not None:
                    if span.sources != begun:
                        begun = span.sources
                        self.segments.append(self._named(begun, frame.time_s))
                    # A short sound between two frames has ended when it is shown.
                    if span.end_s <= frame.time_s:
                        self._lengthen(end_s)
                yield frame, mask
                progress(frame)
        if self.segments:
            last = self.segments[-1]
            self.segments[-1] = replace(last, end_s=min(last.end_s, end_s))

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

    # Not inference_mode: what a wrapped model keeps of these calls must stay usable in training.
    @torch.no_grad()
    def start(
        self,
        frame: Frame,
        sources: Segment,
        around: Sequence[Frame],
        words: tuple[str, ...] | None = None,
        *,
        logits: Tensor | None = None,
    ) -> SegmentState | None:
        """The keyframe's mask; None where the keyframe model wants no keyframe.

        Args:
            frame: the keyframe.
            sources: the span around it in which the same objects sound, for models that take
                their sound from the segment.
            around: the frames near it, for models that take several at a time.
            words: for what sounds in it, for models that are guided by them.
            logits: the model's `answers`, where it has been asked already.
        """
        if logits is None:
            logits = self._keyframe_logits(frame, sources, around, words)
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
        kept = kept.to(self._device)
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
        return self._image(turn.frame), sound, self._near(turn.frame, turn.around)

    def _finite(self, logits: Tensor, frame: Frame) -> Tensor:
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


def _joined(parts: tuple[Any, ...]) -> Any:
    return None if parts[0] is None else torch.cat(parts)


def _told(progress: Progress | None, total: int | None, frame: Frame) -> None:
    if progress is not None:
        progress("frames", frame.index + 1, total)
