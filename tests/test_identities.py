"""Objects that sound again are those that sounded before."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from coprop import ControlPoints, CoPropError, FrameMask, Result, Segment
from coprop.identities import identities
from pipeline_samples import noise

FPS, EACH = 5, 10  # frames of a segment


def made(
    order: str, *, seed: int = 0, colours: bool = True, apart: int = 30, drift: float = 0.3
) -> Result:
    """Squares that drift, A, B and C between them; in each segment one is masked, raggedly."""
    rng = np.random.default_rng(seed)
    places = {"A": rng.uniform(4, 10, 2)}
    places["B"] = places["A"] + np.array([0, apart])
    places["C"] = places["A"] + np.array([0, apart // 3])
    paint = {"A": (200, 40, 40), "B": (40, 60, 210) if colours else (200, 40, 40)}
    frames, masks = [], []
    for i in range(len(order) * EACH):
        picture = rng.integers(90, 120, (32, 64, 3)).astype(np.uint8)
        for name in "AB":
            places[name] = np.clip(places[name] + rng.normal(0, drift, 2), 0, (18, 50))
            y, x = places[name].astype(int)
            picture[y : y + 12, x : x + 12] = paint[name]
        y, x = places[order[i // EACH]].astype(int)
        labels = np.zeros((32, 64), dtype=np.uint8)
        labels[y : y + 12, x : x + 12] = rng.random((12, 12)) > 0.1
        frames.append(picture)
        masks.append(FrameMask(i, i / FPS, labels, None, (0, 1), i % EACH == 0))
    span = EACH / FPS
    times = np.arange(len(order)) * span
    points = ControlPoints(times, np.ones(len(times)), np.ones(len(times), dtype=bool))
    segments = tuple(Segment(t, t + span) for t in times.tolist())
    sound = noise(len(frames) / FPS)
    return Result(tuple(masks), points, segments, np.stack(frames), sound, FPS)


def numbers(result: Result, **options: Any) -> list[int]:
    return [found[1] for found in identities(result, **options)]


def test_who_sounds_again_is_who_sounded_before() -> None:
    assert numbers(made("ABABBA")) == [1, 2, 1, 2, 2, 1]


def test_place_alone_tells() -> None:
    assert numbers(made("ABA", colours=False)) == [1, 2, 1]


def test_of_several_that_which_fits_best() -> None:
    # Two of twelve columns off A, four off B.
    result = made("ABC", colours=False, apart=6, drift=0)
    assert numbers(result, overlap=0.35) == [1, 2, 1]
    assert numbers(made("BAC", colours=False, apart=6, drift=0), overlap=0.35) == [1, 2, 2]


def test_what_is_elsewhere_or_looks_otherwise_is_another() -> None:
    assert numbers(made("AA"), overlap=1.0) == [1, 2]
    same = made("AA")
    frames = np.asarray(same.frames).copy()
    frames[EACH:] = 255 - frames[EACH:]
    assert numbers(replace(same, frames=frames)) == [1, 2]


def test_memory_does_not_grow_with_segments() -> None:
    def peak(result: Result) -> int:
        tracemalloc.start()
        assert numbers(result) == [1] * len(result.segments)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    few, many = made("AA"), made("A" * 20)
    numbers(few)  # what is loaded once
    assert peak(many) < 2 * peak(few)


def test_two_labels_of_a_segment_are_never_one() -> None:
    result = made("AB")
    masks = []
    for mask in result.masks:
        labels = np.where(mask.labels > 0, 1, 0).astype(np.uint8)
        labels[28:, :8] = 2
        masks.append(FrameMask(mask.index, mask.time_s, labels, None, (0, 1, 2), False))
    other = Result(tuple(masks), result.control_points, result.segments, *_clip(result))
    assert identities(other) == ({1: 1, 2: 2}, {1: 3, 2: 2})


def _clip(result: Result) -> tuple[Any, Any, Any]:
    return result.frames, result.audio, result.fps


def test_shares_out_of_range() -> None:
    for options in ({"overlap": 2}, {"alike": -1}, {"alike": "much"}):
        with pytest.raises(CoPropError, match=next(iter(options))):
            identities(made("A"), **options)  # type: ignore[arg-type]
