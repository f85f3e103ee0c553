"""Channels into one, so that whatever is heard in a player stays in it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

SPAN_S = 0.05
"""Whether channels cancel is judged in spans of this many seconds, as short as a sound may be."""

FADE_S = 0.005
"""From one span's weights to the next one's, short against a span and long enough not to click."""

CANCELLED = 0.1
"""Channels cancel where their mean has less than this part of the power that it would have if they
had nothing in common. Two channels get there if they are each other's opposite and of like level;
the mean of sounds that have nothing to do with each other is far above."""

CLEARLY_LOUDER = 2.0
"""In power; a channel that was chosen is kept until another one is so much louder."""


class Mixdown:
    """The mean of the channels, or the loudest of them in spans where the mean would cancel.

    Args:
        sample_rate: of the sound, in Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._span = max(round(SPAN_S * sample_rate), 1)
        self._fade = max(round(FADE_S * sample_rate), 1)
        self._held: NDArray[np.float32] | None = None
        self._chosen: int | None = None  # the channel taken in the last span, None for the mean

    def feed(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Takes (channels, n) samples and returns those that are ready, (m,) with m >= 0.

        The number of channels stays the same until `flush`.
        """
        if self._held is not None:
            samples = np.concatenate([self._held, samples], axis=1)
        if len(samples) == 1:
            mono: NDArray[np.float32] = samples[0]
            return mono
        whole = samples.shape[1] // self._span * self._span
        self._held = samples[:, whole:]
        return self._mixed(samples[:, :whole])

    def flush(self) -> NDArray[np.float32]:
        """The samples still inside, (m,); others may follow, of other channels too."""
        held, self._held = self._held, None
        rest = np.zeros(0, dtype=np.float32) if held is None else self._mixed(held)
        self._chosen = None
        return rest

    def _mixed(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        mixed: NDArray[np.float32] = samples.mean(axis=0, dtype=np.float32)
        for start, chosen in self._choices(samples, mixed):
            before, self._chosen = self._chosen, chosen
            if before is None and chosen is None:
                continue
            stop = min(start + self._span, samples.shape[1])
            span, mean = samples[:, start:stop], mixed[start:stop].copy()
            later = mean if chosen is None else span[chosen]
            earlier = mean if before is None else span[before]
            ramp = np.minimum(np.arange(1, stop - start + 1, dtype=np.float32) / self._fade, 1)
            mixed[start:stop] = earlier + (later - earlier) * ramp
        return mixed

    def _choices(
        self, samples: NDArray[np.float32], mean: NDArray[np.float32]
    ) -> Iterator[tuple[int, int | None]]:
        """Where each span starts, and the channel to be taken in it."""
        if not samples.shape[1]:
            return
        starts = np.arange(0, samples.shape[1], self._span)
        power = np.add.reduceat(np.square(samples, dtype=np.float64), starts, axis=1)
        mixed = np.add.reduceat(np.square(mean, dtype=np.float64), starts)
        cancels = len(samples) ** 2 * mixed < CANCELLED * power.sum(axis=0)
        silent = power.sum(axis=0) == 0
        for index, start in enumerate(starts):
            chosen = self._chosen
            if not silent[index]:
                loudest = int(np.argmax(power[:, index]))
                if not cancels[index]:
                    chosen = None
                elif chosen is None or (
                    power[loudest, index] > CLEARLY_LOUDER * power[chosen, index]
                ):
                    chosen = loudest
            yield int(start), chosen


def to_mono(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """(channels, n) samples as (n,): see `Mixdown`."""
    if not samples.size:
        return np.zeros(0, dtype=np.float32)
    mixdown = Mixdown(sample_rate)
    return np.concatenate([mixdown.feed(samples), mixdown.flush()])
