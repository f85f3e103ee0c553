"""The values that pass between the parts. All of them are immutable.

Times are seconds as float, measured from the first video frame (or the first sample, where there
is no video). Label maps use 0 for background.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coprop.errors import AudioError, CoPropError
from coprop.mixdown import to_mono

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


@dataclass(frozen=True, eq=False)
class Audio:
    """Mono sound in memory.

    Args:
        samples: (n,) float32 in [-1, 1]. Use `from_array` for stereo or integer samples.
        sample_rate: samples per second, in Hz.

    Raises:
        AudioError: not one-dimensional, not float, or with NaN or infinite samples.
    """

    samples: NDArray[np.float32]
    sample_rate: int

    def __post_init__(self) -> None:
        samples = np.asarray(self.samples)
        if self.sample_rate <= 0:
            raise AudioError(f"sample_rate must be positive, got {self.sample_rate}.")
        if samples.ndim != 1 or not np.issubdtype(samples.dtype, np.floating):
            raise AudioError(
                f"Audio takes mono float samples of shape (n,), got {samples.dtype} of shape "
                f"{samples.shape}; Audio.from_array() mixes channels down and scales integers."
            )
        bad = np.flatnonzero(~np.isfinite(samples))
        if bad.size:
            raise AudioError(
                f"{bad.size} of {samples.size} samples are NaN or infinite, the first at "
                f"{bad[0] / self.sample_rate:.3f} s; replace them, for instance with "
                "numpy.nan_to_num()."
            )
        object.__setattr__(self, "samples", np.ascontiguousarray(samples, dtype=np.float32))

    @classmethod
    def from_array(cls, samples: ArrayLike, sample_rate: int) -> Audio:
        """Mono sound from (n,), (channels, n) or (n, channels) samples, float or signed integer.

        The shorter axis of a two-dimensional array is taken for the channels, which are averaged;
        where they would cancel each other, the loudest is taken. Integers are divided by their
        type's largest magnitude.

        Raises:
            AudioError: other shapes or types, or samples that are not finite.
        """
        array = np.asarray(samples)
        if array.ndim == 2:
            rate = cls(np.zeros(0, dtype=np.float32), sample_rate).sample_rate  # checked
            channels = np.moveaxis(_as_float(array), int(np.argmin(array.shape)), 0)
            array = to_mono(channels, rate)
        return cls(_as_float(array), sample_rate)

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
        if sample_rate == self.sample_rate:
            return self
        from coprop.media.resample import resample  # PyAV is loaded only where it is needed

        return Audio(resample(self.samples, self.sample_rate, sample_rate), sample_rate)


def _as_float(array: NDArray[Any]) -> NDArray[np.float32]:
    if np.issubdtype(array.dtype, np.signedinteger):
        return np.asarray(array / -float(np.iinfo(array.dtype).min), dtype=np.float32)
    if np.issubdtype(array.dtype, np.floating):
        return array.astype(np.float32)
    raise AudioError(f"audio samples must be float or signed integer, got {array.dtype}.")


@dataclass(frozen=True)
class Segment:
    """A span ``[start_s, end_s)`` inside which the set of sounding objects is constant."""

    start_s: float
    end_s: float


@dataclass(frozen=True, eq=False)
class ControlPoints:
    """Where the sounding objects change (paper section 3.2).

    Args:
        times_s: (N,) increasing; the time at which each window's change, if it has one, happens.
        scores: (N,) in [0, 1]; how sure the detector is that the sources change there.
        flags: (N,) bool; True where a segment begins. The first is always True.
        categories: what is heard in the track, in words; None from a detector that does not tell.
    """

    times_s: NDArray[np.float64]
    scores: NDArray[np.float64]
    flags: NDArray[np.bool_]
    categories: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        times, scores, flags = self.times_s, self.scores, self.flags
        if not (len(times) == len(scores) == len(flags) > 0):
            raise CoPropError(
                "control points need times_s, scores and flags of one length N >= 1, got "
                f"{len(times)}, {len(scores)} and {len(flags)}."
            )
        if not flags[0]:
            raise CoPropError("the first flag must be set: a segment begins where the audio does.")
        if np.any(np.diff(times) <= 0):
            raise CoPropError("times_s must increase.")
        if not (np.all(scores >= 0) and np.all(scores <= 1)):
            raise CoPropError("scores must lie in [0, 1].")

    @property
    def change_times_s(self) -> tuple[float, ...]:
        """Times of the changes: every flagged time but the first."""
        return tuple(float(t) for t in self.times_s[self.flags][1:])

    def segments(self, end_s: float) -> tuple[Segment, ...]:
        """The segments between the control points; the last one ends at ``end_s``."""
        starts = [t for t in self.times_s[self.flags] if t < end_s] or [self.times_s[0]]
        edges = [float(t) for t in starts] + [max(end_s, float(starts[-1]))]
        return tuple(Segment(start, end) for start, end in pairwise(edges))


class WindowDetector(Protocol):
    """A detector that can be asked for one flag in each of N windows.

    `ControlPointDetector` and its language model's kin are such, and functions called like them.
    """

    def __call__(self, audio: AudioTrack, /, *, windows: int | None) -> ControlPoints: ...


@dataclass(frozen=True, eq=False)
class FrameMask:
    """What sounds in one frame.

    Args:
        index: the frame's number, from 0.
        time_s: when it is shown.
        labels: (H, W) uint8 at the frame's own size: 0 is background; 1 is "sounding" (binary
            models) or the class id (semantic models).
        probabilities: (C, H, W) float32 in [0, 1], summing to one over C. None where they were
            not kept.
        classes: the label that each of the C channels stands for; the first is 0, background.
        is_keyframe: True where the mask is the keyframe segmenter's own, False where propagated.
    """

    index: int
    time_s: float
    labels: NDArray[np.uint8]
    probabilities: NDArray[np.float32] | None
    classes: tuple[int, ...]
    is_keyframe: bool

    @property
    def area(self) -> float:
        """Share of the frame that sounds, in [0, 1]."""
        return float(np.count_nonzero(self.labels) / max(self.labels.size, 1))
