"""Taggers whose answers are known, and the sounds that they are asked about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coprop.types import Audio

RATE, STEP = 1000, 100
LEVELS = {"": 0.0, "a": 0.25, "b": 0.5, "ab": 0.75}


@dataclass
class ByLevel:
    """Hears "a" at an amplitude of 0.25, "b" at 0.5 and both at 0.75, in steps of 0.1 s."""

    words: tuple[str, ...] = ("a", "b")
    sample_rate: int = RATE
    step_s: float = STEP / RATE
    piece_s: float = 3.0
    context_s: float = 0.5

    def __call__(self, samples: NDArray[np.float32]) -> NDArray[np.float64]:
        steps = -(-len(samples) // STEP)
        level = np.array([np.abs(samples[i * STEP : (i + 1) * STEP]).mean() for i in range(steps)])
        heard = [np.isin(np.round(level * 4), values) for values in ([1, 3], [2, 3])]
        return np.stack(heard, axis=1) * 0.9 + 0.02


@dataclass
class Reaching:
    """Says of each step the largest and smallest sample in the ``reach`` steps around it."""

    words: tuple[str, ...] = ("largest", "smallest")
    sample_rate: int = RATE
    step_s: float = STEP / RATE
    piece_s: float = 3.0
    context_s: float = 0.5
    reach: int = 5

    def __call__(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        steps = -(-len(samples) // STEP)
        around = [
            samples[max(i - self.reach, 0) * STEP : (i + self.reach + 1) * STEP]
            for i in range(steps)
        ]
        return np.array([(own.max(), own.min()) for own in around], dtype=np.float32)


def sound_of(spans: Sequence[tuple[str, float]]) -> Audio:
    """Spans of what `ByLevel` hears, each for some seconds, one after another."""
    pieces = [np.full(round(seconds * RATE), LEVELS[heard]) for heard, seconds in spans]
    samples = np.concatenate(pieces)
    samples[::2] *= -1  # a constant offset is no sound
    return Audio(samples.astype(np.float32), RATE)
