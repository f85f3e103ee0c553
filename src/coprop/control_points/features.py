"""Log-mel features of a track of any length and any sample rate, in numpy.

The track is read in blocks, so only the features, some 10 kB a second, grow with its length.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from coprop.types import AudioTrack

STEP_S = 0.05
"""The fine grid on which changes are located, in seconds."""

MOST_WINDOWS = 1_000_000
"""A day in windows of a tenth of a second."""

FRAMES_PER_STEP = 2
NUM_BANDS = 64
LOWEST_HZ, HIGHEST_HZ = 50.0, 7600.0  # below the Nyquist frequency of 16 kHz
FLOOR_DB = -100.0  # of full scale; digital silence counts as this
_WINDOW_S = 0.05  # two hops: neighbouring frames overlap by half
_FRAMES_PER_BLOCK = 400  # ten seconds of sound


def num_steps(audio: AudioTrack) -> int:
    """Steps of the fine grid that the track covers; an empty track has one."""
    return max(1, math.ceil(round(audio.num_samples / audio.sample_rate / STEP_S, 6)))


def log_mel(audio: AudioTrack) -> NDArray[np.float32]:
    """(T, 64) band powers in dB relative to full scale, one frame each 25 ms.

    Frame t is centred on t * 0.025 s and T is twice `num_steps`. Bands are spaced evenly in mel
    from 50 to 7600 Hz; those above the track's Nyquist frequency stay at -100 dB, the floor. The
    scale is the same at every sample rate: a sine of amplitude 1 inside one band is near 0 dB.
    """
    total = FRAMES_PER_STEP * num_steps(audio)
    blocks = [
        _block(audio, first, min(first + _FRAMES_PER_BLOCK, total))
        for first in range(0, total, _FRAMES_PER_BLOCK)
    ]
    return np.concatenate(blocks)


def _block(audio: AudioTrack, first: int, last: int) -> NDArray[np.float32]:
    rate = audio.sample_rate
    width = max(2, round(_WINDOW_S * rate))
    hop_s = STEP_S / FRAMES_PER_STEP
    starts = np.round(np.arange(first, last) * hop_s * rate).astype(np.int64) - width // 2
    samples = audio.read(int(starts[0]), int(starts[-1]) + width)
    frames = np.lib.stride_tricks.sliding_window_view(samples, width)[starts - starts[0]]
    size = 2 ** math.ceil(math.log2(width))
    spectrum = np.fft.rfft(frames * _hann(width), size, axis=1)
    power = (np.abs(spectrum) ** 2).astype(np.float32) @ _mel_filters(rate, width, size)
    decibels = 10.0 * np.log10(np.maximum(power, 10.0 ** (FLOOR_DB / 10.0)))
    return np.asarray(np.maximum(decibels, FLOOR_DB), dtype=np.float32)


@lru_cache(maxsize=8)
def _hann(width: int) -> NDArray[np.float32]:
    window = 0.5 - 0.5 * np.cos(2.0 * np.pi * (np.arange(width) + 0.5) / width)
    return (2.0 * window / np.sum(window)).astype(np.float32)


@lru_cache(maxsize=8)
def _mel_filters(rate: int, width: int, size: int) -> NDArray[np.float32]:
    """(size // 2 + 1, bands) triangles on the mel scale, weighted to be independent of the rate."""
    mel_low, mel_high = _mel(LOWEST_HZ), _mel(HIGHEST_HZ)
    spacing = (mel_high - mel_low) / (NUM_BANDS + 1)
    centres = mel_low + spacing * np.arange(1, NUM_BANDS + 1)
    hertz = np.arange(size // 2 + 1) * rate / size
    mels = np.array([_mel(f) for f in hertz])
    triangles = np.maximum(0.0, 1.0 - np.abs(mels[:, None] - centres) / spacing)
    bins_per_window_bin = size / width
    return np.asarray(triangles / (1.5 * bins_per_window_bin), dtype=np.float32)


def _mel(hertz: float) -> float:
    return 2595.0 * math.log10(1.0 + hertz / 700.0)
