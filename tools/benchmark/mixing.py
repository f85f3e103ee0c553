"""Sound with known changes: recordings that are switched on and off by a schedule.

Loudness drift, reverberation and background noise are added; none of them is a change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float64]

_SHORTEST_STATE_S = 1.0
_LONGEST_STATE_S = 4.0
_LONGEST_PAUSE_S = 0.3
_FADE_S = 0.01


@dataclass(frozen=True)
class Schedule:
    """Which sources sound when.

    Args:
        times_s: (S + 1,) edges of the S states, from 0 to the end.
        sounding: for each state, the indices of the sources that sound in it.
    """

    times_s: tuple[float, ...]
    sounding: tuple[frozenset[int], ...]

    @property
    def change_times_s(self) -> tuple[float, ...]:
        """The inner edges; neighbouring states always differ."""
        return self.times_s[1:-1]

    def at(self, time_s: float) -> frozenset[int]:
        """The sources that sound at a time."""
        state = int(np.searchsorted(self.times_s, time_s, side="right")) - 1
        return self.sounding[min(max(state, 0), len(self.sounding) - 1)]


def random_schedule(rng: np.random.Generator, sources: int, duration_s: float) -> Schedule:
    """States of 1 to 4 s in which none to three sources sound; each differs by a single move.

    Args:
        rng: the source of all randomness.
        sources: how many sources there are.
        duration_s: length in seconds.
    """
    states = [_next_state(frozenset(), sources, rng) if rng.random() < 0.7 else frozenset()]
    times = [0.0]
    clock = rng.uniform(_SHORTEST_STATE_S, _LONGEST_STATE_S)
    while clock < duration_s - _SHORTEST_STATE_S and not (len(states) == 1 and rng.random() < 0.05):
        times.append(float(clock))
        states.append(_next_state(states[-1], sources, rng))
        clock += rng.uniform(_SHORTEST_STATE_S, _LONGEST_STATE_S)
    return Schedule((*times, duration_s), tuple(states))


def render(
    recordings: Sequence[NDArray[np.float32]],
    schedule: Schedule,
    sample_rate: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], Schedule]:
    """The mixed sound of all sources, in a room, with noise.

    Args:
        recordings: one of each source, (n,), without long pauses.
        schedule: what sounds when.
        sample_rate: of the recordings and the result, in Hz.
        rng: the source of all randomness.

    Returns:
        (n,) samples in [-1, 1], and the schedule as it is heard: where a state only ends a source
        that had faded before, it begins with the last that was audible.
    """
    mixture, heard = mix(recordings, schedule, sample_rate, rng)
    finished = in_a_room(mixture, sample_rate, rng) + noise(len(mixture), rng)
    finished /= max(1.0, float(np.abs(finished).max()))
    return finished.astype(np.float32), heard


def mix(
    recordings: Sequence[NDArray[np.float32]],
    schedule: Schedule,
    sample_rate: int,
    rng: np.random.Generator,
) -> tuple[Samples, Schedule]:
    """As `render`, but dry, without noise, and not brought into [-1, 1]."""
    bounds = [round(time_s * sample_rate) for time_s in schedule.times_s]
    mixture = np.zeros(bounds[-1])
    ends: dict[int, int] = {}
    for number, recording in enumerate(recordings):
        for first, last in _runs(number, schedule.sounding):
            sound, end = continuous_source(
                recording, bounds[last] - bounds[first], sample_rate, rng
            )
            mixture[bounds[first] : bounds[last]] += sound
            ends[last] = max(ends.get(last, 0), bounds[first] + end)
    changes = [
        (ends[index] if after < before else bounds[index]) / sample_rate
        for index, (before, after) in enumerate(pairwise(schedule.sounding), start=1)
    ]
    return mixture, Schedule((0.0, *changes, schedule.times_s[-1]), schedule.sounding)


def activity(samples: Samples, sample_rate: int) -> NDArray[np.bool_]:
    """(n,) True where the sound, smoothed over 20 ms, is within 25 dB of its loud parts."""
    width = max(1, round(0.02 * sample_rate))
    sums = np.cumsum(np.pad(np.asarray(samples, dtype=np.float64) ** 2, (width, 0)))
    power = np.roll((sums[width:] - sums[:-width]) / width, -(width // 2))
    return np.asarray(power > np.percentile(power[:: width // 2 + 1], 95) * 10.0**-2.5)


def shorten_pauses(samples: Samples, sample_rate: int) -> Samples:
    """The sound without silence at its ends and with no pause longer than 0.3 s inside."""
    active = np.flatnonzero(activity(samples, sample_rate))
    if not active.size:
        return samples[:0]
    half = round(_LONGEST_PAUSE_S / 2 * sample_rate)
    edges = np.diff(np.r_[0, activity(samples, sample_rate).astype(np.int8), 0])
    keep = np.zeros(len(samples), dtype=bool)
    for start, stop in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True):
        keep[max(start - half, active[0]) : min(stop + half, active[-1] + 1)] = True
    return samples[keep]


def continuous_source(
    samples: NDArray[np.float32], count: int, rate: int, rng: np.random.Generator
) -> tuple[Samples, int]:
    """(count,) of one source sounding throughout, and the sample at which it falls silent."""
    source = np.asarray(samples, dtype=np.float64)
    onsets = np.flatnonzero(np.diff(activity(source, rate).astype(np.int8)) == 1)
    onsets = onsets[onsets < len(source) - rate]  # begin where at least a second is left
    begin = int(rng.choice(onsets)) if onsets.size and rng.random() < 0.5 else 0
    pieces, length = [source[begin:]], len(source) - begin
    while length < count:
        pause = np.zeros(round(rng.uniform(0.0, _LONGEST_PAUSE_S) * rate))
        pieces += [pause, source]
        length += len(pause) + len(source)
    fade = max(1, round(_FADE_S * rate))
    voice = np.concatenate([_faded(piece, fade) for piece in pieces])[:count]
    active = activity(voice, rate)
    drift_db = rng.uniform(0, 3) * np.sin(
        2 * np.pi * (np.arange(count) / rate / rng.uniform(4, 10) + rng.random())
    )
    loudness = np.sqrt(np.mean(voice[active] ** 2)) if active.any() else 1.0
    gain = 10.0 ** ((rng.uniform(-27.0, -18.0) + drift_db) / 20.0) / max(float(loudness), 1e-6)
    end = int(np.flatnonzero(active)[-1]) + 1 if active.any() else count
    return _faded(voice * gain, fade), end


def in_a_room(samples: Samples, rate: int, rng: np.random.Generator) -> Samples:
    """Half of the clips sound in a room: a decaying noise tail of 0.1 to 0.6 s."""
    decay_s, wet_db = rng.uniform(0.1, 0.6), rng.uniform(-18.0, -6.0)
    if rng.random() < 0.5:
        return samples
    return reverberated(samples, rate, rng, decay_s, wet_db)


def reverberated(
    samples: Samples, rate: int, rng: np.random.Generator, decay_s: float, wet_db: float
) -> Samples:
    """The sound and its echo: a noise tail that falls by 60 dB in ``decay_s`` seconds.

    Args:
        samples: (n,) dry sound.
        rate: samples per second, in Hz.
        rng: of the tail.
        decay_s: in seconds.
        wet_db: the tail's energy, in decibels against that of the direct sound.
    """
    time = np.arange(round(decay_s * rate)) / rate
    tail = rng.standard_normal(len(time)) * 10.0 ** (-3.0 * time / decay_s)
    tail *= 10.0 ** (wet_db / 20.0) / max(float(np.sqrt(np.sum(tail**2))), 1e-9)
    size = 2 ** int(np.ceil(np.log2(len(samples) + len(tail))))
    wet = np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(tail, size), size)
    return samples + wet[: len(samples)]


def noise(count: int, rng: np.random.Generator) -> Samples:
    """Background noise between white and brown, from inaudible to clearly audible."""
    size = 2 ** int(np.ceil(np.log2(count)))
    spectrum = np.fft.rfft(rng.standard_normal(size))
    spectrum /= np.maximum(np.arange(len(spectrum)), size / 1000.0) ** rng.uniform(0.0, 1.0)
    noise = np.fft.irfft(spectrum, size)[:count]
    level = 10.0 ** (rng.uniform(-75.0, -42.0) / 20.0)
    return np.asarray(noise * level / np.sqrt(np.mean(noise**2)))


def _next_state(state: frozenset[int], sources: int, rng: np.random.Generator) -> frozenset[int]:
    """Another set: one source more, one less, one exchanged, or none."""
    silent = sorted(set(range(sources)) - state)
    moves = [frozenset(state | {s}) for s in silent if len(state) < 3]
    moves += [frozenset(state - {s}) for s in state]
    moves += [frozenset(state - {a} | {b}) for a in state for b in silent]
    if len(state) > 1:
        moves.append(frozenset())
    return moves[int(rng.integers(len(moves)))]


def _runs(number: int, states: Sequence[frozenset[int]]) -> list[tuple[int, int]]:
    """First state and first state after of each stretch in which a source sounds on."""
    on = np.diff(np.r_[0, [int(number in state) for state in states], 0])
    starts, stops = np.flatnonzero(on == 1), np.flatnonzero(on == -1)
    return [(int(a), int(b)) for a, b in zip(starts, stops, strict=True)]


def _faded(samples: Samples, fade: int) -> Samples:
    if len(samples) < 2 * fade:
        return samples
    ramp = np.linspace(0.0, 1.0, fade)
    return np.concatenate(
        [samples[:fade] * ramp, samples[fade:-fade], samples[-fade:] * ramp[::-1]]
    )
