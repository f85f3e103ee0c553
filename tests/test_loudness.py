from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from coprop import Audio, ControlPointDetector, Segment
from coprop.loudness import BLOCK_S, is_silent, quiet_blocks, silence_edges

RATE = 8000


def sound(*parts: tuple[float, float]) -> Audio:
    """Noise of one level after another: (seconds, amplitude)."""
    rng = np.random.default_rng(0)
    pieces = [a * rng.uniform(-1, 1, round(s * RATE)) for s, a in parts]
    return Audio(np.concatenate(pieces).astype(np.float32), RATE)


def test_quiet_is_absolute_or_far_below_the_loud_parts() -> None:
    assert quiet_blocks(sound((1.0, 0.0))).all()
    assert quiet_blocks(sound((1.0, 9e-4))).all()  # below -60 dB
    assert not quiet_blocks(sound((1.0, 3e-3))).any()
    loud_and_faint = quiet_blocks(sound((1.0, 1.0), (1.0, 3e-3)))  # 50 dB apart
    np.testing.assert_array_equal(loud_and_faint, np.arange(40) >= 20)
    assert quiet_blocks(Audio(np.zeros(0, dtype=np.float32), RATE)).tolist() == [True]


@settings(deadline=None, max_examples=25)
@given(samples=st.integers(1, 45 * RATE), rate=st.sampled_from([8000, 11_025, 44_100]))
def test_one_flag_for_every_50_ms(samples: int, rate: int) -> None:
    quiet = quiet_blocks(Audio(np.full(samples, 0.1, dtype=np.float32), rate))
    assert abs(len(quiet) - samples / rate / BLOCK_S) <= 1
    assert not quiet.any()


def test_a_long_track_is_read_piece_by_piece() -> None:
    class Track(Audio):
        longest = 0

        def read(self, start: int, stop: int) -> NDArray[np.float32]:
            Track.longest = max(Track.longest, stop - start)
            return super().read(start, stop)

    assert quiet_blocks(Track(np.zeros(60 * RATE, dtype=np.float32), RATE)).all()
    assert 0 < Track.longest <= 10 * RATE


def test_a_segment_is_silent_but_for_its_neighbours() -> None:
    quiet = quiet_blocks(sound((2.0, 0.5), (2.0, 0.0), (2.0, 0.5)))
    assert is_silent(quiet, Segment(2.0, 4.0))
    assert is_silent(quiet, Segment(1.9, 4.1))
    assert not is_silent(quiet, Segment(1.0, 4.0))
    assert not is_silent(quiet, Segment(0.0, 1.0))
    assert is_silent(quiet, Segment(6.0, float("inf")))
    assert is_silent(quiet, Segment(2.0, 2.0))


def test_edges_of_silences_and_no_pauses() -> None:
    track = sound((1.0, 0.5), (0.4, 0.0), (1.0, 0.5), (0.8, 0.0), (1.0, 0.5), (1.0, 0.0))
    edges = np.flatnonzero(silence_edges(quiet_blocks(track), 0.6)) * BLOCK_S
    assert edges.tolist() == pytest.approx([2.4, 3.2, 4.2])


def test_the_default_detector_finds_silences_to_the_block() -> None:
    track = sound((1.5, 0.0), (2.0, 0.3), (1.0, 0.0), (2.0, 0.3), (0.9, 0.0))
    found = ControlPointDetector.novelty()(track).change_times_s
    assert found == pytest.approx((1.5, 3.5, 4.5, 6.5), abs=0.051)


def test_a_block_that_begins_where_the_track_ends_is_none() -> None:
    track = Audio(np.full(14, 0.5, dtype=np.float32), 90)  # blocks of 4.5 samples: 0, 4, 9, 14
    assert quiet_blocks(track).tolist() == [False] * 3
