from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from coprop.control_points.features import log_mel, num_steps
from coprop.types import Audio


def level_db(mel_db: NDArray[np.float32]) -> NDArray[np.float32]:
    """(T,) of all bands together."""
    return np.asarray(10 * np.log10((10.0 ** (mel_db / 10)).sum(axis=1)))


def sine(hertz: float, rate: int, amplitude: float = 1.0, seconds: float = 1.0) -> Audio:
    time = np.arange(round(seconds * rate)) / rate
    return Audio((amplitude * np.sin(2 * np.pi * hertz * time)).astype(np.float32), rate)


@pytest.mark.parametrize("rate", [16000, 22050, 44100, 48000])
@pytest.mark.parametrize("hertz", [300.0, 1000.0, 5000.0])
def test_level_of_a_sine_does_not_depend_on_the_rate(rate: int, hertz: float) -> None:
    assert level_db(log_mel(sine(hertz, rate)))[20] == pytest.approx(0.0, abs=0.3)
    assert level_db(log_mel(sine(hertz, rate, 0.1)))[20] == pytest.approx(-20.0, abs=0.3)


def test_a_sine_lies_in_the_band_of_its_mel() -> None:
    def mel(hertz: float) -> float:
        return 2595 * np.log10(1 + hertz / 700)

    for hertz in (200.0, 900.0, 3000.0):
        place = (mel(hertz) - mel(50)) / (mel(7600) - mel(50)) * 65 - 1
        assert abs(np.argmax(log_mel(sine(hertz, 16000))[20]) - place) <= 0.6


def test_bands_above_nyquist_and_silence_lie_on_the_floor() -> None:
    assert np.all(log_mel(sine(500, 4000))[:, 50:] == -100.0)
    assert np.all(log_mel(Audio(np.zeros(8000, np.float32), 16000)) == -100.0)


def test_frames_are_centred_on_their_times() -> None:
    samples = np.zeros(16000, np.float32)
    samples[8000] = 1.0
    levels = level_db(log_mel(Audio(samples, 16000)))
    assert len(levels) == 2 * num_steps(Audio(samples, 16000)) == 40
    assert np.argmax(levels) == 20
