"""Change scores as cosine distances between embeddings of windows of sound."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coprop.control_points.features import FRAMES_PER_STEP, STEP_S, log_mel, num_steps
from coprop.errors import CoPropError
from coprop.types import AudioTrack
from coprop.utils.checks import array_of, check_function, number, whole
from coprop.values.audio import HIGHEST_RATE

Embed = Callable[[NDArray[np.float32]], ArrayLike]
"""(n, m) float32 samples of n windows to (n, d) finite embeddings."""

_BATCH_S = 30.0  # of sound at once, so that memory does not grow with the track
_CONTEXT_S = 2.0  # of sound on either side of a step, over which embeddings are averaged
LONGEST_WINDOW_S = 3600  # an hour: what is longer was meant in another unit


class Embedding:
    """Embeddings of the windows of a track, and the change scores that compare them.

    Args:
        embed: (n, m) samples to (n, d); None for the mean of the log-mel bands over the window,
            in dB above -80.
        sample_rate: the rate that ``embed`` takes, in Hz; None for the track's own.
        window_s: window length on the fine grid, in seconds, from 0.05 to 3600.

    Raises:
        CoPropError: no such function, or a window or sample rate out of its range.
    """

    def __init__(self, embed: Embed | None, sample_rate: int | None, window_s: float) -> None:
        if embed is not None:
            check_function("embed", embed, ("samples",), "a function of samples")
        wanted = f"a positive number of seconds, from {STEP_S:g} to {LONGEST_WINDOW_S}"
        window_s = number("window_s", window_s, wanted, low=STEP_S, high=LONGEST_WINDOW_S)
        if sample_rate is not None:
            wanted = f"positive Hz, whole, {HIGHEST_RATE} at most, or None for the track's own"
            sample_rate = whole("sample_rate", sample_rate, wanted, low=1, high=HIGHEST_RATE)
        self.embed = embed
        self.sample_rate = sample_rate
        self.window_s = window_s

    def cosine_scores(self, audio: AudioTrack, windows: int | None) -> NDArray[np.float64]:
        """Distances of consecutive windows, or of those before and after each 50 ms step."""
        if windows is not None:
            duration_s = audio.duration_s or 1.0
            starts_s = np.arange(windows) * duration_s / windows
            vectors = self._vectors(audio, starts_s, duration_s / windows)
            return np.asarray(np.r_[0.0, cosine_distance(vectors[:-1], vectors[1:])])
        lag = max(1, round(self.window_s / STEP_S))
        vectors = self._vectors(audio, *self._fine_windows(audio, lag))
        return cosine_distance(vectors[:-lag], vectors[lag:])

    def novelty_scores(self, audio: AudioTrack) -> NDArray[np.float64]:
        """(T,) distances of the mean embeddings over up to two seconds before and after a step."""
        steps = num_steps(audio)
        lag = max(1, round(self.window_s / STEP_S))
        vectors = self._vectors(audio, *self._fine_windows(audio, 0))
        clock, context = np.arange(steps), max(1, round(_CONTEXT_S / STEP_S))
        sums = np.cumsum(np.pad(vectors, ((1, 0), (0, 0))), axis=0)
        stop = np.maximum(clock - lag + 1, 0)  # windows that end before the step
        before = sums[stop] - sums[np.maximum(stop - context, 0)]
        after = sums[np.minimum(clock + context, steps)] - sums[clock]
        return np.where(stop > 0, cosine_distance(before, after), 0.0)

    def _fine_windows(self, audio: AudioTrack, lag: int) -> tuple[NDArray[np.float64], float]:
        """Start times, from ``lag`` steps before the track, moved to lie inside it, and length."""
        starts_s = (np.arange(num_steps(audio) + lag) - lag) * STEP_S
        return np.clip(starts_s, 0.0, max(audio.duration_s - self.window_s, 0.0)), self.window_s

    def _vectors(
        self, audio: AudioTrack, starts_s: NDArray[np.float64], length_s: float
    ) -> NDArray[np.float64]:
        if self.embed is None:
            return _mean_bands(audio, starts_s, length_s)
        track = audio if self.sample_rate is None else audio.resampled(self.sample_rate)
        batches = [_embedded(self.embed, b) for b in _window_batches(track, starts_s, length_s)]
        if len({batch.shape[1] for batch in batches}) > 1:
            raise CoPropError(
                "embed returned embeddings of different sizes for different batches: "
                f"{sorted({batch.shape[1] for batch in batches})}; they must all have one size."
            )
        return np.concatenate(batches)


def cosine_distance(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) 1 - cosine similarity of the rows of two (n, d), clipped to [0, 1].

    Two zero rows are equal (distance 0); a zero row and another are not alike at all (1).
    """
    norm_a, norm_b = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
    product = norm_a * norm_b
    similarity = np.sum(a * b, axis=1) / np.where(product > 0.0, product, 1.0)
    similarity[(norm_a == 0.0) & (norm_b == 0.0)] = 1.0
    return np.asarray(np.clip(1.0 - similarity, 0.0, 1.0))


def _mean_bands(
    audio: AudioTrack, starts_s: NDArray[np.float64], length_s: float
) -> NDArray[np.float64]:
    """(n, 64) means over each window of the bands in dB above -80."""
    bands = np.maximum(log_mel(audio).astype(np.float64) + 80.0, 0.0)
    sums = np.cumsum(np.pad(bands, ((1, 0), (0, 0))), axis=0)
    rate = FRAMES_PER_STEP / STEP_S
    low = np.minimum(np.round(starts_s * rate).astype(int), len(bands) - 1)
    high = np.clip(np.round((starts_s + length_s) * rate).astype(int), low + 1, len(bands))
    return np.asarray((sums[high] - sums[low]) / (high - low)[:, None])


def _window_batches(
    track: AudioTrack, starts_s: NDArray[np.float64], length_s: float
) -> Iterator[NDArray[np.float32]]:
    """(n, m) batches of at most thirty seconds of sound, or of one window."""
    width = max(1, round(length_s * track.sample_rate))
    size = max(1, int(_BATCH_S * track.sample_rate) // width)
    starts = np.round(starts_s * track.sample_rate).astype(int)
    for first in range(0, len(starts), size):
        yield np.stack([track.read(int(s), int(s) + width) for s in starts[first : first + size]])


def _embedded(embed: Embed, samples: NDArray[np.float32]) -> NDArray[np.float64]:
    vectors = array_of("what embed returns", embed(samples)).astype(np.float64)
    if vectors.ndim != 2 or len(vectors) != len(samples) or not vectors.shape[1]:
        raise CoPropError(
            f"embed was given {len(samples)} windows, samples of shape {samples.shape}, and must "
            f"return one embedding for each, of shape ({len(samples)}, d); got {vectors.shape}."
        )
    if not np.all(np.isfinite(vectors)):
        raise CoPropError(
            "embed returned NaN or infinite values; embeddings must be finite, also for silence."
        )
    return vectors
