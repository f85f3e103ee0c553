"""Composed clips as training examples for the novelty detector's network, made by workers."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from coprop.control_points.features import STEP_S, log_mel, relative_log_mel
from coprop.data.benchmark_recipes import Recipe
from coprop.data.benchmark_sound import soundtrack
from coprop.data.composed_audio import ComposedAudio, Sound, compose, fourier_resample
from coprop.data.soundtrack import random_schedule
from coprop.types import Audio

RATE = 22050
STEPS_PER_CLIP = 240  # twelve seconds
Example = tuple[NDArray[np.float16], NDArray[np.float32], int, NDArray[np.float32]]

_sounds: list[Sound] = []
_groups: list[str] = []


def start_worker(sounds: list[Sound], groups: list[str]) -> None:
    """Give a worker process the recordings and the names of their groups."""
    _sounds[:], _groups[:] = sounds, groups


def _example(seed: int) -> Example:
    """Features, soft targets, length in steps and sounding groups of one composed clip."""
    rng = np.random.default_rng(seed)
    few = [_sounds[i] for i in rng.choice(len(_sounds), min(40, len(_sounds)), replace=False)]
    cast = [_varied(sound, rng) for sound in _distinct(few, rng)]
    if rng.random() < 0.3:
        clip = compose(cast, RATE, seed)
    else:
        clip = _as_in_the_benchmark(cast, few[0], rng)
    mel = log_mel(clip.audio) + _equaliser(rng)
    bands = relative_log_mel(mel)[: 2 * STEPS_PER_CLIP]
    steps = min(len(bands) // 2, STEPS_PER_CLIP)
    clock = np.arange(STEPS_PER_CLIP) * STEP_S
    target, kinds = np.zeros(STEPS_PER_CLIP), np.zeros((STEPS_PER_CLIP, len(_groups)))
    edges = [0.0, *clip.change_times_s, np.inf]
    for time_s in clip.change_times_s:
        target = np.maximum(target, np.exp(-0.5 * ((clock - time_s) / 0.07) ** 2))
    for (start, stop), state in zip(pairwise(edges), clip.states, strict=True):
        for group in state:
            kinds[(clock >= start) & (clock < stop), _groups.index(group)] = 1
    padded = np.zeros((2 * STEPS_PER_CLIP, bands.shape[1]), dtype=np.float16)
    padded[: len(bands)] = bands
    return padded, target.astype(np.float32), steps, kinds.astype(np.float32)


def _as_in_the_benchmark(
    cast: list[Sound], other: Sound, rng: np.random.Generator
) -> ComposedAudio:
    """With music, and with changes of loudness and room, none of which is a change of sources."""
    duration_s = round(rng.uniform(8.0, 12.0) * RATE) / RATE
    planned = random_schedule(rng, len(cast), duration_s)
    music = other.samples if rng.random() < 0.3 else None
    recordings = [sound.samples for sound in cast]
    samples, heard, _ = soundtrack(recordings, planned, music, Recipe(), RATE, rng)
    states = tuple(frozenset(cast[i].group for i in state) for state in heard.sounding)
    return ComposedAudio(Audio(samples, RATE), heard.change_times_s, states)


def _distinct(sounds: list[Sound], rng: np.random.Generator) -> list[Sound]:
    """Up to four sounds of different groups, at least two."""
    by_group = {sound.group: sound for sound in sounds}
    names = rng.permutation(sorted(by_group))[:4]
    return [by_group[name] for name in names]


def _varied(sound: Sound, rng: np.random.Generator) -> Sound:
    """The sound played faster or slower, and so higher or lower, by up to a fifth."""
    speed = rng.uniform(0.75, 1.33) if rng.random() < 0.6 else 1.0
    whole = sound.samples[: 8 * RATE].astype(np.float64)
    return Sound(fourier_resample(whole, speed, 1.0).astype(np.float32), sound.group)


def _equaliser(rng: np.random.Generator) -> NDArray[np.float32]:
    """(64,) a smooth random frequency response, in dB."""
    knots = rng.normal(0.0, 3.0, 5)
    return np.interp(np.arange(64), np.linspace(0, 63, 5), knots).astype(np.float32)


def batches(
    pool: ProcessPoolExecutor, count: int, size: int, first_seed: int
) -> Iterator[list[Tensor]]:
    """Batches of clips; each clip is used several times, from a reservoir that is renewed."""
    rng = np.random.default_rng(first_seed)
    reservoir: list[Example] = list(pool.map(_example, range(first_seed, first_seed + 16 * size)))
    seed = first_seed + len(reservoir)
    pending = [pool.submit(_example, s) for s in range(seed, seed + 4 * size)]
    seed += len(pending)
    for _ in range(count):
        while pending and pending[0].done():
            if len(reservoir) < 6000:
                reservoir.append(pending.pop(0).result())
            else:
                reservoir[int(rng.integers(len(reservoir)))] = pending.pop(0).result()
            pending.append(pool.submit(_example, seed))
            seed += 1
        chosen = [reservoir[i] for i in rng.choice(len(reservoir), size, replace=False)]
        yield [torch.tensor(np.stack([e[i] for e in chosen])) for i in range(4)]
