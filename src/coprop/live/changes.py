"""Where the sounding objects change, found while the sound is coming in.

The detector of a pipeline hears the last 20 s again and again. What it says of the newest moment
may still change, so a change is believed when some sound after it has been heard, and what has been
told once is never taken back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from coprop.control_points.detector import ControlPointDetector, WithLevel
from coprop.control_points.novelty import novelty_scores
from coprop.errors import CoPropError
from coprop.live.novelty import RecentNovelty
from coprop.live.sound import LevelMeter, LiveSound, RecentSound
from coprop.silence import END_S, SHORTEST_SILENCE_S, SHORTEST_SOUND_S, heard_spans, quiet_blocks
from coprop.types import SAME_S, AudioTrack, ControlPoints, Segment

LATEST_S = 2.5
"""A change that is not believed so long after it happened is none."""

_SOONEST_S, _SUREST_S = 0.2, 0.8
"""How much sound is heard after a change, at least, before it is believed: as much as the session
looks ahead, between these. Less tells too little, more would tell nothing new."""

_STEP_S = 0.05  # the grid on which changes lie, so that one at a frame is known with the frame

_SELDOM_S = 1.0
"""Seconds from one asking of a detector to the next, where it hears all of the 20 s each time."""

_Found = tuple[float, float, tuple[str, ...]]  # time, score and words of a control point

_NEAREST_S = 0.25  # changes nearer than this are one: half the shortest time between two of them
_EDGE_S = 0.1  # a change this near to where sound begins or ends is that moment


@dataclass(frozen=True)
class Change:
    """A moment at which other objects sound.

    Args:
        time_s: when.
        kind: "begins" where sound begins, "ends" where it ends, "differs" in the midst of it;
            "surer" where one of the first two has been told and is a control point after all.
        score: how sure it is, in [0, 1]; 0 where sound begins or ends and the detector does not
            take that for a change.
        words: what the detector hears from there on.
    """

    time_s: float
    kind: str
    score: float
    words: tuple[str, ...] = ()


class LiveChanges:
    """The changes in a `LiveSound`, each told once, in order of the telling.

    Args:
        detector: of control points.
        sound: the sound.
        look_ahead_s: how far a session looks ahead.
    """

    def __init__(
        self, detector: Callable[[AudioTrack], ControlPoints], sound: LiveSound, look_ahead_s: float
    ) -> None:
        self._detect, self._every_s = _for_recent(detector)
        self._asked_s = -self._every_s
        self._found: list[_Found] = []
        self._unsure: list[Change] = []  # edges that the detector takes for no change so far
        self._meter = LevelMeter(sound)
        self._settled_s = min(max(look_ahead_s - _STEP_S, _SOONEST_S), _SUREST_S)
        self._min_gap_s = float(getattr(detector, "min_gap_s", 0.0))
        self._known_s = 0.0  # up to here it has been told where something is heard
        self._heard_s = 0.0  # the last moment at which something was heard
        self._sounding = False
        self._told: list[tuple[float, float]] = []  # times and scores, of the last seconds

    def update(self) -> list[Change]:
        """What is new, given what may be heard by now."""
        self._meter.update()
        recent = self._meter.recent()
        if not recent.num_samples:
            return []
        now_s = recent.end_s
        if now_s - self._asked_s >= self._every_s - SAME_S:
            self._asked_s = now_s
            self._found = self._ask(recent)
        found = self._found
        heard = [
            Segment(span.start_s + recent.start_s, span.end_s + recent.start_s)
            for span in heard_spans(quiet_blocks(recent))
        ]
        edges = self._edges(heard, now_s)
        # What the detector takes for no change may become one as more of what follows is heard.
        unsure = [replace(edge, kind="surer") for edge in self._unsure]
        changes = [_scored(edge, found) for edge in (*edges, *unsure)]
        self._unsure = [
            c for c in changes if not c.score and c.time_s >= END_S and now_s - c.time_s < LATEST_S
        ]
        changes = [c for c in changes if c.score or c.kind != "surer"]
        changes += self._within(found, heard, edges, now_s)
        changes.sort(key=lambda change: change.time_s)
        self._told += [(c.time_s, c.score) for c in changes]
        self._told = [told for told in self._told if told[0] > now_s - 2 * LATEST_S]
        return changes

    def _ask(self, recent: RecentSound) -> list[_Found]:
        """What the detector finds in the last seconds, on the clock of the stream."""
        points = self._detect(recent)
        if not isinstance(points, ControlPoints):
            raise CoPropError(
                f"the detector must return ControlPoints, got {type(points).__name__}; "
                "ControlPoints(times_s, scores, flags) makes them from arrays."
            )
        flagged = zip(points.times_s[points.flags], points.scores[points.flags], strict=True)
        return [
            (float(t) + recent.start_s, float(score), points.categories_at(float(t)) or ())
            for t, score in flagged
            if t > 0 and t + recent.start_s > recent.end_s - LATEST_S
        ]

    def _edges(self, heard: list[Segment], now_s: float) -> list[Change]:
        """Where sound has begun, and where it has ended: a pause of 0.6 s tells."""
        edges: list[Change] = []
        for span in heard:
            if span.end_s <= self._known_s + SAME_S:
                continue
            start_s = max(span.start_s, self._known_s)
            if not self._sounding:
                if span.end_s - start_s < SHORTEST_SOUND_S - SAME_S:
                    continue  # a click, or the beginning of a sound
                edges.append(Change(start_s, "begins", 0.0))
                self._sounding, self._known_s = True, start_s
            self._heard_s = span.end_s
            if now_s - span.end_s >= SHORTEST_SILENCE_S - SAME_S:
                edges.append(self._ended())
        # The background has risen over what was taken for sound.
        if self._sounding and now_s - self._heard_s >= SHORTEST_SILENCE_S - SAME_S:
            edges.append(self._ended())
        return edges

    def _ended(self) -> Change:
        self._sounding, self._known_s = False, max(self._heard_s, self._known_s)
        return Change(self._known_s, "ends", 0.0)

    def _within(
        self,
        found: list[_Found],
        heard: list[Segment],
        edges: list[Change],
        now_s: float,
    ) -> list[Change]:
        """Changes in the midst of what is heard, that have been heard out."""
        changes: list[Change] = []
        ends = [(t, _EDGE_S) for span in heard for t in (span.start_s, span.end_s)]
        if heard and now_s - heard[-1].end_s >= END_S:  # it may have ended, which explains more
            ends.append((heard[-1].end_s, self._min_gap_s))
        told = [t for t, _ in self._told] + [edge.time_s for edge in edges]
        for time_s, score, words in found:
            apart = max(self._min_gap_s, _NEAREST_S)
            if (
                self._sounding
                and time_s >= self._known_s + _EDGE_S
                and now_s - time_s >= self._settled_s - SAME_S
                and all(abs(time_s - t) >= near_s for t, near_s in ends)
                and all(abs(time_s - t) >= apart - SAME_S for t in told)
            ):
                changes.append(Change(time_s, "differs", score, words))
                told.append(time_s)
        return changes


def _scored(edge: Change, found: list[_Found]) -> Change:
    """An edge with the score of the control point that the detector finds there, if it does."""
    near = [f for f in found if abs(f[0] - edge.time_s) <= _EDGE_S]
    if not near or edge.time_s < END_S:
        return edge
    best = max(near, key=lambda f: f[1])
    return replace(edge, score=best[1], words=best[2])


def _for_recent(
    detector: Callable[[AudioTrack], ControlPoints],
) -> tuple[Callable[[AudioTrack], ControlPoints], float]:
    """The detector, and the least time from one asking to the next, in seconds: none of the
    default's, which hears each moment once."""
    score = getattr(detector, "score", None)
    if not isinstance(detector, ControlPointDetector) or not isinstance(score, WithLevel):
        return detector, _SELDOM_S
    if score.fine_score is not novelty_scores:
        return detector, _SELDOM_S
    streamed = replace(score, fine_score=RecentNovelty())
    own = {"threshold": detector.threshold, "min_gap_s": detector.min_gap_s}
    return ControlPointDetector(streamed, **own), 0.0
