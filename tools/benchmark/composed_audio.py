"""Composed sound without pictures, to fit control point detectors to and to measure them on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from coprop.errors import CoPropError, DatasetError
from coprop.types import Audio
from coprop.utils.brief import Brief
from coprop.utils.paths import AnyPath, as_path
from tools.benchmark.manifest import MANIFEST, read_rows
from tools.benchmark.mixing import Samples, random_schedule, render, shorten_pauses

_NUMBERING = re.compile(r"([._-]\d+)+$")


@dataclass(frozen=True, eq=False, repr=False)
class Sound(Brief):
    """One recording: (n,) samples and the kind of source that makes it."""

    samples: NDArray[np.float32]
    group: str


@dataclass(frozen=True, eq=False, repr=False)
class ComposedAudio(Brief):
    """A composed clip.

    Args:
        audio: the mixture.
        change_times_s: where the set of sounding sources changes, in seconds, increasing.
        states: the groups that sound in each state, one more than there are changes.
    """

    audio: Audio
    change_times_s: tuple[float, ...]
    states: tuple[frozenset[str], ...]


def load_sounds(folder: AnyPath, split: str, sample_rate: int) -> list[Sound]:
    """The sounds of one split ("train" or "test") of a sources folder, at ``sample_rate``.

    The folder's manifest.jsonl has one object a line, with the keys kind, path, group and split.
    Sounds without a group are grouped by file name, less its numbering. Long pauses inside are
    shortened.

    Raises:
        CoPropError: no sound of that split.
        DatasetError: no manifest, a damaged line of it, or a sound that cannot be read.
    """
    import soundfile

    folder = as_path("folder", folder, error=DatasetError)
    entries = [entry for _, entry in read_rows(folder / MANIFEST, ("kind", "path", "split"))]
    sounds = []
    for entry in entries:
        if entry["kind"] == "sound" and entry["split"] == split:
            path = folder / entry["path"]
            try:
                samples, rate = soundfile.read(path, dtype="float64")
            except (OSError, RuntimeError) as error:  # soundfile's errors are RuntimeErrors
                raise DatasetError(f"{path} cannot be read as sound: {error}.") from error
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


def compose(sounds: Sequence[Sound], sample_rate: int, seed: int) -> ComposedAudio:
    """A clip of 8 to 12 s in which zero to three of up to four sources sound at a time.

    Args:
        sounds: the recordings to choose from, of at least two groups, at ``sample_rate``.
        sample_rate: in Hz.
        seed: the same seed gives the same clip.
    """
    rng = np.random.default_rng(seed)
    duration_s = round(rng.uniform(8.0, 12.0) * sample_rate) / sample_rate
    chosen = _sample_sounds(sounds, rng)
    planned = random_schedule(rng, len(chosen), duration_s)
    samples, heard = render([sound.samples for sound in chosen], planned, sample_rate, rng)
    states = tuple(frozenset(chosen[i].group for i in state) for state in heard.sounding)
    return ComposedAudio(Audio(samples, sample_rate), heard.change_times_s, states)


def _sample_sounds(sounds: Sequence[Sound], rng: np.random.Generator) -> list[Sound]:
    groups = sorted({sound.group for sound in sounds})
    chosen = rng.permutation(groups)[: int(rng.integers(2, 5))]
    by_group = [[sound for sound in sounds if sound.group == group] for group in chosen]
    return [same[int(rng.integers(len(same)))] for same in by_group]
