from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coprop import Audio
from coprop.context import AudioWindows
from coprop.types import Segment
from pipeline_samples import RATE, positions, ramp


def numbers(window: torch.Tensor) -> np.ndarray:
    """Which samples of `ramp` a window holds; -1 for zeros."""
    assert window.shape[0] == 1
    assert window.dtype == torch.float32
    return positions(window)


def test_the_window_is_centred_on_the_time() -> None:
    windows = AudioWindows(ramp(3.0), RATE, 1.0)
    expected = np.arange(1.25 * RATE - RATE / 2, 1.25 * RATE + RATE / 2)
    np.testing.assert_array_equal(numbers(windows.centred(1.25)), expected)


def test_beyond_the_ends_there_is_silence() -> None:
    windows = AudioWindows(ramp(2.0), RATE, 1.0)
    first, last, outside = (numbers(windows.centred(t)) for t in (0.0, 2.0, 9.0))
    assert (first[: RATE // 2] == -1).all()
    np.testing.assert_array_equal(first[RATE // 2 :], np.arange(RATE // 2))
    np.testing.assert_array_equal(last[: RATE // 2], np.arange(1.5 * RATE, 2 * RATE))
    assert (last[RATE // 2 :] == -1).all()
    assert (outside == -1).all()


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
def test_other_sample_rates_are_made_the_wanted_one(rate: int) -> None:
    samples = np.zeros(2 * rate, dtype=np.float32)
    samples[round(1.25 * rate) :] = 0.5  # a step at 1.25 s
    window = AudioWindows(Audio(samples, rate), RATE, 1.0).centred(1.0)
    assert window.shape == (1, RATE)
    crossing = int(np.argmax(window[0].numpy() > 0.25)) / RATE
    assert crossing == pytest.approx(0.75, abs=1e-3)


@settings(deadline=None, max_examples=60)
@given(
    start_s=st.floats(0, 5),
    length_s=st.floats(0.01, 4),
    place=st.floats(0, 1),
    window_s=st.sampled_from([0.1, 1.0, 2.35]),
)
def test_windows_within_a_segment_hear_nothing_else(
    start_s: float, length_s: float, place: float, window_s: float
) -> None:
    segment = Segment(start_s, start_s + length_s)
    windows = AudioWindows(ramp(10.0), RATE, window_s)
    heard = numbers(windows.within(start_s + place * length_s, segment))
    assert len(heard) == round(window_s * RATE)
    inside = heard[heard >= 0]
    # One sample on either side, since the segment's ends fall between samples.
    assert inside.min() >= start_s * RATE - 1
    assert inside.max() <= segment.end_s * RATE + 1
    assert len(inside) >= min(length_s, window_s) * RATE - 2
    assert (np.diff(inside) == 1).all()
    assert heard[0] >= 0  # zeros come behind


def test_a_track_that_gives_what_it_holds_is_left_as_it_is() -> None:
    class Holder(Audio):
        def read(self, start: int, stop: int) -> np.ndarray:
            return held[start:stop]

    held = ramp(3.0).samples.copy()
    windows = AudioWindows(Holder(held, RATE), RATE, 1.0)
    assert (windows.within(1.5, Segment(1.4, 1.6))[:, round(0.2 * RATE) :] == 0).all()
    np.testing.assert_array_equal(held, ramp(3.0).samples)


def test_a_window_that_lies_inside_its_segment_stays_centred() -> None:
    windows = AudioWindows(ramp(10.0), RATE, 1.0)
    within = windows.within(4.0, Segment(2.0, 8.0))
    torch.testing.assert_close(within, windows.centred(4.0), rtol=0, atol=0)
