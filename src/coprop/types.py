"""The values that pass between the parts. All of them are immutable.

Times are seconds as float, measured from the first video frame (or the first sample, where there
is no video). Label maps use 0 for background.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from coprop.errors import CoPropError
from coprop.utils.brief import counted, numbers
from coprop.utils.checks import Sealed, array_of, as_number, number, read_only, shown
from coprop.values.audio import Audio as Audio
from coprop.values.audio import AudioTrack as AudioTrack
from coprop.values.categories import (
    Category,
    as_categories,
    as_label_names,
    categories_of_spans,
    probabilities_of_spans,
    words_of_spans,
)
from coprop.values.masks import FrameMask as FrameMask

SAME_S = 1e-6
"""Seconds; times that differ by less, by rounding, are the same. result.json has microseconds."""

Progress = Callable[[str, int, int | None], None]
"""Called as ``progress(step, completed, total)``; ``total`` is None where it is not known.

An exception raised inside it, `KeyboardInterrupt` included, cancels the work.
"""


@dataclass(frozen=True)
class Segment:
    """A span ``[start_s, end_s)`` inside which the set of sounding objects is constant.

    Of a result they reach from control point to control point, without silences (paper section
    3.2); each has a keyframe at its start, and more where it is longer than `max_segment_s`.

    Args:
        start_s: seconds.
        end_s: seconds, not before ``start_s``; infinite where it does not end.
        categories: what sounds in it, the best name first; empty where nobody said.
        label_names: what the labels of its masks stand for, where a keyframe model of several
            classes says so: pairs such as ``(2, "dog")``.

    Raises:
        CoPropError: no numbers, NaN, an end before the start, or categories or names of
            another type.
    """

    start_s: float
    end_s: float
    categories: tuple[Category, ...] = ()
    label_names: tuple[tuple[int, str], ...] = ()

    def __post_init__(self) -> None:
        start = number("start_s", self.start_s, "a finite number of seconds")
        endless = isinstance(self.end_s, float) and self.end_s == np.inf
        wanted = f"a number of seconds, not before the start at {start:g} s"
        end = float("inf") if endless else number("end_s", self.end_s, wanted, low=start)
        object.__setattr__(self, "start_s", start)
        object.__setattr__(self, "end_s", end)
        object.__setattr__(self, "categories", as_categories(self.categories))
        object.__setattr__(self, "label_names", as_label_names(self.label_names))

    def labelled(self, mask: FrameMask, names: Mapping[int, str]) -> Segment:
        """The same segment, with the names of the labels in one more of its masks."""
        seen = np.unique(mask.labels).tolist() if names else []
        found = {label: names[label] for label in seen if label in names}
        return replace(self, label_names=tuple({**dict(self.label_names), **found}.items()))


@dataclass(frozen=True, eq=False, repr=False)
class ControlPoints(Sealed):
    """Where the sounding objects change (paper section 3.2).

    Lists and tensors become read-only arrays of numpy.

    Args:
        times_s: (N,) finite, increasing, the first 0; the time at which each window's change, if
            it has one, happens.
        scores: (N,) in [0, 1]; how sure the detector is that the sources change there.
        flags: (N,) bool; True at the control points. The first, the beginning, is always True.
        categories: what is heard from each control point to the next, in words: as many tuples of
            words as there are flags set, empty ones where nothing is named. None from a detector
            that does not tell.
        probabilities: of each of those words, in [0, 1]; None where they are not known.

    Raises:
        CoPropError: anything else.
    """

    times_s: NDArray[np.float64]
    scores: NDArray[np.float64]
    flags: NDArray[np.bool_]
    categories: tuple[tuple[str, ...], ...] | None = None
    probabilities: tuple[tuple[float, ...], ...] | None = None

    def __post_init__(self) -> None:
        times, scores, flags = self._arrays()
        if not flags[0]:
            raise CoPropError("the first flag must be set: the beginning is a control point.")
        if not np.all(np.isfinite(times)):
            raise CoPropError("times_s must be finite seconds, got NaN or infinite ones.")
        if abs(times[0]) > SAME_S:
            raise CoPropError(
                f"times_s must begin at 0, where the audio does, got {times[0]:g} s; put a 0 "
                "first, with the score 1 and the flag set."
            )
        if np.any(np.diff(times) <= 0):
            raise CoPropError("times_s must increase.")
        if not (np.all(scores >= 0) and np.all(scores <= 1)):
            raise CoPropError("scores must lie in [0, 1].")
        for name, array in (("times_s", times), ("scores", scores), ("flags", flags)):
            object.__setattr__(self, name, read_only(array))
        words = words_of_spans(self.categories, int(flags.sum()))
        object.__setattr__(self, "categories", words)
        known = probabilities_of_spans(self.probabilities, words)
        object.__setattr__(self, "probabilities", known)

    def _arrays(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
        times = array_of("times_s", self.times_s)
        scores, flags = array_of("scores", self.scores), array_of("flags", self.flags)
        shapes = [array.shape for array in (times, scores, flags)]
        if len(set(shapes)) != 1 or times.ndim != 1 or not times.size:
            raise CoPropError(
                "control points need times_s, scores and flags of one length N >= 1, each (N,), "
                f"got shapes {', '.join(map(str, shapes))}."
            )
        if flags.dtype != np.bool_:
            raise CoPropError(
                f"flags must be bool, got {flags.dtype}; for 0 and 1 give flags.astype(bool)."
            )
        if "b" in (times.dtype.kind, scores.dtype.kind):
            raise CoPropError("times_s and scores must be numbers, got bool.")
        return times.astype(np.float64), scores.astype(np.float64), flags

    def __repr__(self) -> str:
        changes = self.change_times_s
        told = counted(len(changes), "change")
        if changes:
            told += f" at {numbers(changes, 2)} s"
        named = dict.fromkeys(word for words in self.categories or () for word in words)
        if named:
            told += f", {', '.join([*named][:6])}"
        return f"ControlPoints({told}, {counted(len(self.times_s), 'step')})"

    @property
    def change_times_s(self) -> tuple[float, ...]:
        """Times of the changes: every flagged time but the first."""
        return tuple(float(t) for t in self.times_s[self.flags][1:])

    def categories_at(self, time_s: float) -> tuple[str, ...] | None:
        """The words for what is heard around a time; None where the detector does not tell."""
        if self.categories is None:
            return None
        return self.categories[self._span_at(time_s)]

    def named_at(self, time_s: float) -> tuple[Category, ...] | None:
        """What is heard around a time, by the detector's words; None where it does not tell.

        Words that come without probabilities, as a language model's do, have been said to be heard:
        they have 1.
        """
        if self.categories is None:
            return None
        span = self._span_at(time_s)
        words = self.categories[span]
        known = (1.0,) * len(words) if self.probabilities is None else self.probabilities[span]
        return tuple(map(Category, words, known))

    def _span_at(self, time_s: float) -> int:
        begun = int(np.searchsorted(self.times_s[self.flags], time_s + SAME_S, side="right"))
        return max(begun - 1, 0)

    def spans(self, end_s: float) -> tuple[Segment, ...]:
        """From each control point to the next, in silence too; the last ends at ``end_s``.

        A result's segments are these without silence. Words have their probabilities, if known.

        Raises:
            CoPropError: an end that is no number.
        """
        found = as_number(end_s)
        if found is None or math.isnan(found):
            raise CoPropError(f"end_s must be a number of seconds, got {shown(end_s)}.")
        end_s = float(found)
        starts = [t for t in self.times_s[self.flags] if t < end_s] or [self.times_s[0]]
        edges = [float(t) for t in starts] + [max(end_s, float(starts[-1]))]
        heard = categories_of_spans(self.categories, self.probabilities)
        return tuple(Segment(*span, next(heard)) for span in pairwise(edges))


class WindowDetector(Protocol):
    """A detector that can be asked for one flag in each of N windows.

    `ControlPointDetector` and its language model's kin are such, and functions called like them.
    """

    def __call__(self, audio: AudioTrack, /, *, windows: int | None) -> ControlPoints: ...
