"""The values that pass between the parts. All of them are immutable.

Times are seconds as float, measured from the first video frame (or the first sample, where there
is no video). Label maps use 0 for background.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coprop.errors import AudioError, CoPropError
from coprop.utils.brief import counted, numbers
from coprop.utils.checks import (
    Sealed,
    array_of,
    as_number,
    number,
    read_only,
    sealed,
    shown,
    whole,
)
from coprop.values.categories import (
    Category,
    as_categories,
    as_label_names,
    categories_of_spans,
    probabilities_of_spans,
    words_of_spans,
)
from coprop.values.masks import FrameMask as FrameMask
from coprop.values.mixdown import to_mono

SAME_S = 1e-6
"""Seconds; times that differ by less, by rounding, are the same. result.json has microseconds."""

HIGHEST_RATE = 10_000_000
"""Hz. FFmpeg counts in 32 bits; no sound is recorded so, and its windows would fill the memory."""

LOUDEST = 8.0
"""18 dB over full scale: float recordings overshoot, integers that were not scaled are beyond."""

Progress = Callable[[str, int, int | None], None]
"""Called as ``progress(step, completed, total)``; ``total`` is None where it is not known.

An exception raised inside it, `KeyboardInterrupt` included, cancels the work.
"""


class AudioTrack(Protocol):
    """Mono sound that is read piece by piece: in memory (`Audio`) or decoded from a file."""

    @property
    def sample_rate(self) -> int:
        """Samples per second, in Hz."""
        ...

    @property
    def num_samples(self) -> int:
        """Length in samples."""
        ...

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        ...

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        """Samples ``start`` to ``stop`` (exclusive) as (stop - start,) float32 in [-1, 1].

        Positions before the beginning or after the end read as zeros.
        """
        ...

    def resampled(self, sample_rate: int) -> AudioTrack:
        """The same sound at another sample rate (itself, where the rate is equal)."""
        ...


@dataclass(frozen=True, eq=False, repr=False)
class Audio(Sealed):
    """Mono sound in memory.

    Args:
        samples: (n,) float32 in [-1, 1]; peaks of up to 8 (18 dB over full scale) pass. Use
            `from_array` for stereo or integer samples. Kept as a read-only array.
        sample_rate: samples per second, in Hz; a whole number.

    Raises:
        AudioError: not one-dimensional, not float, with NaN or infinite samples or some far
            outside [-1, 1], or a rate that is no whole number from 1 to 10,000,000.
    """

    samples: NDArray[np.float32]
    sample_rate: int

    never_changes: ClassVar[bool] = True  # so that what is made of it may be kept

    def __post_init__(self) -> None:
        rate = as_rate(self.sample_rate)
        samples = array_of("samples", self.samples, error=AudioError)
        if samples.ndim != 1 or samples.dtype.kind != "f":
            raise AudioError(
                f"Audio takes mono float samples of shape (n,), got {samples.dtype} of shape "
                f"{samples.shape}; Audio.from_array() mixes channels down and scales integers."
            )
        _check_samples(samples, rate)
        samples = np.ascontiguousarray(samples, dtype=np.float32)
        object.__setattr__(self, "samples", read_only(samples))
        object.__setattr__(self, "sample_rate", rate)

    @classmethod
    def from_array(cls, samples: ArrayLike, sample_rate: int) -> Audio:
        """Mono sound from (n,), (channels, n) or (n, channels) samples, float or signed integer.

        The shorter axis of a two-dimensional array is taken for the channels, which are averaged;
        where they would cancel each other, the loudest is taken. Integers are divided by their
        type's largest magnitude; those of 64 bits are refused, since no sound has them and their
        scale is not known.

        Raises:
            AudioError: other shapes or types, or samples that are not finite.
        """
        array = array_of("samples", samples, error=AudioError)
        if array.ndim == 2:
            if 0 in array.shape:
                raise AudioError(f"there are no samples in an array of shape {array.shape}.")
            rate = cls(np.zeros(0, dtype=np.float32), sample_rate).sample_rate  # checked
            channels = np.moveaxis(_as_float(array), int(np.argmin(array.shape)), 0)
            array = to_mono(channels, rate)
        return cls(_as_float(array), sample_rate)

    def __repr__(self) -> str:
        samples = counted(self.num_samples, "sample")
        return f"Audio({samples} at {self.sample_rate} Hz, {self.duration_s:.3f} s)"

    @property
    def num_samples(self) -> int:
        return len(self.samples)

    @property
    def duration_s(self) -> float:
        return len(self.samples) / self.sample_rate

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        window = np.zeros(max(stop - start, 0), dtype=np.float32)
        first, last = max(start, 0), min(stop, len(self.samples))
        if last > first:
            window[first - start : last - start] = self.samples[first:last]
        return window

    def resampled(self, sample_rate: int) -> Audio:
        """The same sound at another sample rate; each rate is made once, and kept with it."""
        rate = as_rate(sample_rate)
        if rate == self.sample_rate:
            return self
        copies: dict[int, Audio] = vars(self).setdefault("_copies", {})
        if rate not in copies:
            copies[rate] = self._converted(rate)
        return copies[rate]

    def __getstate__(self) -> dict[str, Any]:
        return {"samples": self.samples, "sample_rate": self.sample_rate}

    def _converted(self, rate: int) -> Audio:
        from coprop.media.resample import resample  # PyAV is loaded only where it is needed

        samples = resample(self.samples, self.sample_rate, rate)
        np.clip(samples, -LOUDEST, LOUDEST, out=samples)  # the filter overshoots
        return Audio(sealed(samples), rate)


def as_rate(value: object) -> int:
    """A sample rate in Hz as an int.

    Raises:
        AudioError: no whole number from 1 to 10,000,000.
    """
    wanted = "a whole number of samples per second, from 1 to 10,000,000"
    return whole("sample_rate", value, wanted, low=1, high=HIGHEST_RATE, error=AudioError)


def _check_samples(samples: NDArray[Any], rate: int) -> None:
    """Finite, and not far outside [-1, 1]."""
    peak = float(max(samples.max(), -samples.min())) if samples.size else 0.0
    if peak <= LOUDEST:
        return
    bad = np.flatnonzero(~np.isfinite(samples))
    if bad.size:
        raise AudioError(
            f"{bad.size} of {samples.size} samples are NaN or infinite, the first at "
            f"{bad[0] / rate:.3f} s; replace them, for instance with numpy.nan_to_num()."
        )
    raise AudioError(
        f"float samples lie in [-1, 1], got a peak of {peak:.6g}; divide them by "
        f"{full_scale(peak):g}, or give integers to Audio.from_array(), which scales them."
    )


def full_scale(peak: float) -> float:
    """Full scale of the integers that such a peak may come from, or else the peak itself."""
    scales = (2.0**7, 2.0**15, 2.0**23, 2.0**31)
    return next((scale for scale in scales if peak <= scale), peak)


def _as_float(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype == np.int64:  # what lists and sums of shorter samples become: near silence
        raise AudioError(
            "audio samples are integers of 64 bits, whose scale is not known; give them in the "
            "type that they were recorded in, most often samples.astype('int16')."
        )
    if np.issubdtype(array.dtype, np.signedinteger):
        return np.asarray(array / -float(np.iinfo(array.dtype).min), dtype=np.float32)
    if np.issubdtype(array.dtype, np.floating):
        return array if array.dtype == np.float64 else array.astype(np.float32)
    raise AudioError(f"audio samples must be float or signed integer, got {array.dtype}.")


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
