"""Mono sound: what reads it piece by piece, and that in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coprop.errors import AudioError
from coprop.utils.brief import counted
from coprop.utils.checks import Sealed, array_of, read_only, sealed, whole
from coprop.values.mixdown import to_mono

HIGHEST_RATE = 10_000_000
"""Hz. FFmpeg counts in 32 bits; no sound is recorded so, and its windows would fill the memory."""

LOUDEST = 8.0
"""18 dB over full scale: float recordings overshoot, integers that were not scaled are beyond."""


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
