"""Sound with known changes: recordings that are switched on and off by a schedule."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coprop.data.library import SAMPLE_RATE, Library, load_sound

_BLOCK = 882  # 20 ms
_LONGEST_GAP = 12  # blocks; longer silences inside a recording are cut, or they would be changes
_FADE = 441  # 10 ms


@dataclass(frozen=True)
class Schedule:
    """Which sources sound when.

    Args:
        times_s: (S + 1,) edges of the S spans, from 0 to the end.
        sounding: for each span, the indices of the sources that sound in it.
    """

    times_s: tuple[float, ...]
    sounding: tuple[frozenset[int], ...]

    @property
    def change_times_s(self) -> tuple[float, ...]:
        """The inner edges; neighbouring spans always differ."""
        return self.times_s[1:-1]

    def at(self, time_s: float) -> frozenset[int]:
        """The sources that sound at a time."""
        span = int(np.searchsorted(self.times_s, time_s, side="right")) - 1
        return self.sounding[min(max(span, 0), len(self.sounding) - 1)]


def random_schedule(
    rng: np.random.Generator, num_sources: int, duration_s: float, *, shortest_s: float = 1.0
) -> Schedule:
    """Spans of 1 s and more, each with none, one or (rarely) two of the sources sounding."""
    edges, states = [0.0], [_random_state(rng, num_sources, None)]
    while True:
        edge = edges[-1] + rng.uniform(shortest_s, 4.0)
        if edge > duration_s - shortest_s:
            return Schedule((*edges, duration_s), tuple(states))
        edges.append(float(edge))
        states.append(_random_state(rng, num_sources, states[-1]))


def _random_state(
    rng: np.random.Generator, num_sources: int, before: frozenset[int] | None
) -> frozenset[int]:
    while True:
        count = int(rng.choice(3, p=(0.2, 0.62, 0.18)))
        chosen = rng.choice(num_sources, min(count, num_sources), replace=False)
        state = frozenset(int(i) for i in chosen)
        if state != before:
            return state


def render_soundtrack(
    library: Library,
    rng: np.random.Generator,
    groups: list[str | None],
    schedule: Schedule,
) -> NDArray[np.float32]:
    """The mixed sound of all sources, (n,) at 44.1 kHz, peak at most 0.9.

    One recording stands for a source throughout the clip. Half of the clips have a faint constant
    noise below everything, as real rooms do.
    """
    length = round(schedule.times_s[-1] * SAMPLE_RATE)
    mix = np.zeros(length, dtype=np.float32)
    for index, group in enumerate(groups):
        track = continuous_sound(library, rng, group, length)
        mix += track * _envelope(schedule, index, length) * 10 ** (rng.uniform(-8, 0) / 20)
    peak = max(float(np.abs(mix).max()), 1e-6)
    mix *= rng.uniform(0.4, 0.9) / peak if peak > 1e-5 else 1.0
    if rng.random() < 0.5:
        mix += _room_noise(rng, length) * 10 ** (rng.uniform(-62, -44) / 20)
    return mix.clip(-1, 1)


def continuous_sound(
    library: Library, rng: np.random.Generator, group: str | None, length: int
) -> NDArray[np.float32]:
    """``length`` samples of a random recording of a group, repeated, without long silences."""
    sources = library.sounds[group]
    samples = _without_gaps(load_sound(sources[rng.integers(len(sources))].path))
    repeats = -(-length // len(samples)) + 1
    start = int(rng.integers(len(samples))) // _BLOCK * _BLOCK
    return np.tile(samples, repeats)[start : start + length]


def _without_gaps(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    blocks = samples[: len(samples) // _BLOCK * _BLOCK].reshape(-1, _BLOCK)
    loudness = np.sqrt(np.mean(blocks**2, axis=1))
    quiet = loudness < 0.03 * loudness.max()
    run = np.zeros(len(blocks), dtype=int)
    for i in range(len(blocks)):
        run[i] = run[i - 1] + 1 if quiet[i] and i else int(quiet[i])
    return blocks[run <= _LONGEST_GAP].ravel()


def _envelope(schedule: Schedule, source: int, length: int) -> NDArray[np.float32]:
    gate = np.zeros(length, dtype=np.float32)
    for start, end, sounding in zip(
        schedule.times_s, schedule.times_s[1:], schedule.sounding, strict=False
    ):
        if source in sounding:
            gate[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)] = 1
    ramp = np.ones(_FADE, dtype=np.float32) / _FADE
    return np.convolve(gate, ramp, mode="full")[:length].astype(np.float32)


def _room_noise(rng: np.random.Generator, length: int) -> NDArray[np.float32]:
    white = rng.standard_normal(length).astype(np.float32)
    smooth = np.convolve(white, np.ones(8) / 8, mode="same") * 2
    return smooth.astype(np.float32)
