"""When a source sounds, by its probability over time: hysteresis, pauses, shortest events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from coprop.silence import SHORTEST_SILENCE_S
from coprop.types import SAME_S

_POWER = 4  # of the mean over time: a bark in a second of quiet counts, a single slip does not


@dataclass(frozen=True)
class ActivityRule:
    """When a probability means that a source sounds.

    Args:
        on: probability that begins an event, in [0, 1].
        off: probability below which it ends, ``on`` at most.
        shortest_s: what is heard for less is none, in seconds.
        blur_s: how far from an event's ends its probability is not its own, in seconds.
        pause_s: what is absent for less goes on, in seconds.
    """

    on: float
    off: float
    shortest_s: float
    blur_s: float = 0.0
    pause_s: float = SHORTEST_SILENCE_S


@dataclass(frozen=True)
class Event:
    """A source sounds.

    Args:
        source: which.
        start_s, end_s: from when until when, in seconds.
    """

    source: str
    start_s: float
    end_s: float


def events_of(
    source: str,
    probabilities: NDArray[np.float32],
    step_s: float,
    end_s: float,
    rule: ActivityRule,
) -> list[Event]:
    """When a source sounds, to a step, in order.

    Args:
        source: its name.
        probabilities: (T,) of it, one each ``step_s``.
        step_s: seconds.
        end_s: of the track, in seconds.
        rule: what counts.
    """
    runs = _joined(_runs(probabilities, rule), rule.pause_s / step_s)
    events = [Event(source, a * step_s, min(b * step_s, end_s)) for a, b in runs]
    return [event for event in events if event.end_s - event.start_s >= rule.shortest_s - SAME_S]


def events_of_stretches(
    source: str,
    probabilities: NDArray[np.float32],
    step_s: float,
    edges_s: Sequence[float],
    silent: Sequence[bool],
    rule: ActivityRule,
) -> list[Event]:
    """In which stretches a source sounds: hysteresis from one to the next, in order.

    Args:
        source, probabilities, step_s, rule: as of `events_of`.
        edges_s: where one stretch ends and the next begins, the track's ends included.
        silent: of each stretch, whether nothing is heard in it, whatever the probabilities say.
    """
    spans = list(pairwise(edges_s))
    pooled = [
        0.0 if quiet else over_time(probabilities[:, None], span, step_s, rule.blur_s)[0]
        for span, quiet in zip(spans, silent, strict=True)
    ]
    runs = _runs(np.array(pooled, dtype=np.float32), rule)
    return [Event(source, spans[first][0], spans[stop - 1][1]) for first, stop in runs]


def over_time(
    probabilities: NDArray[np.float32], span: tuple[float, float], step_s: float, blur_s: float
) -> NDArray[np.float32]:
    """(T, C) probabilities in steps -> (C,) in a span of time, in seconds.

    What is within ``blur_s`` of the span's ends counts only at the ends of the track, or where the
    span has nothing else.
    """
    total = len(probabilities)
    if not total:
        return np.zeros(probabilities.shape[1], dtype=np.float32)
    start, end = span[0] / step_s, span[1] / step_s
    blur = blur_s / step_s
    first = 0 if start <= SAME_S else int(np.ceil(start + blur - SAME_S))
    stop = total if end >= total - 1 + SAME_S else int(np.floor(end - blur + SAME_S))
    if stop <= first or first >= total:
        first = min(int((start + min(end, total)) / 2), total - 1)
        stop = first + 1
    inside = probabilities[first:stop].astype(np.float64) ** _POWER
    return np.asarray(np.mean(inside, axis=0) ** (1 / _POWER), dtype=np.float32)


def moved_to(edges_s: NDArray[np.float64], event: Event, reach_s: float) -> Event:
    """The event, its ends moved to the nearest of the edges, where one is within reach."""
    if not edges_s.size:
        return event

    def nearest(time_s: float) -> float:
        edge_s = float(edges_s[np.argmin(np.abs(edges_s - time_s))])
        return edge_s if abs(edge_s - time_s) <= reach_s + SAME_S else time_s

    start_s, end_s = nearest(event.start_s), nearest(event.end_s)
    return replace(event, start_s=start_s, end_s=end_s) if start_s < end_s else event


def changes_of(
    events: Iterable[Event], end_s: float, apart_s: float, known_s: Iterable[float] = ()
) -> list[float]:
    """When the set of sources that sound changes, in order.

    What changes within ``apart_s`` changes at once: where one source takes another's place, neither
    its end nor the other's beginning is known exactly. It does so at the first of those times that
    are known exactly, or else in the middle. The beginning and the end of one event are two changes
    however short it is.

    Args:
        events: of all sources.
        end_s: of the track; its ends are no changes.
        apart_s: the shortest time between changes, in seconds.
        known_s: times that are known exactly.
    """
    edges = sorted(
        (time_s, number)
        for number, event in enumerate(events)
        for time_s in (event.start_s, event.end_s)
        if SAME_S < time_s < end_s - SAME_S
    )
    groups: list[list[tuple[float, int]]] = []
    for time_s, number in edges:
        last = groups[-1] if groups else []
        same = bool(last) and time_s - last[-1][0] < SAME_S
        near = bool(last) and time_s - last[0][0] < apart_s - SAME_S
        if same or (near and all(number != other for _, other in last)):
            last.append((time_s, number))
        else:
            groups.append([(time_s, number)])
    known = set(known_s)
    return [_agreed([time_s for time_s, _ in group], known) for group in groups]


def _agreed(times_s: Sequence[float], known: set[float]) -> float:
    return next((t for t in times_s if t in known), sum(times_s) / len(times_s))


def _runs(probabilities: NDArray[np.float32], rule: ActivityRule) -> list[tuple[int, int]]:
    """Steps [first, stop) that stay at ``off`` or above once they have reached ``on``."""
    found: list[tuple[int, int]] = []
    steps = np.diff(np.concatenate([[False], probabilities >= rule.off, [False]]).astype(np.int8))
    for first, stop in zip(np.flatnonzero(steps == 1), np.flatnonzero(steps == -1), strict=True):
        reached = np.flatnonzero(probabilities[first:stop] >= rule.on)
        if reached.size:
            found.append((int(first + reached[0]), int(stop)))
    return found


def _joined(runs: list[tuple[int, int]], pause: float) -> list[tuple[int, int]]:
    """The runs without the pauses that are shorter, in steps."""
    joined: list[tuple[int, int]] = []
    for first, stop in runs:
        if joined and first - joined[-1][1] < pause - SAME_S:
            joined[-1] = (joined[-1][0], stop)
        else:
            joined.append((first, stop))
    return joined
