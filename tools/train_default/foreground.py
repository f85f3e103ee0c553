"""Sound as microphones bring it: something starts and stops over a background that never does."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from coprop.silence import quiet_blocks, silence_edges_s
from coprop.types import Audio
from tools.benchmark.library import SOURCE_RATE, Library
from tools.benchmark.mixing import Samples, in_a_room, noise

_SHORT_S = (0.05, 0.5)
_LONG_S = (0.5, 4.0)
_PAUSE_S = (0.65, 2.5)  # shorter ones belong to what sounds
_LEVEL_DB = (-30.0, -12.0)  # of what starts and stops, re full scale
_BELOW_DB = (12.0, 40.0)  # the background, re that
_HUM_HZ = (50.0, 60.0)


def foreground_sound(
    library: Library, rng: np.random.Generator, duration_s: float
) -> tuple[NDArray[np.float32], list[float]]:
    """Recordings, or short pieces of one, over noise, hum or nothing.

    Returns:
        (n,) samples in [-1, 1] at 44.1 kHz, and when sound begins and ends in it, by its level: a
        recording has pauses of its own.
    """
    count = round(duration_s * SOURCE_RATE)
    sources = [source for group in library.sounds.values() for source in group]
    sound = np.zeros(count)
    pieces = [_recording(sources[i].path) for i in rng.integers(len(sources), size=2)]
    lengths_s = _SHORT_S if rng.random() < 0.5 else _LONG_S
    one_source = rng.random() < 0.7
    clock_s = rng.uniform(-1.0, 1.5)
    while clock_s < duration_s:
        recording = pieces[0] if one_source else pieces[int(rng.integers(2))]
        length_s = float(np.exp(rng.uniform(*np.log(lengths_s))))
        piece = _piece(recording, round(length_s * SOURCE_RATE), rng)
        begin = round(clock_s * SOURCE_RATE)
        first, last = max(begin, 0), min(begin + len(piece), count)
        if last > first:
            sound[first:last] += piece[first - begin : last - begin]
        clock_s += len(piece) / SOURCE_RATE + rng.uniform(*_PAUSE_S)
    level_db = rng.uniform(*_LEVEL_DB)
    sound = in_a_room(sound, SOURCE_RATE, rng) * 10 ** (level_db / 20)
    sound = sound + 10 ** ((level_db - rng.uniform(*_BELOW_DB)) / 20) * _background(count, rng)
    samples = (sound / max(1.0, float(np.abs(sound).max()))).astype(np.float32)
    edges_s = silence_edges_s(quiet_blocks(Audio(samples, SOURCE_RATE)))
    return samples, edges_s.tolist()


def _piece(recording: Samples, length: int, rng: np.random.Generator) -> Samples:
    """Up to ``length`` samples of a recording from where it is loud, with an effective value of 1,
    which begins at once and ends at once or fades.
    """
    power = np.convolve(recording**2, np.ones(441), "same")
    loud = np.flatnonzero(power > 0.1 * power.max())
    begin = int(rng.choice(loud)) if rng.random() < 0.5 else int(loud[0])
    piece = recording[begin : begin + length].copy()
    out = max(1, round(len(piece) * rng.uniform(0.0, 0.6))) if rng.random() < 0.3 else 220
    out, rise = min(out, len(piece)), min(220, len(piece))  # 5 ms: no click
    piece[:rise] *= np.linspace(0, 1, rise)
    piece[-out:] *= np.linspace(1, 0, out)
    return np.asarray(piece / max(float(np.sqrt(np.mean(piece**2))), 1e-6))


def _background(count: int, rng: np.random.Generator) -> Samples:
    """With an effective value of 1, or 0: white to brown noise, mains hum, or nothing."""
    kind = rng.random()
    if kind < 0.2:
        return np.zeros(count)
    if kind < 0.8:
        background = noise(count, rng)
    else:
        mains_hz = float(rng.choice(_HUM_HZ)) * np.arange(1, 9)
        phases = 2 * np.pi * mains_hz[:, None] * np.arange(count) / SOURCE_RATE
        background = (rng.random((8, 1)) * np.sin(phases + rng.random((8, 1)))).sum(axis=0)
    return np.asarray(background / np.sqrt(np.mean(background**2)))


@lru_cache(maxsize=1024)
def _recording(path: Path) -> Samples:
    """(n,) with its pauses."""
    import soundfile

    samples, _ = soundfile.read(path, dtype="float64")
    return np.asarray(samples)
