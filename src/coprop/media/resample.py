"""Changing the sample rate of mono sound, whole or block by block."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

from coprop.errors import AudioError
from coprop.values.audio import HIGHEST_RATE

BLOCK = 1 << 16
"""Samples handled at once where sound is processed piece by piece."""


class Resampler:
    """Resamples a stream of mono blocks with FFmpeg's band-limited resampler.

    The output is aligned with the input (no filter delay) and, once flushed, has
    ``ceil(n * to_rate / from_rate)`` samples for n samples in.

    Args:
        from_rate: samples per second of what goes in, in Hz.
        to_rate: samples per second of what comes out, in Hz.

    Raises:
        AudioError: a rate that is not from 1 to 10,000,000.
    """

    def __init__(self, from_rate: int, to_rate: int) -> None:
        if from_rate <= 0 or to_rate <= 0:
            raise AudioError(f"sample rates must be positive, got {from_rate} and {to_rate} Hz.")
        if max(from_rate, to_rate) > HIGHEST_RATE:
            raise AudioError(
                f"sample rates must be {HIGHEST_RATE} Hz at most, got {from_rate} and {to_rate} "
                "Hz; the file's header may be damaged."
            )
        self._from_rate, self._to_rate = from_rate, to_rate
        self._resampler = av.AudioResampler(format="fltp", layout="mono", rate=to_rate)
        self._taken = self._given = 0

    def feed(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Takes (n,) samples and returns those that are ready, (m,) with m >= 0."""
        if self._from_rate == self._to_rate or samples.size == 0:
            return samples
        block = np.ascontiguousarray(samples, dtype=np.float32)[None]
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
        frame.sample_rate = self._from_rate
        frame.pts, frame.time_base = self._taken, Fraction(1, self._from_rate)
        self._taken += len(samples)
        ready = _joined(self._resampler.resample(frame))
        self._given += len(ready)
        return ready

    def flush(self) -> NDArray[np.float32]:
        """The samples still inside; nothing may be fed after it."""
        if self._taken == 0:
            return np.zeros(0, dtype=np.float32)
        rest = _joined(self._resampler.resample(None))
        missing = -(-self._taken * self._to_rate // self._from_rate) - self._given
        return np.pad(rest, (0, max(missing - len(rest), 0)))[: max(missing, 0)]


def resample(samples: NDArray[np.float32], from_rate: int, to_rate: int) -> NDArray[np.float32]:
    """Mono sound at another sample rate.

    Args:
        samples: (n,) float samples.
        from_rate: their rate, in Hz.
        to_rate: the wanted rate, in Hz.

    Returns:
        (ceil(n * to_rate / from_rate),) float32, aligned with the input.

    Raises:
        AudioError: samples that are not one-dimensional, or a rate that is not positive.
    """
    samples = np.asarray(samples, dtype=np.float32)
    if samples.ndim != 1:
        raise AudioError(f"resample() takes mono samples of shape (n,), got {samples.shape}.")
    resampler = Resampler(from_rate, to_rate)
    blocks = [resampler.feed(samples[i : i + BLOCK]) for i in range(0, len(samples), BLOCK)]
    return np.concatenate([*blocks, resampler.flush()])


def _joined(frames: list[av.AudioFrame]) -> NDArray[np.float32]:
    parts = [np.asarray(frame.to_ndarray()[0], dtype=np.float32) for frame in frames]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32)
