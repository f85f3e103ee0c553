"""How long after a frame its mask comes."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LOOK_AHEAD_S = 0.3
"""Seconds; most changes are then known when the first frame after them is masked."""

_KEPT = 10_000  # of the newest frames: some minutes of video


@dataclass(frozen=True)
class Latency:
    """From a frame, and the sound at its time, to its mask, in seconds, over the last 10,000 masks.

    Args:
        median_s, percentile_95_s: waiting and computing together.
        waiting_median_s, waiting_95_s: until the sound that the session looks ahead to had come in,
            on the clock of the stream.
        computing_median_s, computing_95_s: from then on, by the wall clock.
        masks: how many have been made since the beginning.
    """

    median_s: float
    percentile_95_s: float
    waiting_median_s: float
    waiting_95_s: float
    computing_median_s: float
    computing_95_s: float
    masks: int

    def to_dict(self) -> dict[str, float]:
        """The numbers as JSON has them, to a millisecond."""
        return {name: round(value, 3) for name, value in vars(self).items()}


class Stopwatch:
    """Collects what `Latency` tells of each mask.

    Attributes:
        masks: how many.
    """

    def __init__(self) -> None:
        self._waiting: deque[float] = deque(maxlen=_KEPT)
        self._computing: deque[float] = deque(maxlen=_KEPT)
        self.masks = 0

    def note(self, waiting_s: float, computing_s: float) -> None:
        """One more mask."""
        self._waiting.append(waiting_s)
        self._computing.append(computing_s)
        self.masks += 1

    def read(self) -> Latency | None:
        """What has been collected; None before the first mask."""
        if not self.masks:
            return None
        waiting, computing = np.array(self._waiting), np.array(self._computing)
        total = waiting + computing
        return Latency(
            *_middle_and_most(total),
            *_middle_and_most(waiting),
            *_middle_and_most(computing),
            self.masks,
        )


def _middle_and_most(values: NDArray[np.float64]) -> tuple[float, float]:
    """The median and the 95th percentile."""
    return float(np.median(values)), float(np.percentile(values, 95))
