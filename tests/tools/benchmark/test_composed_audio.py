from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from coprop.errors import CoPropError
from tools.benchmark.composed_audio import (
    Sound,
    compose,
    fourier_resample,
    load_sounds,
)
from tools.benchmark.mixing import activity, shorten_pauses

RATE = 8000


def tone(hertz: float, seconds: float, rate: int = RATE) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


SOUNDS = [Sound(tone(f, 2.0).astype(np.float32), str(f)) for f in (300, 700, 1500, 2900)]


def test_the_same_seed_gives_the_same_clip() -> None:
    first, again, other = (compose(SOUNDS, RATE, seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.audio.samples, again.audio.samples)
    assert first.change_times_s == again.change_times_s
    assert first.change_times_s != other.change_times_s


@pytest.mark.parametrize("seed", range(8))
def test_what_sounds_is_what_the_schedule_says(seed: int) -> None:
    clip = compose(SOUNDS, RATE, seed)
    assert 8.0 <= clip.audio.duration_s <= 12.0
    assert len(clip.states) == len(clip.change_times_s) + 1
    assert all(a != b for a, b in pairwise(clip.states))
    edges = [0.0, *clip.change_times_s, clip.audio.duration_s]
    for (start, stop), state in zip(pairwise(edges), clip.states, strict=True):
        assert len(state) <= 3
        piece = clip.audio.read(round((start + 0.3) * RATE), round((stop - 0.05) * RATE))
        spectrum = np.abs(np.fft.rfft(piece)) * 2 / len(piece)
        bins = {s.group: round(float(s.group) * len(piece) / RATE) for s in SOUNDS}
        heights = {group: spectrum[b - 2 : b + 3].max() for group, b in bins.items()}
        heard = {group for group, height in heights.items() if height > 0.02}
        assert heard == state


def test_pauses_are_shortened_to_300_ms() -> None:
    gap = np.zeros(2 * RATE)
    tight = shorten_pauses(np.concatenate([gap, tone(500, 1), gap, tone(500, 1), gap]), RATE)
    assert len(tight) / RATE == pytest.approx(2.3, abs=0.05)
    assert activity(tight, RATE).mean() == pytest.approx(2 / 2.3, abs=0.02)


def test_fourier_resampling_keeps_a_tone() -> None:
    np.testing.assert_allclose(
        fourier_resample(tone(500, 1, 8000), 8000, 12000), tone(500, 1, 12000), atol=1e-9
    )


def test_sounds_are_read_from_a_manifest(tmp_path: Path) -> None:
    entries = []
    for name, split in (("a", "train"), ("b", "test")):
        soundfile.write(tmp_path / f"{name}.flac", tone(500, 1, 16000), 16000)
        entries.append({"kind": "sound", "path": f"{name}.flac", "group": name, "split": split})
    entries.append({"kind": "picture", "path": "c.png", "group": "c", "split": "test"})
    (tmp_path / "manifest.jsonl").write_text("\n".join(map(json.dumps, entries)))
    (sound,) = load_sounds(tmp_path, "test", RATE)
    assert sound.group == "b"
    assert len(sound.samples) == pytest.approx(RATE, rel=0.02)
    with pytest.raises(CoPropError, match="no sounds of the split 'other'"):
        load_sounds(tmp_path, "other", RATE)
