from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coprop.errors import AudioError
from coprop.media.resample import Resampler, resample
from coprop.types import Audio

RATES = st.sampled_from([8_000, 16_000, 22_050, 44_100, 48_000])


@settings(deadline=None, max_examples=25)
@given(length=st.integers(0, 5000), source=RATES, target=RATES)
def test_length(length: int, source: int, target: int) -> None:
    samples = np.random.default_rng(0).uniform(-1, 1, length).astype(np.float32)
    out = resample(samples, source, target)
    assert out.dtype == np.float32
    assert len(out) == -(-length * target // source)


@pytest.mark.parametrize("source", [8_000, 44_100, 48_000])
@pytest.mark.parametrize("target", [16_000, 44_100])
def test_a_tone_keeps_pitch_phase_and_level(source: int, target: int) -> None:
    times = np.arange(source) / source
    out = resample(np.sin(2 * np.pi * 440 * times).astype(np.float32), source, target)
    expected = np.sin(2 * np.pi * 440 * np.arange(target) / target)
    np.testing.assert_allclose(out[400:-400], expected[400:-400], atol=1e-3)


def test_what_the_lower_rate_cannot_hold_is_filtered_out() -> None:
    times = np.arange(48_000) / 48_000
    out = resample(np.sin(2 * np.pi * 12_000 * times).astype(np.float32), 48_000, 16_000)
    assert np.abs(out[400:-400]).max() < 0.01


@settings(deadline=None, max_examples=15)
@given(cuts=st.lists(st.integers(0, 4000), max_size=5), target=RATES)
def test_blocks_do_not_matter(cuts: list[int], target: int) -> None:
    samples = np.random.default_rng(1).uniform(-1, 1, 4000).astype(np.float32)
    resampler = Resampler(22_050, target)
    blocks = [resampler.feed(block) for block in np.split(samples, sorted(cuts))]
    pieces = np.concatenate([*blocks, resampler.flush()])
    np.testing.assert_allclose(pieces, resample(samples, 22_050, target), atol=1e-6)


def test_audio_in_memory_uses_it() -> None:
    audio = Audio(np.zeros(8000, dtype=np.float32), 8000).resampled(16_000)
    assert (audio.sample_rate, audio.num_samples) == (16_000, 16_000)


def test_bad_input() -> None:
    with pytest.raises(AudioError, match="must be positive"):
        resample(np.zeros(4, dtype=np.float32), 0, 16_000)
    with pytest.raises(AudioError, match="must be positive"):
        resample(np.zeros(4, dtype=np.float32), 16_000, -1)
    with pytest.raises(AudioError, match=r"\(2, 4\)"):
        resample(np.zeros((2, 4), dtype=np.float32), 8000, 16_000)
