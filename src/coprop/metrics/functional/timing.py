"""How near to the sound's changes the masks change, and how near control points lie to them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import pairwise
from math import isfinite
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from coprop.errors import CoPropError
from coprop.metrics.functional.checks import BoolSeries, series_of
from coprop.utils.checks import array_of, check_choice, number, shown, whole

TIME_SLACK_S = 1e-9
"""Times of this difference count as equal, so that 0.3 lies within 0.1 of 0.2 in floating point."""

EventKind = Literal["onset", "offset"]
"""Where something begins to be masked or to sound, and where it ends."""


class ControlPointScores(NamedTuple):
    """Shares in [0, 1] of the control points found and wanted that match each other."""

    precision: float
    recall: float
    f1: float


class ControlPointCounts(NamedTuple):
    """Control points of one clip or several: pairs, found, and true ones."""

    matched: int
    predicted: int
    true: int

    def scores(self) -> ControlPointScores:
        """Precision, recall and F1; where one set is empty, 1 if the other is too and else 0."""
        if not self.predicted or not self.true:
            score = float(self.predicted == self.true)
            return ControlPointScores(score, score, score)
        return ControlPointScores(
            self.matched / self.predicted,
            self.matched / self.true,
            2 * self.matched / (self.predicted + self.true),
        )


def control_point_counts(
    predicted_times: Sequence[float], true_times: Sequence[float], tolerance_s: float = 0.25
) -> ControlPointCounts:
    """Control points that match, one to one, as many as possible.

    Counts of clips are added up field by field for the scores of a dataset.

    Args:
        predicted_times: seconds, in any order; without the beginning, which is no change.
        true_times: likewise.
        tolerance_s: seconds that the two of a pair may be apart, at least 0; by default
            half the shortest time between two control points of the default detector.

    Raises:
        CoPropError: times that are not finite, or a negative tolerance.

    Example:
        >>> control_point_counts([1.1, 3.0], [1.0])
        ControlPointCounts(matched=1, predicted=2, true=1)
    """
    predicted = sorted(seconds_of(predicted_times, "predicted_times"))
    true = sorted(seconds_of(true_times, "true_times"))
    if not all(map(isfinite, [*predicted, *true])):
        raise CoPropError("control point times must be finite numbers of seconds.")
    tolerance_s = check_seconds(tolerance_s, "tolerance_s")
    matched = int(match_times(predicted, true, tolerance_s + TIME_SLACK_S).sum())
    return ControlPointCounts(matched, len(predicted), len(true))


def control_point_scores(
    predicted_times: Sequence[float], true_times: Sequence[float], tolerance_s: float = 0.25
) -> ControlPointScores:
    """Precision, recall and F1 of control points, each matched with at most one other.

    A prediction and a true control point may match if they are no further apart than the tolerance;
    the most pairs that can be formed are counted. Where nothing is predicted, the precision is 1 if
    there was nothing to find and else 0; where there is nothing to find, the recall is 1 if nothing
    is predicted and else 0. So two empty sets score 1 throughout, and one empty set 0.

    Args:
        predicted_times: seconds, in any order; without the beginning, which is no change.
        true_times: likewise.
        tolerance_s: seconds, at least 0.

    Raises:
        CoPropError: times that are not finite, or a negative tolerance.

    Example:
        >>> control_point_scores([1.1, 3.0], [1.0]).precision
        0.5
    """
    return control_point_counts(predicted_times, true_times, tolerance_s).scores()


def match_times(
    found_s: Sequence[float] | NDArray[np.float64],
    true_s: Sequence[float] | NDArray[np.float64],
    tolerance_s: float,
) -> NDArray[np.bool_]:
    """Which found times are paired with a true one, one to one, in as many pairs as possible.

    Taking the earliest pair that fits is optimal on a line: of two pairs that cross, the ends can
    be exchanged, and of two points out of reach of each other the earlier one is out of reach of
    all that follow.

    Args:
        found_s: (F,) increasing seconds.
        true_s: (N,) increasing seconds.
        tolerance_s: how far apart the two of a pair may be.

    Returns:
        (F,) True where a found time has a partner.

    Example:
        >>> match_times([1.1, 3.0], [1.0, 2.0], 0.25)
        array([ True, False])
    """
    matched = np.zeros(len(found_s), dtype=bool)
    i = j = 0
    while i < len(found_s) and j < len(true_s):
        if abs(found_s[i] - true_s[j]) <= tolerance_s:
            matched[i] = True
            i, j = i + 1, j + 1
        elif found_s[i] < true_s[j]:
            i += 1
        else:
            j += 1
    return matched


class EventErrors(NamedTuple):
    """Onsets or offsets of one clip, paired with the true ones."""

    errors_s: tuple[float, ...]
    """Seconds between the two of each pair, in order of time."""
    missed: int
    """True events without a partner."""
    false: int
    """Predicted events without a partner."""


def event_errors(
    predicted: BoolSeries,
    true: BoolSeries,
    times_s: Sequence[float] | NDArray[np.float64] | Tensor,
    *,
    kind: EventKind,
    limit_s: float = 1.0,
) -> EventErrors:
    """How far predicted onsets or offsets lie from the true ones.

    An onset is at the first frame of a run of True, an offset at the first frame after one. The
    first frame is no event: what came before it is not known, and a mask that is there from the
    beginning did not begin in time. Events are paired one to one, the two of a pair at most
    `limit_s` apart, in as many pairs as possible and of those with the least total error.

    Args:
        predicted: (T,) bool, whether something is masked in each frame.
        true: (T,) bool, whether something sounds.
        times_s: (T,) increasing seconds, when the frames are shown.
        kind: "onset" or "offset".
        limit_s: seconds, at least 0. Beyond one, the window of AVSBench's annotation, a mask
            is rather of another event than late.

    Raises:
        CoPropError: other than bool, lengths that differ, no frames, times that do not increase or
            are not finite, an unknown kind, a negative limit.

    Example:
        >>> event_errors([False, True], [False, True], [0.0, 0.5], kind="onset")
        EventErrors(errors_s=(0.0,), missed=0, false=0)
    """
    check_choice("kind", kind, get_args(EventKind))
    limit_s = check_seconds(limit_s, "limit_s")
    clock = seconds_of(times_s, "times_s")
    found = _events(series_of(predicted, "predicted"), clock, kind)
    wanted = _events(series_of(true, "true"), clock, kind)
    errors = _least_errors(found, wanted, limit_s + TIME_SLACK_S)
    return EventErrors(errors, len(wanted) - len(errors), len(found) - len(errors))


def near_changes(is_change: BoolSeries, frames: int) -> Tensor:
    """Which frames are within so many frames of a change, on either side.

    A change at frame t lies between t - 1 and t, so frames t - k to t + k - 1 are near it. The
    first frame is no change, whatever the series says.

    Args:
        is_change: (T,) bool, True for the first frame of what is new.
        frames: k, at least 0.

    Returns:
        (T,) bool.

    Raises:
        CoPropError: other than bool, no frames, a negative number.

    Example:
        >>> near_changes([False, False, True, False], frames=1)
        tensor([False,  True,  True, False])
    """
    changes = series_of(is_change, "is_change")
    wanted = "a whole number, 0 or more on each side of a change"
    frames = whole("frames", frames, wanted, low=0, high=sys.maxsize)
    near = torch.zeros_like(changes)
    for t in changes.nonzero().flatten().tolist():
        if t > 0:
            near[max(t - frames, 0) : t + frames] = True
    return near


def check_seconds(value: float, name: str) -> float:
    """A finite number of seconds, at least 0."""
    return number(name, value, "a number of seconds >= 0", low=0)


def seconds_of(times_s: Sequence[float] | NDArray[np.float64] | Tensor, name: str) -> list[float]:
    """(N,) times as numbers of seconds; N may be 0."""
    array = array_of(name, times_s)
    if array.ndim != 1 or (array.size and array.dtype == bool):
        raise CoPropError(f"{name} must be (N,) seconds, got {shown(times_s)}.")
    return [float(time) for time in array]


def _events(series: Tensor, clock: list[float], kind: EventKind) -> list[float]:
    if len(series) != len(clock):
        raise CoPropError(
            f"there must be a time for each frame, got {len(series)} frames and {len(clock)} times."
        )
    increasing = all(earlier < later for earlier, later in pairwise(clock))
    if not (increasing and all(map(isfinite, clock))):
        raise CoPropError("times_s must be finite seconds that increase from frame to frame.")
    active = kind == "onset"
    states = enumerate(pairwise(series.tolist()), start=1)
    return [clock[i] for i, (before, now) in states if now == active and before != active]


def _least_errors(found: list[float], true: list[float], limit_s: float) -> tuple[float, ...]:
    """Of the largest matchings within the limit, one of least total error.

    On a line two pairs that cross can be exchanged without loss, so the best for the first i and
    the first j events follows from the best for fewer: leave out one, or pair the last two.
    """
    best: list[tuple[int, float, tuple[float, ...]]] = [(0, 0.0, ())] * (len(true) + 1)
    for time in found:
        row = [best[0]]
        for j, other in enumerate(true):
            options = [best[j + 1], row[j]]
            error = abs(time - other)
            if error <= limit_s:
                pairs, total, errors = best[j]
                options.append((pairs + 1, total - error, (*errors, error)))
            row.append(max(options, key=lambda option: option[:2]))
        best = row
    return best[-1][2]
