"""Spans with one keyframe: segments without their silences, and the frames that belong to them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coprop import ControlPoints, Segment
from coprop.inference.schedule import KeyframeSpan, Schedule, keyframe_spans


def points(*changes_s: float) -> ControlPoints:
    times = np.array([0.0, *changes_s])
    return ControlPoints(times, np.ones(len(times)), np.ones(len(times), dtype=bool))


def edges(parts: list[KeyframeSpan]) -> list[tuple[float, float]]:
    return [(round(part.start_s, 6), round(part.end_s, 6)) for part in parts]


def shown(parts: list[KeyframeSpan], times_s: np.ndarray) -> list[tuple[int, bool]]:
    """(number, is keyframe) of the frames that belong to a part."""
    schedule, found = Schedule(parts), []
    for index, (time_s, next_s) in enumerate(
        zip(times_s, [*times_s[1:], 2 * times_s[-1] - times_s[-2]], strict=True)
    ):
        part, first = schedule.at(float(time_s), float(next_s - time_s))
        if part is not None:
            found.append((index, first))
    return found


def test_segments_are_cut_at_silences_and_a_control_point_beside_one_is_its_edge() -> None:
    heard = (Segment(1.0, 2.0), Segment(3.0, 5.0))
    assert edges(keyframe_spans(points(), heard, 9.0)) == [(1.0, 2.0), (3.0, 5.0)]
    parts = keyframe_spans(points(1.05, 1.5, 1.95, 2.5, 4.0), heard, 9.0)
    assert edges(parts) == [(1.0, 1.5), (1.5, 2.0), (3.0, 4.0), (4.0, 5.0)]


def test_at_the_ends_of_the_track_control_points_stand_where_they_are() -> None:
    parts = keyframe_spans(points(0.05, 1.95), (Segment(0.0, 2.0),), 2.0, video_end_s=2.0)
    assert edges(parts) == [(0.0, 0.05), (0.05, 1.95), (1.95, 2.25)]


@pytest.mark.parametrize("video_end_s", [1.98, 2.0, None])
def test_two_seconds_are_one_span_of_two_seconds(video_end_s: float | None) -> None:
    heard = (Segment(0.0, 2.0),)
    parts = keyframe_spans(points(), heard, 2.0, video_end_s=video_end_s, longest_s=2.0)
    assert len(parts) == 1


def test_a_video_much_longer_than_its_sound_is_silent_after_it() -> None:
    (part,) = keyframe_spans(points(), (Segment(0.0, 2.0),), 2.0, video_end_s=4.0)
    assert part.end_s == 2.0
    (part,) = keyframe_spans(points(), (Segment(0.0, 2.0),), 2.0, video_end_s=2.2)
    assert part.end_s == 2.25


def test_a_short_pause_between_two_control_points_is_silent() -> None:
    heard, pause = (Segment(1.0, 5.0),), Segment(2.0, 2.5)
    parts = keyframe_spans(points(2.0, 2.5), heard, 9.0, silent=lambda segment: segment == pause)
    assert edges(parts) == [(1.0, 2.0), (2.5, 5.0)]


def test_what_sounds_together_is_told_to_each_part() -> None:
    parts = keyframe_spans(points(2.0), (Segment(1.0, 6.0),), 9.0, longest_s=1.0)
    assert len(parts) == 5
    assert {part.sources for part in parts} == {Segment(1.0, 2.0), Segment(2.0, 6.0)}


@settings(deadline=None)
@given(
    fps=st.sampled_from([5.0, 10.0, 24.0, 29.97, 60.0]),
    onset=st.floats(0.2, 1.2),
    length=st.floats(0.1, 1.0),
    pause=st.floats(0.7, 2.0),
)
def test_bursts_begin_at_the_first_frame_and_end_in_time(
    fps: float, onset: float, length: float, pause: float
) -> None:
    onsets = [onset + i * (length + pause) for i in range(3)]
    heard = tuple(Segment(t, t + length) for t in onsets)
    times = np.arange(np.ceil((onsets[-1] + length + 1) * fps)) / fps
    found = shown(keyframe_spans(points(), heard, 99.0), times)
    keyframes = [index for index, first in found if first]
    due = [int(np.flatnonzero(times >= t - 1e-6)[0]) for t in onsets]
    assert keyframes == due
    for index, _ in found:
        since = [times[index] - t for t in onsets if t - 1e-6 <= times[index]]
        assert since
        assert since[-1] < length + 0.15


def test_a_sound_long_before_the_next_frame_is_not_shown_in_it() -> None:
    part = keyframe_spans(points(), (Segment(0.01, 0.06),), 9.0)
    assert shown(part, np.arange(0.0, 2.0, 0.19)) == []


def test_a_frame_of_a_second_stands_for_the_sound_around_it() -> None:
    parts = keyframe_spans(points(), (Segment(1.7, 1.9), Segment(4.05, 4.3)), 9.0)
    assert shown(parts, np.arange(6.0)) == [(2, True), (4, True)]
