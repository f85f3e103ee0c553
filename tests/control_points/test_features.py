from __future__ import annotations

import numpy as np
import pytest

from coprop.control_points.features import level_db, log_mel, num_steps, relative_log_mel
from coprop.types import Audio


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


def test_relative_bands_do_not_depend_on_the_gain() -> None:
    loud = relative_log_mel(log_mel(sine(700, 16000, 0.8, 3.0)))
    quiet = relative_log_mel(log_mel(sine(700, 16000, 0.08, 3.0)))
    np.testing.assert_allclose(loud, quiet, atol=0.01)
    assert loud.max() == pytest.approx(1.0, abs=0.02)


def test_the_reference_follows_a_long_track_without_steps() -> None:
    loud, quiet = sine(700, 8000, 0.5, 60.0).samples, sine(700, 8000, 0.05, 60.0).samples
    bands = relative_log_mel(log_mel(Audio(np.concatenate([quiet, loud]), 8000)))
    assert bands[400].max() == pytest.approx(1.0, abs=0.02)  # at 10 s, far from the loud part
    before_the_step = bands[:2390].max(axis=1)
    assert np.abs(np.diff(before_the_step)[5:]).max() < 0.005
