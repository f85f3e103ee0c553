"""Resampling and mel filters compared with torchaudio's, where it can be imported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from coprop import Audio, ControlPointDetector
from coprop.encoders.log_mel import LogMel, mel_filters
from coprop.media.resample import resample
from coprop.values.given_sound import as_track


@pytest.fixture(scope="module")
def torchaudio() -> Any:
    return pytest.importorskip("torchaudio", exc_type=ImportError)


def chirp(rate: int, seconds: float = 1.0, high_hz: float = 3000.0) -> torch.Tensor:
    """(n,) a tone that rises from 100 Hz, in float32."""
    time = torch.arange(round(rate * seconds), dtype=torch.float64) / rate
    phase = 2 * torch.pi * (100.0 * time + (high_hz - 100.0) / (2 * seconds) * time**2)
    return (0.5 * torch.sin(phase)).float()


@pytest.mark.parametrize(("rate", "wanted"), [(44_100, 16_000), (16_000, 44_100), (48_000, 16_000)])
def test_resampling(torchaudio: Any, rate: int, wanted: int) -> None:
    samples = chirp(rate)
    ours = resample(samples.numpy(), rate, wanted)
    theirs = torchaudio.functional.resample(
        samples, rate, wanted, lowpass_filter_width=64, rolloff=0.95
    ).numpy()
    assert abs(len(ours) - len(theirs)) <= 1
    inner = slice(wanted // 20, wanted - wanted // 20)  # the filters see other things at the ends
    assert np.abs(ours[inner] - theirs[inner]).max() < 2e-3


def test_mel_filters(torchaudio: Any) -> None:
    theirs = torchaudio.functional.melscale_fbanks(257, 125.0, 7500.0, 64, 16_000, mel_scale="htk")
    ours = mel_filters(16_000, 512, 64, 125.0, 7500.0, straight_in="hertz")
    torch.testing.assert_close(ours.float(), theirs, rtol=0, atol=1e-3)


def test_log_mel(torchaudio: Any) -> None:
    samples = chirp(16_000)[None]
    spectrum = torchaudio.transforms.Spectrogram(
        n_fft=512, win_length=400, hop_length=160, power=1.0, center=False
    )(torch.nn.functional.pad(samples, (56, 56)))  # it centres the window in the transform
    filters = mel_filters(16_000, 512, 64, 125.0, 7500.0).float()
    theirs = torch.log(spectrum[0].T @ filters + 0.01)
    ours = LogMel()(samples)[0]
    torch.testing.assert_close(ours, theirs[: len(ours)], rtol=0, atol=2e-3)


def test_what_it_loads_is_taken(torchaudio: Any, tmp_path: Path) -> None:
    samples = torch.stack([chirp(16_000), 0.5 * chirp(16_000)]).T.numpy()
    soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT")
    try:
        loaded = torchaudio.load(tmp_path / "a.wav")
    except (ImportError, RuntimeError) as error:  # what it decodes with is a package of its own
        pytest.skip(str(error))
    expected = Audio.from_array(samples, 16_000)
    assert np.array_equal(as_track(loaded).read(0, 16_000), expected.samples)
    ControlPointDetector.novelty()(loaded)
