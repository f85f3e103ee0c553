"""Composed audio: sources of different kinds switched on and off by a known schedule.

The changes of the sounding set are known exactly, so a control point detector can be fitted to and
measured on it. Loudness drift, reverberation and background noise are added; none is a change.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from coprop.errors import CoPropError
from coprop.types import Audio

Samples = NDArray[np.float64]

_SHORTEST_STATE_S = 1.0
_LONGEST_STATE_S = 4.0
_LONGEST_PAUSE_S = 0.3
_FADE_S = 0.01
_NUMBERING = re.compile(r"([._-]\d+)+$")


@dataclass(frozen=True, eq=False)
class Sound:
    """One recording: (n,) samples and the kind of source that makes it."""

    samples: NDArray[np.float32]
    group: str


@dataclass(frozen=True, eq=False)
class ComposedAudio:
    """A composed clip.

    Args:
        audio: the mixture.
        change_times_s: where the set of sounding sources changes, in seconds, increasing.
        states: the groups that sound in each state, one more than there are changes.
    """

    audio: Audio
    change_times_s: tuple[float, ...]
    states: tuple[frozenset[str], ...]


def load_sounds(folder: Path, split: str, sample_rate: int) -> list[Sound]:
    """The sounds of one split ("train" or "test") of a sources folder, at ``sample_rate``.

    The folder's manifest.jsonl has one object a line, with the keys kind, path, group and split.
    Sounds without a group are grouped by file name, less its numbering. Long pauses inside are
    shortened.

    Raises:
        CoPropError: no sound of that split.
    """
    import soundfile

    lines = (Path(folder) / "manifest.jsonl").read_text().splitlines()
    entries = [json.loads(line) for line in lines if line.strip()]
    sounds = []
    for entry in entries:
        if entry["kind"] == "sound" and entry["split"] == split:
            samples, rate = soundfile.read(Path(folder) / entry["path"], dtype="float64")
            tight = shorten_pauses(fourier_resample(samples, rate, sample_rate), sample_rate)
            if len(tight) >= 0.1 * sample_rate:
                group = entry["group"] or _NUMBERING.sub("", Path(entry["path"]).stem)
                sounds.append(Sound(tight.astype(np.float32), group))
    if not sounds:
        raise CoPropError(
            f"{folder} has no sounds of the split {split!r}; its manifest.jsonl lists "
            f"{len(entries)} entries, and those with kind 'sound' and that split are used."
        )
    return sounds


def fourier_resample(samples: Samples, from_rate: float, to_rate: float) -> Samples:
    """(n,) samples at another rate, by cutting or padding the spectrum of the whole."""
    count = round(len(samples) * to_rate / from_rate)
    if count == len(samples) or count < 2:
        return samples
    spectrum = np.fft.rfft(samples)[: count // 2 + 1]
    return np.asarray(np.fft.irfft(spectrum, count) * (count / len(samples)))


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


def compose(sounds: Sequence[Sound], sample_rate: int, seed: int) -> ComposedAudio:
    """A clip of 8 to 12 s in which zero to three of up to four sources sound at a time.

    Args:
        sounds: the recordings to choose from, of at least two groups, at ``sample_rate``.
        sample_rate: in Hz.
        seed: the same seed gives the same clip.
    """
    rng = np.random.default_rng(seed)
    count = round(rng.uniform(8.0, 12.0) * sample_rate)
    cast = _choose_cast(sounds, rng)
    switches, states = _schedule(len(cast), count / sample_rate, rng)
    bounds = [0, *(round(t * sample_rate) for t in switches), count]
    mixture = np.zeros(count)
    ends: dict[int, int] = {}
    for number, sound in enumerate(cast):
        for first, last in _runs(number, states):
            voice, end = _voice(sound.samples, bounds[last] - bounds[first], sample_rate, rng)
            mixture[bounds[first] : bounds[last]] += voice
            ends[last] = max(ends.get(last, 0), bounds[first] + end)
    changes = []
    for index, (before, after) in enumerate(pairwise(states), start=1):
        only_stops = after < before
        changes.append((ends[index] if only_stops else bounds[index]) / sample_rate)
    finished = _room(mixture, sample_rate, rng) + _noise(count, rng)
    finished /= max(1.0, float(np.abs(finished).max()))
    names = tuple(frozenset(cast[i].group for i in state) for state in states)
    return ComposedAudio(Audio(finished.astype(np.float32), sample_rate), tuple(changes), names)


def _choose_cast(sounds: Sequence[Sound], rng: np.random.Generator) -> list[Sound]:
    groups = sorted({sound.group for sound in sounds})
    chosen = rng.permutation(groups)[: int(rng.integers(2, 5))]
    by_group = [[sound for sound in sounds if sound.group == group] for group in chosen]
    return [same[int(rng.integers(len(same)))] for same in by_group]


def _schedule(
    sources: int, duration_s: float, rng: np.random.Generator
) -> tuple[list[float], list[frozenset[int]]]:
    """Switch times, and the sources that sound before the first, between, and after the last."""
    states = [_next_state(frozenset(), sources, rng) if rng.random() < 0.7 else frozenset()]
    times: list[float] = []
    clock = rng.uniform(_SHORTEST_STATE_S, _LONGEST_STATE_S)
    while clock < duration_s - _SHORTEST_STATE_S and not (len(states) == 1 and rng.random() < 0.05):
        times.append(clock)
        states.append(_next_state(states[-1], sources, rng))
        clock += rng.uniform(_SHORTEST_STATE_S, _LONGEST_STATE_S)
    return times, states


def _next_state(state: frozenset[int], sources: int, rng: np.random.Generator) -> frozenset[int]:
    """Another set: one source more, one less, one exchanged, or none."""
    silent = sorted(set(range(sources)) - state)
    moves = [frozenset(state | {s}) for s in silent if len(state) < 3]
    moves += [frozenset(state - {s}) for s in state]
    moves += [frozenset(state - {a} | {b}) for a in state for b in silent]
    if len(state) > 1:
        moves.append(frozenset())
    return moves[int(rng.integers(len(moves)))]


def _runs(number: int, states: list[frozenset[int]]) -> list[tuple[int, int]]:
    """First state and first state after of each stretch in which a source sounds on."""
    on = np.diff(np.r_[0, [int(number in state) for state in states], 0])
    starts, stops = np.flatnonzero(on == 1), np.flatnonzero(on == -1)
    return [(int(a), int(b)) for a, b in zip(starts, stops, strict=True)]


def _voice(
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


def _faded(samples: Samples, fade: int) -> Samples:
    if len(samples) < 2 * fade:
        return samples
    ramp = np.linspace(0.0, 1.0, fade)
    return np.concatenate(
        [samples[:fade] * ramp, samples[fade:-fade], samples[-fade:] * ramp[::-1]]
    )


def _room(samples: Samples, rate: int, rng: np.random.Generator) -> Samples:
    """Half of the clips sound in a room: a decaying noise tail of 0.1 to 0.6 s."""
    decay_s, wet_db = rng.uniform(0.1, 0.6), rng.uniform(-18.0, -6.0)
    if rng.random() < 0.5:
        return samples
    time = np.arange(round(decay_s * rate)) / rate
    tail = rng.standard_normal(len(time)) * 10.0 ** (-3.0 * time / decay_s)
    tail *= 10.0 ** (wet_db / 20.0) / max(float(np.sqrt(np.sum(tail**2))), 1e-9)
    size = 2 ** int(np.ceil(np.log2(len(samples) + len(tail))))
    wet = np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(tail, size), size)
    return samples + wet[: len(samples)]


def _noise(count: int, rng: np.random.Generator) -> Samples:
    """Background noise between white and brown, from inaudible to clearly audible."""
    size = 2 ** int(np.ceil(np.log2(count)))
    spectrum = np.fft.rfft(rng.standard_normal(size))
    spectrum /= np.maximum(np.arange(len(spectrum)), size / 1000.0) ** rng.uniform(0.0, 1.0)
    noise = np.fft.irfft(spectrum, size)[:count]
    level = 10.0 ** (rng.uniform(-75.0, -42.0) / 20.0)
    return np.asarray(noise * level / np.sqrt(np.mean(noise**2)))


def match_times(
    found_s: NDArray[np.float64], true_s: NDArray[np.float64], tolerance_s: float
) -> NDArray[np.bool_]:
    """(F,) True where a found time is paired with a true one within the tolerance, one to one.

    Both are increasing; pairing from the left then gives the largest number of pairs.
    """
    matched = np.zeros(len(found_s), dtype=bool)
    found = 0
    for true in true_s:
        while found < len(found_s) and found_s[found] < true - tolerance_s:
            found += 1
        if found < len(found_s) and found_s[found] <= true + tolerance_s:
            matched[found] = True
            found += 1
    return matched
