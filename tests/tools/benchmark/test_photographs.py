"""Photographs that move: frames and masks move together, and nothing else about them is random."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tools.benchmark.library import Library, Source
from tools.benchmark.photographs import Course, random_photograph

SIZE = (97, 129)


@pytest.fixture(scope="module")
def photograph(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """A red square before a green background, which is what its alpha says."""
    pixels = np.zeros((60, 80, 4), dtype=np.uint8)
    pixels[..., 1] = 200
    pixels[20:45, 30:60] = (200, 0, 0, 255)
    path = Path(tmp_path_factory.mktemp("picture")) / "square.png"
    Image.fromarray(pixels).save(path)
    return Source(path, "dog", "Caltech-101")


def test_the_mask_moves_with_the_object(photograph: Source) -> None:
    moved = 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        moving = random_photograph(rng, photograph, (), size=SIZE, motion=2.0)
        shown = [moving.render(time_s) for time_s in (0.0, 0.4, 1.5)]
        for frame, masks in shown:
            assert frame.shape == (*SIZE, 3)
            assert frame.dtype == np.uint8
            assert masks.shape == (1, *SIZE)
            red = frame[..., 0].astype(int) > frame[..., 1]
            assert (red == masks[0]).mean() > 0.97
        moved += int((shown[0][1] != shown[2][1]).mean() > 0.02)
    assert moved >= 4


def test_a_still_one_stays(photograph: Source) -> None:
    still = random_photograph(np.random.default_rng(1), photograph, (), size=SIZE, motion=0.0)
    (first, mask), (later, later_mask) = still.render(0.0), still.render(3.0)
    assert np.array_equal(mask, later_mask)
    # Grain alone changes.
    assert np.abs(first.astype(int) - later).max() < 40
    assert np.array_equal(still.render(3.0)[0], later)


def test_courses_begin_at_zero() -> None:
    course = Course(drift=0.5, amplitude=0.2, frequency=0.7, phase=1.0)
    assert course.at(0.0) == 0
    assert course.at(10 / 0.7) == pytest.approx(0.5 * 10 / 0.7)  # whole turns: drift alone


def test_what_is_before_it_hides_it(photograph: Source, tmp_path: Path) -> None:
    import small_library

    from tools.benchmark.scene import random_sprite

    library = Library(small_library.build(tmp_path), "train")
    rng = np.random.default_rng(3)
    before = random_sprite(rng, library.pictures["car"][0], 0, 1, 1.0)
    moving = random_photograph(rng, photograph, (before,), size=SIZE, motion=1.0)
    _, masks = moving.render(0.5)
    assert masks.shape == (2, *SIZE)
    assert masks[1].any()
    assert not (masks[0] & masks[1]).any()
