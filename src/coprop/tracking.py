"""A clip, frame by frame: a keyframe's mask, carried on with each frame's sound until the next."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, cast

from coprop.context import stretch
from coprop.inference.carrier import Carrier
from coprop.inference.segment_tracker import SegmentTracker
from coprop.inference.turns import AtOnce, Tracker, Turn, turns_of, windows
from coprop.keyframes.naming import SoundNamer, name_segment
from coprop.prompts import Prompts
from coprop.types import ControlPoints, FrameMask, Progress, Segment

if TYPE_CHECKING:
    from coprop.media.clip import Clip
    from coprop.media.reader import Frame

_log = logging.getLogger(__name__)


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
                    self.segments[-1] = self.segments[-1].labelled(mask, tracker.label_names)
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


def _told(progress: Progress | None, total: int | None, frame: Frame) -> None:
    if progress is not None:
        progress("frames", frame.index + 1, total)
