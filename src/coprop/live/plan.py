"""Which frames of a stream are keyframes, and what its segments were, as changes become known."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from coprop.context import stretch
from coprop.inference.schedule import KeyframeSpan, Schedule
from coprop.inference.turns import Turn
from coprop.keyframes.naming import SoundNamer, name_sound
from coprop.live.changes import Change
from coprop.live.sound import LiveSound
from coprop.types import SAME_S, ControlPoints, FrameMask, Segment

if TYPE_CHECKING:
    from coprop.inference.segment_tracker import SegmentTracker
    from coprop.media.reader import Frame

_SECOND_S = 0.8
"""A segment's first keyframe has heard as much of it as the session looks ahead to, which may be
nothing: so much later another one knows better what sounds."""


class LivePlan:
    """The schedule of a stream, its control points and its segments.

    Args:
        sound: of the stream.
        longest_s: the longest time between keyframes; None for no limit.
        namer: says what sounds in each segment; None for nobody.

    Attributes:
        segments: those that have ended.
    """

    def __init__(self, sound: LiveSound, longest_s: float | None, namer: SoundNamer | None) -> None:
        self.segments: list[Segment] = []
        self._sound, self._longest_s, self._namer = sound, longest_s, namer
        self._schedule = Schedule()
        self._points: list[tuple[float, float]] = []
        self._begun: Change | None = None  # of the segment that is heard now
        self._keyframe_s = 0.0  # start of the last span
        self._started = False  # whether there has been a keyframe
        self._second = False  # whether its segment has had its second keyframe
        self._segment = Segment(0.0, math.inf)  # what is known of it so far

    @property
    def control_points(self) -> ControlPoints:
        """Those found so far."""
        times, scores = [0.0], [1.0]
        for time_s, score in sorted(self._points):
            if time_s > times[-1] + SAME_S:
                times.append(time_s)
                scores.append(score)
        return ControlPoints(np.array(times), np.array(scores), np.ones(len(times), dtype=bool))

    def add(self, change: Change) -> None:
        """Takes a change into account, from the next frame on."""
        if change.score > 0:
            self._points.append((change.time_s, change.score))
        if change.kind == "surer":
            return
        if self._begun is not None:
            self._end(self._begun, change.time_s)
        if change.kind != "ends":
            self._begun = change
            self._second = False
            self._segment = Segment(change.time_s, math.inf)
            self._add_span(self._begun, change.time_s)

    def turn(
        self, tracker: SegmentTracker, frame: Frame, around: Sequence[Frame], duration_s: float
    ) -> Turn:
        """What is to be done with the next frame.

        Args:
            tracker: for what its keyframe model wants.
            frame: the frame.
            around: the frames near it.
            duration_s: for how long it is shown.
        """
        time_s = frame.time_s
        if self._begun is not None:
            due_s = self._due_s()
            if time_s >= due_s - SAME_S:
                self._second = True
                self._add_span(self._begun, max(due_s, time_s - duration_s))
        span, is_keyframe = self._schedule.at(time_s, duration_s)
        if span is None or (self._started and not is_keyframe):
            return Turn(frame, (), duration_s, span)
        # What sounds may be heard as far as it has come in.
        end_s = max(min(span.sources.end_s, self._sound.duration_s), span.sources.start_s)
        span = replace(span, sources=Segment(span.sources.start_s, end_s))
        words = (self._begun.words if self._begun is not None else ()) or None
        starts = tracker.wants(frame)
        self._started = self._started or starts
        return Turn(frame, around, duration_s, span, words, opens=True, starts=starts)

    def masked(self, mask: FrameMask, names: Mapping[int, str]) -> None:
        """A keyframe of the segment that is heard now has this mask, with labels of these names."""
        self._segment = self._segment.labelled(mask, names)

    def finish(self, last_s: float | None, duration_s: float) -> None:
        """The last frame was shown at a time; what is still heard ends with it."""
        if self._begun is not None and last_s is not None:
            self._end(self._begun, last_s + duration_s)
        self._begun = None

    def _due_s(self) -> float:
        """When the next keyframe is due, unless something changes before."""
        longest_s = math.inf if self._longest_s is None else self._longest_s
        if self._longest_s is not None and not self._second:
            longest_s = min(longest_s, _SECOND_S)
        return self._keyframe_s + longest_s

    def _add_span(self, begun: Change, start_s: float) -> None:
        sources = Segment(begun.time_s, math.inf)
        self._schedule.add(KeyframeSpan(start_s, math.inf, sources))
        self._keyframe_s = start_s

    def _end(self, begun: Change, end_s: float) -> None:
        end_s = max(end_s, begun.time_s)
        self._schedule.end(end_s)
        segment = replace(self._segment, end_s=end_s)
        heard = stretch(segment, (begun.time_s + end_s) / 2)
        named = name_sound(self._namer, self._sound, heard)
        self.segments.append(replace(segment, categories=named))
        self._begun = None
