"""What is done with each frame, known before it is done, and how many frames wait for it together.

The control points and the clock alone tell which frame is a keyframe, so that several keyframes can
be gone to the model together, and their segments be carried on as one batch. Until the first of
these segments has its masks, the frames of all of them are held.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import torch
from torch import Tensor

from coprop.context import FrameContext, with_neighbours
from coprop.inference.schedule import KeyframeSpan, schedule_of
from coprop.keyframes.adapters.callable import CallableSegmenter
from coprop.keyframes.model import MOST_KEYFRAMES, KeyframeModel
from coprop.keyframes.segmenter import KeyframeSegmenter
from coprop.keyframes.timed import TimedKeyframeModel
from coprop.prompts import Prompt, Prompts
from coprop.propagation.masks import working_size
from coprop.propagation.propagator import AudioInsertPropagator, Propagator
from coprop.types import ControlPoints, FrameMask, Segment
from coprop.utils.brief import Brief
from coprop.utils.checks import whole

if TYPE_CHECKING:
    from coprop.media.clip import Clip
    from coprop.media.reader import Frame

SegmentsAtOnce = int | Literal["auto"]
"""How many segments are propagated as one batch. "auto" is 4 on a CUDA device, where the clip is a
file or an array; on a CPU some 6 of a file of small frames, in half precision; and else 1."""

MOST = MOST_KEYFRAMES
"""Segments at once, at most: thousands of frames wait for so many."""

FRAMES_HELD = 64
"""For each segment at once, of at most 1280 x 720 pixels; of larger frames fewer, by their pixels.
Two seconds at 30 frames a second, twice what the default leaves between keyframes."""

_HELD_PIXELS = 1280 * 720
_ON_CUDA = 4
_ON_CPU = 8  # at most; of these the batches that are full

# On a CPU two frames of the default's largest working size still share the caches with the weights:
# together they take a fifth less time than one by one, four a tenth more. Small frames gain more.
_CPU_PIXELS = 2 * 257 * 449
_WORTH_IT = 3  # frames in a batch: of two the gain is within what seconds vary by
_ALONE_S = 1 / 25  # how long a frame lasts that is the only one, or the first so far


@dataclass(frozen=True)
class AtOnce:
    """How much is done together.

    Args:
        segments: N, propagated as one batch.
        keyframes: K, shown to the keyframe model in one call.
    """

    segments: int = 1
    keyframes: int = 1

    @property
    def ahead(self) -> int:
        """How many segments are looked at before the first of them is begun."""
        return max(self.segments, self.keyframes)

    def frames_held(self, height: int, width: int) -> int:
        """How many frames of a size wait at most, at least 2.

        >>> AtOnce(4).frames_held(720, 1280), AtOnce(4).frames_held(2160, 3840)
        (256, 28)
        """
        share = min(_HELD_PIXELS / (height * width), 1)
        return max(int(self.ahead * FRAMES_HELD * share), 2)


def at_once(
    given: SegmentsAtOnce,
    model: KeyframeModel,
    propagator: Propagator,
    device: torch.device,
    clip: Clip,
    dtype: torch.dtype = torch.float32,
) -> AtOnce:
    """What an argument of the pipeline comes to.

    Args:
        given: a number, or "auto": frames that come one by one, from a camera it may be, are not
            waited for unless somebody asks.
        model: takes as many keyframes in a call as its ``keyframes_per_call`` says, None for as
            many as there are segments at once; one where it has no such attribute.
        propagator: any but coprop's own takes one segment at a time, for which no frames wait.
        device: where the propagator is.
        clip: whose frames they are.
        dtype: that the propagator computes in.
    """
    segments = _automatic(propagator, device, clip, dtype) if given == "auto" else given
    keyframes = getattr(model, "keyframes_per_call", 1)
    if model.context.frames > 1 or isinstance(model, TimedKeyframeModel):
        keyframes = 1  # a call is about one keyframe
    if keyframes is None:
        # Of a function nobody has said that its rows do not depend on one another.
        unsaid = isinstance(getattr(model, "adapter", model), CallableSegmenter)
        # On a CPU several frames of the default leave the caches, and take longer than one by one.
        slower = isinstance(model, KeyframeSegmenter) and device.type == "cpu"
        untold = given == "auto" and (unsaid or device.type == "cpu")
        keyframes = 1 if slower or untold else segments
    wanted = f"a whole number from 1 to {MOST_KEYFRAMES}, or None"
    name = f"keyframes_per_call of {type(model).__name__}"
    keyframes = whole(name, keyframes, wanted, low=1, high=MOST_KEYFRAMES)
    return AtOnce(segments if can_join(propagator) else 1, keyframes)


def _automatic(propagator: Propagator, device: torch.device, clip: Clip, dtype: torch.dtype) -> int:
    if not clip.is_recorded:
        return 1
    if device.type == "cuda":
        return _ON_CUDA
    # In float32 it gains some 6 %, and masks would differ in the last digit from those of a stream.
    half = dtype in (torch.bfloat16, torch.float16)
    if not half or clip.frame_size is None or not isinstance(propagator, AudioInsertPropagator):
        return 1
    batch = frames_joined(working_size(*clip.frame_size, propagator.config.max_long_edge))
    if batch < _WORTH_IT:
        return 1
    return min(max(_ON_CPU // batch, 1) * batch, _ON_CPU)


def frames_joined(size: tuple[int, int]) -> int:
    """How many frames a batch has on a CPU, at a height and width at which the propagator works.

    >>> frames_joined((225, 305)), frames_joined((465, 465))
    (3, 1)
    """
    return max(_CPU_PIXELS // (size[0] * size[1]), 1)


def can_join(propagator: Propagator) -> bool:
    """Whether a propagator takes several segments as one batch."""
    return isinstance(propagator, AudioInsertPropagator)


@dataclass(frozen=True, repr=False)
class Turn(Brief):
    """What is to be done with one frame.

    Args:
        frame: the frame.
        around: the frames near it, where it may be a keyframe.
        duration_s: for how long it is shown.
        span: that it belongs to; None in silence.
        words: for what sounds in the span, for models that are guided by them.
        opens: whether a keyframe is due.
        starts: whether the model wants it; what is due and not wanted is carried on.
        given: masks that are supplied for it, in place of the model's.
    """

    frame: Frame
    around: Sequence[Frame]
    duration_s: float
    span: KeyframeSpan | None = None
    words: tuple[str, ...] | None = None
    opens: bool = False
    starts: bool = False
    given: tuple[Prompt, ...] = ()

    @property
    def sources(self) -> Segment:
        """The span around the frame in which the same objects sound."""
        return self.span.sources if self.span else Segment(self.frame.time_s, self.frame.time_s)


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


class Tracker(Protocol):
    """What makes the masks of a clip: `SegmentTracker`, or what chooses among known tracks."""

    @property
    def context(self) -> FrameContext:
        """The frames around a keyframe that it looks at."""
        ...

    @property
    def label_names(self) -> Mapping[int, str]:
        """What labels stand for, so far as anybody says it."""
        ...

    def wants(self, frame: Frame) -> bool:
        """Whether there may be a keyframe at a frame."""
        ...

    def start(self, turn: Turn, *, logits: Tensor | None = None) -> SegmentState | None:
        """See `coprop.inference.segment_tracker.SegmentTracker.start`."""
        ...

    def step(self, frame: Frame, state: SegmentState) -> SegmentState:
        """See `coprop.inference.segment_tracker.SegmentTracker.step`."""
        ...

    def silent(self, frame: Frame, before: FrameMask | None) -> FrameMask:
        """See `coprop.inference.segment_tracker.SegmentTracker.silent`."""
        ...


def turns_of(
    tracker: Tracker,
    clip: Clip,
    points: ControlPoints,
    longest_s: float | None,
    prompts: Prompts,
) -> Generator[Turn, None, None]:
    """Yields what is to be done with each frame, as far as sound and clock tell.

    Args:
        tracker: for what its keyframe model sees and wants.
        clip, points, longest_s, prompts: see `coprop.tracking.Tracking`.
    """
    prompts.check_start(clip.origin_s)
    schedule, sound_s = schedule_of(clip, points, longest_s), clip.audio.duration_s
    held: Segment | None = None  # where a supplied mask stands in for other keyframes
    started = False
    duration_s, before_s = _ALONE_S, math.nan
    with closing(clip.frames_ahead()) as frames:
        for frame, around in with_neighbours(frames, tracker.context):
            # The next frame is not waited for: each is taken to last as long as the one before.
            duration_s = duration_s if math.isnan(before_s) else frame.time_s - before_s
            before_s = frame.time_s
            span, is_keyframe = schedule.at(frame.time_s, duration_s)
            given = prompts.due(frame.time_s, heard=span is not None)
            if span is not None:
                held = span.sources if given or span.sources == held else None
            if span is None or (started and not given and (held or not is_keyframe)):
                yield Turn(frame, (), duration_s, span)
                continue
            words = points.categories_at(_middle_s(span.sources, sound_s))
            starts = bool(given) or tracker.wants(frame)
            started = started or starts
            yield Turn(frame, around, duration_s, span, words, True, starts, given)
    prompts.check_end(before_s)


def _middle_s(span: Segment, sound_s: float) -> float:
    """The middle of what can be heard of a span."""
    return (span.start_s + max(min(span.end_s, sound_s), span.start_s)) / 2


def windows(turns: Iterable[Turn], at_once: AtOnce) -> Iterator[list[Turn]]:
    """Yields what is done together: whole segments, each from its keyframe on, or single turns.

    Where nothing is done together, each turn comes by itself, and so do the turns of a segment
    that is longer than what may be held. An error comes after what was before it.
    """
    held: list[Turn] = []
    begun: list[int] = []  # where in `held` segments begin
    failure: Exception | None = None
    try:
        for turn in turns:
            if turn.starts and len(begun) == at_once.ahead:
                yield held
                held, begun = [], []
            if turn.starts:
                begun.append(len(held))
            held.append(turn)
            if at_once.ahead == 1 or not begun:
                yield held
                held, begun = [], []
            elif len(held) >= at_once.frames_held(*turn.frame.image.shape[:2]):
                stop = begun[-1] or len(held)  # the last goes on, and can begin the next window
                yield held[:stop]
                held, begun = held[stop:], [0] if stop < len(held) else []
    except Exception as error:
        failure = error
    if held:
        yield held
    if failure is not None:
        raise failure
