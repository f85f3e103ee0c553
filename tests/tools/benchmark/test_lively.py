"""Things that move fast: each layer is where its courses say, and masks are what is left to see."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from tools.benchmark.library import Library
from tools.benchmark.lively import Layer, LivelyScene, filled, random_lively_scene
from tools.benchmark.photographs import Course

SIZE = (120, 160)
STILL = Course(0.0, 0.0, 1.0, 0.0)
NO_WAVES = np.zeros((0, 5))


def layer(colour: int, height: int, width: int, half: float, *courses: Course) -> Layer:
    """One of full red, green or blue around the frame's middle."""
    picture = torch.zeros(4, height, width)
    picture[[colour, 3]] = 1
    own = (*courses, *[STILL] * (4 - len(courses)))
    return Layer(picture, (0.0, 0.0, half, 0.0), (own[0], own[1], own[2], own[3]), NO_WAVES)


def scene(*layers: Layer) -> LivelyScene:
    ground = replace(layer(1, 30, 40, 1.0), boundless=True)
    own = tuple(range(1, 1 + len(layers)))
    return LivelyScene((ground, *layers), own, STILL, SIZE, start_s=1.0, grain=0.0, seed=0)


def extent(mask: np.ndarray) -> tuple[float, float, int, int]:
    """Middle (x, y) and sides (x, y) of what a mask covers, in pixels."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (
        (columns[0] + columns[-1] + 1) / 2,
        (rows[0] + rows[-1] + 1) / 2,
        columns[-1] - columns[0] + 1,
        rows[-1] - rows[0] + 1,
    )


def test_a_layer_is_where_its_courses_say() -> None:
    # 0.4 and -0.2 half heights of 60 pixels a second, twice as large after one, from 24 x 12.
    courses = (Course(0.4, 0, 1, 0), Course(-0.2, 0, 1, 0), Course(np.log(2), 0, 1, 0))
    moving = scene(layer(0, 20, 40, 0.1, *courses))
    first, later = moving.render(1.0)[1][0], moving.render(2.0)[1][0]
    assert extent(first) == pytest.approx((80, 60, 24, 12), abs=1)
    assert extent(later) == pytest.approx((80 + 24, 60 - 12, 48, 24), abs=1)


def test_it_turns() -> None:
    quarter = Course(np.pi / 2, 0, 1, 0)
    moving = scene(layer(0, 20, 40, 0.2, STILL, STILL, STILL, quarter))
    assert extent(moving.render(1.0)[1][0]) == pytest.approx((80, 60, 48, 24), abs=1)
    assert extent(moving.render(2.0)[1][0]) == pytest.approx((80, 60, 24, 48), abs=1)


def test_it_bends_but_stays_in_one_piece_of_the_same_size() -> None:
    straight = layer(0, 20, 40, 0.3)
    bent = replace(straight, waves=np.array([[1.5, 0.0, 0.2, 0.0, 0.5]]))
    flat, curved = (scene(own).render(1.0)[1][0] for own in (straight, bent))
    assert (flat != curved).mean() > 0.01
    assert curved.sum() == pytest.approx(flat.sum(), rel=0.03)


def test_what_is_before_it_hides_it_and_it_comes_back() -> None:
    passing = layer(2, 40, 20, 1.0, Course(1.0, 0, 1, 0))
    passing = replace(passing, place=(-1.2, 0.0, 1.0, 0.0))
    hidden = scene(layer(0, 20, 20, 0.2), passing)
    seen = [hidden.render(1 + t)[1] for t in (0.0, 1.2, 2.4)]
    assert not any((own[0] & own[1]).any() for own in seen)
    areas = [int(own[0].sum()) for own in seen]
    assert areas[0] == pytest.approx(24 * 24, abs=50)
    assert areas[1] == 0
    assert areas[2] == areas[0]


def test_masks_are_what_the_frame_shows() -> None:
    frame, masks = scene(layer(0, 20, 40, 0.3), layer(2, 20, 20, 0.2)).render(1.5)
    for mask, channel in zip(masks, (0, 2), strict=True):
        assert ((frame.argmax(axis=2) == channel) == mask).mean() > 0.99


def test_a_filled_hole_has_the_colours_around_it() -> None:
    rgba = np.zeros((60, 80, 4), dtype=np.uint8)
    rgba[:, :40, :3], rgba[:, 40:, :3] = (50, 100, 150), (150, 50, 100)
    rgba[20:40, 15:65] = (255, 255, 0, 255)
    whole = 255 * filled(torch.from_numpy(rgba)).permute(1, 2, 0)
    assert whole.max() <= 150.1
    assert torch.equal(whole[0].round().byte(), torch.from_numpy(rgba[0, :, :3]))
    assert torch.allclose(whole[30, 10], torch.tensor([50.0, 100, 150]), atol=5)
    assert torch.allclose(whole[30, 70], torch.tensor([150.0, 50, 100]), atol=5)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    import small_library

    return Library(small_library.build(Path(tmp_path_factory.mktemp("sources"))), "train")


def test_random_ones_are_seen_at_first_and_some_are_fast_hidden_or_away(library: Library) -> None:
    fastest, gone, returned = 0.0, 0, 0
    for seed in range(24):
        rng = np.random.default_rng(seed)
        sources = [library.photographs[seed % 4]] * (1 + seed % 2)
        moving = random_lively_scene(library, rng, sources, size=SIZE, start_s=1.0, step_s=0.2)
        shown = [moving.render(1 + 0.2 * step) for step in range(8)]
        assert all(frame.shape == (*SIZE, 3) for frame, _ in shown)
        assert shown[0][1].any(axis=(1, 2)).all()
        assert all(len(masks) == len(sources) for _, masks in shown)
        own = [masks[0] for _, masks in shown]
        areas = [int(mask.sum()) for mask in own]
        share = np.array(areas) / areas[0]
        gone += bool(share.min() < 0.2)
        returned += any(share[i] < 0.3 and share[i:].max() > 0.6 for i in range(8))
        for before, after in pairwise(own):
            if min(before.sum(), after.sum()) > 20:
                step = np.subtract(extent(before)[:2], extent(after)[:2])
                fastest = max(fastest, float(np.abs(step).max()) / SIZE[0])
    assert fastest > 0.15
    assert gone > 1
    assert returned > 0


def test_the_generator_alone_decides(library: Library) -> None:
    def shown(seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        source = library.photographs[0]
        moving = random_lively_scene(library, rng, [source], size=SIZE, start_s=0, step_s=0.1)
        return moving.render(0.3)[0]

    assert np.array_equal(shown(3), shown(3))
    assert not np.array_equal(shown(3), shown(4))
