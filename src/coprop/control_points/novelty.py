"""Change scores from sound alone: a small network over log-mel bands, evaluated in numpy.

A step of the 50 ms grid is described by the bands around it; the descriptions before and after it
are compared by their means over 0.2 to 2.5 s and their maxima over 0.3 to 1 s, so that a bark that
returns, a drum pattern or a melody looks the same on both sides while another source does not.
The idea is Foote's novelty (2000), with a learned description in place of the spectrum and several
context lengths. `scripts/fit_novelty.py` fits the weights (novelty.npz) to composed audio.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from coprop.control_points.features import log_mel, relative_log_mel
from coprop.types import AudioTrack

Weights = Mapping[str, NDArray[np.float32]]

DILATIONS = (1, 2, 4)
MEAN_RADII = (4, 12, 24, 50)
MAX_RADII = (6, 20)
NUM_CONTEXT_FEATURES = 1 + 2 * (len(MEAN_RADII) + len(MAX_RADII))
MIN_GAP_S = 0.5
_BLOCK_STEPS = 2400  # two minutes
_REACH_STEPS = 60  # steps on either side that a step's score depends on, at most


def novelty_scores(audio: AudioTrack) -> NDArray[np.float64]:
    """(T,) scores in [0, 1], one each 50 ms.

    At a peak, the score is the chance that the sounding sources change within a quarter second, as
    calibrated on composed audio.
    """
    weights = _default_weights()
    bands = relative_log_mel(log_mel(audio))
    logits = network_logits(bands, weights).astype(np.float64)
    slope, offset = weights["calibration"]
    return np.asarray(1.0 / (1.0 + np.exp(-(slope * logits + offset))))


def network_logits(bands: NDArray[np.float32], weights: Weights) -> NDArray[np.float32]:
    """(T,) logits of (2 T, 64) `relative_log_mel` bands, computed in blocks of two minutes."""
    total = len(bands) // 2
    pieces = []
    for first in range(0, total, _BLOCK_STEPS):
        last = min(first + _BLOCK_STEPS, total)
        low, high = max(first - _REACH_STEPS, 0), min(last + _REACH_STEPS, total)
        logits = _logits(bands[2 * low : 2 * high], weights)
        pieces.append(logits[first - low : last - low])
    return np.concatenate(pieces)


def _logits(bands: NDArray[np.float32], weights: Weights) -> NDArray[np.float32]:
    steps = np.maximum(_convolve(bands, weights, "stem", 5, stride=2), 0.0)
    for index, dilation in enumerate(DILATIONS):
        inner = np.maximum(_convolve(steps, weights, f"blocks.{index}.conv", 3, dilation), 0.0)
        steps = steps + _linear(inner, weights, f"blocks.{index}.mix")
    described = _linear(np.maximum(steps, 0.0), weights, "describe")
    hidden = np.maximum(_linear(context_features(described), weights, "hidden"), 0.0)
    return _linear(hidden, weights, "out")[:, 0]


def context_features(steps: NDArray[np.float32]) -> NDArray[np.float32]:
    """(T, C) descriptions to (T, 13 C): each with its differences between after and before."""
    parts = [steps]
    for radius in MEAN_RADII:
        difference = _mean_difference(steps, radius)
        parts += [np.abs(difference), difference]
    for radius in MAX_RADII:
        difference = _max_difference(steps, radius)
        parts += [np.abs(difference), difference]
    return np.concatenate(parts, axis=1)


def _mean_difference(steps: NDArray[np.float32], radius: int) -> NDArray[np.float32]:
    clock = np.arange(len(steps))
    low, high = np.maximum(clock - radius, 0), np.minimum(clock + radius, len(steps))
    sums = np.cumsum(np.pad(steps.astype(np.float64), ((1, 0), (0, 0))), axis=0)
    before = (sums[clock] - sums[low]) / np.maximum(clock - low, 1)[:, None]
    after = (sums[high] - sums[clock]) / (high - clock)[:, None]
    return np.asarray(after - before, dtype=np.float32)


def _max_difference(steps: NDArray[np.float32], radius: int) -> NDArray[np.float32]:
    padded = np.pad(steps, ((radius, radius), (0, 0)), mode="edge")
    maxima = padded[: len(padded) - radius + 1].copy()
    for shift in range(1, radius):
        np.maximum(maxima, padded[shift : shift + len(maxima)], out=maxima)
    return np.asarray(maxima[radius : radius + len(steps)] - maxima[: len(steps)])


def _linear(x: NDArray[np.float32], weights: Weights, name: str) -> NDArray[np.float32]:
    return x @ weights[f"{name}.weight"] + weights[f"{name}.bias"]


def _convolve(
    x: NDArray[np.float32],
    weights: Weights,
    name: str,
    taps: int,
    dilation: int = 1,
    stride: int = 1,
) -> NDArray[np.float32]:
    """(T, C) to (T / stride, D), with zeros beyond the ends."""
    reach = taps // 2 * dilation
    padded = np.pad(x, ((reach, reach), (0, 0)))
    columns = [padded[i * dilation : i * dilation + len(x) : stride] for i in range(taps)]
    return _linear(np.concatenate(columns, axis=1), weights, name)


@lru_cache(maxsize=1)
def _default_weights() -> Weights:
    with (files("coprop.control_points") / "novelty.npz").open("rb") as file:
        return {name: array.astype(np.float32) for name, array in np.load(file).items()}
