from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coprop.control_points.rcpg.chunks import (
    Chunk,
    grid_for,
    merge,
    owners,
    plan_chunks,
    sample_range,
    to_wanted,
    windows_of,
)
from coprop.errors import CoPropError


def test_a_track_that_fits_is_one_chunk() -> None:
    grid = grid_for(10, 10.0, 30.0)
    assert (grid.total, grid.most) == (10, 10)
    assert plan_chunks(grid.total, grid.most, 4) == (Chunk(0, 10),)


def test_a_longer_track() -> None:
    grid = grid_for(60, 60.0, 30.0)
    chunks = plan_chunks(grid.total, grid.most, 4)
    assert chunks == (Chunk(0, 30), Chunk(26, 56), Chunk(30, 60))
    assert owners(chunks, 60).tolist() == [0] * 29 + [1] * 15 + [2] * 16


def test_windows_too_long_to_compare_are_divided() -> None:
    grid = grid_for(2, 100.0, 30.0)  # windows of 50 s
    assert grid.parts == 4
    assert grid.most == 2
    flags = np.zeros(8, dtype=bool)
    flags[[0, 3]] = True  # 37.5 s: nearest to the edge at 50 s
    scores = np.where(flags, 0.7, 0.1)
    wanted, highest = to_wanted(grid, flags, scores)
    assert wanted.tolist() == [True, True]
    assert highest.tolist() == [1.0, 0.7]
    flags[3], flags[7] = False, True  # 87.5 s: nearest to the end
    assert to_wanted(grid, flags, scores)[0].tolist() == [True, False]


@settings(deadline=None, max_examples=300)
@given(
    total=st.integers(1, 300),
    most=st.integers(2, 60),
    overlap=st.integers(1, 60),
    seed=st.integers(0, 1000),
)
def test_merging_loses_and_invents_no_change(
    total: int, most: int, overlap: int, seed: int
) -> None:
    """An oracle knows the true flags of each chunk, and says 1 at its beginning."""
    true = np.random.default_rng(seed).random(total) < 0.3
    true[0] = True
    chunks = plan_chunks(total, most, overlap)
    heard = []
    for chunk in chunks:
        assert chunk.windows == min(most, total)
        own = true[chunk.first : chunk.stop].copy()
        own[0] = True
        heard.append(own)
    assert chunks[-1].stop == total
    assert all(a.stop - b.first >= 1 for a, b in pairwise(chunks))
    np.testing.assert_array_equal(merge(chunks, heard, total), true)
    owner = owners(chunks, total)
    assert (np.diff(owner) >= 0).all()
    for window in range(1, total):
        chunk = chunks[owner[window]]
        assert chunk.first < window < chunk.stop


def test_a_window_near_a_seam_is_taken_from_the_chunk_that_hears_more_around_it() -> None:
    chunks = plan_chunks(26, 16, 6)
    assert chunks == (Chunk(0, 16), Chunk(10, 26))
    # 13 lies three windows from either end; the first chunk is taken.
    assert owners(chunks, 26).tolist() == [0] * 14 + [1] * 12


@settings(deadline=None)
@given(
    samples=st.integers(1, 400_000),
    windows=st.integers(1, 200),
    max_audio_s=st.floats(0.2, 60) | st.just(float("inf")),
)
def test_chunks_fit_the_model_and_cover_every_sample(
    samples: int, windows: int, max_audio_s: float
) -> None:
    rate = 16_000
    grid = grid_for(windows, samples / rate, max_audio_s)
    chunks = plan_chunks(grid.total, grid.most, 2)
    limit = None if len(chunks) == 1 else int(max_audio_s * rate)
    ranges = [sample_range(chunk, grid.total, samples, limit) for chunk in chunks]
    assert ranges[0][0] == 0
    assert samples - ranges[-1][1] <= 1  # one sample may be over the limit
    for (start, stop), (after, _) in zip(ranges, [*ranges[1:], (samples, 0)], strict=True):
        assert (stop - start) / rate <= max_audio_s
        assert after <= stop + 1
    edges = {samples * i // grid.total for i in range(grid.total + 1)}
    assert {start for start, _ in ranges} <= edges


@pytest.mark.parametrize(("duration_s", "windows"), [(0.2, 1), (5.4, 5), (5.5, 6), (60.0, 60)])
def test_windows_of_about_a_second(duration_s: float, windows: int) -> None:
    assert windows_of(duration_s, 1.0) == windows


@pytest.mark.parametrize("numbers", [(0, 3, 1), (5, 0, 1), (5, 1, 1), (5, 3, 0)])
def test_bad_plans_are_named(numbers: tuple[int, int, int]) -> None:
    with pytest.raises(CoPropError, match="chunks need at least one window"):
        plan_chunks(*numbers)


@pytest.mark.parametrize("numbers", [(0, 1.0, 1.0), (1, 0.0, 1.0), (1, 1.0, 0.0)])
def test_bad_grids_are_named(numbers: tuple[int, float, float]) -> None:
    with pytest.raises(CoPropError, match="lengths must be positive"):
        grid_for(*numbers)
