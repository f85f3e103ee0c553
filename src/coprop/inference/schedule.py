"""Which frame belongs to which span with one keyframe, and which frames are silent."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from coprop.silence import heard_spans, is_silent, quiet_blocks
from coprop.types import SAME_S, ControlPoints, Segment

if TYPE_CHECKING:
    from coprop.media.clip import Clip

_TAIL_S = 0.25  # sound this much shorter than the video is taken to last to its end
_LATE_S = 0.12  # a sound between two frames is shown in the next one, if that comes so soon
_EXACT_S = 0.1  # a control point this near to a silence's edge is meant to be the edge
_WATCHED_S = 0.25  # a frame shown for longer than twice this stands for the sound around it


@dataclass(frozen=True)
class KeyframeSpan:
    """A span with one keyframe.

    Args:
        start_s, end_s: where it begins and ends.
        sources: the span around it in which the same objects sound, without silence.
    """

    start_s: float
    end_s: float
    sources: Segment


def keyframe_spans(
    points: ControlPoints,
    heard: Sequence[Segment],
    end_s: float,
    *,
    video_end_s: float | None = None,
    longest_s: float | None = None,
    silent: Callable[[Segment], bool] = lambda _: False,
) -> list[KeyframeSpan]:
    """The segments, without silences, cut into equal spans with one keyframe each.

    Args:
        points: the control points.
        heard: where something is heard, of `coprop.silence.heard_spans`.
        end_s: of the sound.
        video_end_s: of the video, where it is known before it has been seen.
        longest_s: the longest time between keyframes; None for no limit.
        silent: whether nothing is heard between two control points, in a pause that would belong to
            the sound around it if the control points did not say otherwise.
    """
    spans = []
    for sound in heard:
        first, last = sound.start_s, sound.end_s
        after = first + (_EXACT_S if first > 0 else SAME_S)
        before = last - (_EXACT_S if last < end_s - SAME_S else SAME_S)
        inside = [t for t in points.change_times_s if after <= t <= before]
        if last >= end_s - SAME_S and (video_end_s is None or video_end_s <= end_s + _TAIL_S):
            last = end_s + _TAIL_S
        for start, end in pairwise([first, *inside, last]):
            if inside and silent(Segment(start, end)):
                continue
            # What is beyond the video, or may be, is no reason for one more keyframe.
            shown = (end_s if video_end_s is None else video_end_s) - start
            length = min(end - start, max(shown, SAME_S))
            count = 1 if longest_s is None else max(int(np.ceil(length / longest_s - SAME_S)), 1)
            edges = [*np.linspace(start, start + length, count + 1).tolist()[:-1], end]
            sources = Segment(start, end)
            spans += [KeyframeSpan(a, b, sources) for a, b in pairwise(edges)]
    return spans


def schedule_of(clip: Clip, points: ControlPoints, longest_s: float | None) -> Schedule:
    """Which frames of a clip are keyframes, and which are silent; see `keyframe_spans`."""
    quiet = quiet_blocks(clip.audio)
    spans = keyframe_spans(
        points,
        heard_spans(quiet),
        clip.audio.duration_s,
        video_end_s=clip.duration_s,
        longest_s=longest_s,
        silent=lambda span: is_silent(quiet, span),
    )
    return Schedule(spans)


class Schedule:
    """Tells the span of one frame after another; frames come in order of time.

    Args:
        spans: in order, of `keyframe_spans`; more may follow by `add`, as they become known.
    """

    def __init__(self, spans: Sequence[KeyframeSpan] = ()) -> None:
        self._upcoming = deque(spans)
        self._span: KeyframeSpan | None = None
        self._served = False

    def add(self, span: KeyframeSpan) -> None:
        """One more span, after all others."""
        self._upcoming.append(span)

    def end(self, end_s: float) -> None:
        """The last span ends at a time, whatever was expected."""
        if self._upcoming:
            self._upcoming.append(_ended(self._upcoming.pop(), end_s))
        elif self._span is not None:
            self._span = _ended(self._span, end_s)

    def at(self, time_s: float, duration_s: float) -> tuple[KeyframeSpan | None, bool]:
        """The frame's span, and whether it is the span's keyframe; None in silence.

        The first frame at or after a span's start is its keyframe, also where a short sound has
        ended before it. Where frames are few, each stands for the sound around its time.

        Args:
            time_s: when the frame is shown.
            duration_s: for how long.
        """
        if self._span is None:
            if not self._upcoming:
                return None, False
            self._span = self._upcoming.popleft()
        reach_s = max(duration_s / 2 - _WATCHED_S, 0.0)
        while self._upcoming:
            span, upcoming = self._span, self._upcoming[0]
            begun = time_s >= upcoming.start_s - SAME_S
            nearer = time_s >= span.end_s + reach_s and time_s >= upcoming.start_s - reach_s
            if not (begun or nearer):
                break
            self._span, self._served = self._upcoming.popleft(), False
        span = self._span
        late_s = reach_s if self._served else max(_LATE_S, reach_s)
        if not span.start_s - reach_s - SAME_S <= time_s < span.end_s + late_s - SAME_S:
            return None, False
        first, self._served = not self._served, True
        return span, first


def _ended(span: KeyframeSpan, end_s: float) -> KeyframeSpan:
    return replace(span, end_s=max(end_s, span.start_s))
