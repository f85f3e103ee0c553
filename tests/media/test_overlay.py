from __future__ import annotations

import colorsys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from coprop.media.painting import TINTS, Tints, paint, voc_palette, without_specks


def test_voc_palette() -> None:
    palette = voc_palette()
    # The colours published with PASCAL VOC: background, aeroplane, bicycle, bird, ..., void.
    assert palette[:4].tolist() == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0]]
    assert palette[15].tolist() == [192, 128, 128]
    assert palette[20].tolist() == [0, 64, 128]
    assert palette[255].tolist() == [224, 224, 192]
    assert len(np.unique(palette, axis=0)) == 256


def test_paint() -> None:
    image = np.full((9, 9, 3), 100, dtype=np.uint8)
    labels = np.zeros((9, 9), dtype=np.uint8)
    labels[2:7, 2:7] = 1
    painted = paint(image, labels)
    halved = (100 + TINTS.astype(int)) // 2
    assert painted[4, 4].tolist() in halved.tolist()
    border = np.zeros((9, 9), dtype=bool)
    border[2:7, 2:7] = True
    border[3:6, 3:6] = False
    assert np.all(painted[border] == 255)
    assert np.all(painted[labels == 0] == 100)
    assert np.all(image == 100)


@settings(deadline=None, max_examples=25)
@given(labels=hnp.arrays(np.uint8, st.tuples(st.integers(1, 8), st.integers(1, 8))))
def test_background_is_never_touched(labels: np.ndarray) -> None:  # type: ignore[type-arg]
    image = np.random.default_rng(0).integers(0, 255, (*labels.shape, 3), dtype=np.uint8)
    painted = paint(image, labels)
    assert painted.shape == image.shape
    np.testing.assert_array_equal(painted[labels == 0], image[labels == 0])


def square(size: int = 40, label: int = 1) -> np.ndarray:  # type: ignore[type-arg]
    labels = np.zeros((60, 80), dtype=np.uint8)
    labels[10 : 10 + size, 10 : 10 + size] = label
    return labels


@pytest.mark.parametrize("hue", np.linspace(0, 1, 12, endpoint=False).tolist())
@pytest.mark.parametrize(("saturation", "value"), [(1.0, 0.8), (0.6, 0.5), (0.9, 0.25)])
def test_the_tint_is_not_what_it_is_painted_on(hue: float, saturation: float, value: float) -> None:
    """A red macaw is not tinted red, nor a green field green."""
    colour = np.array([round(255 * c) for c in colorsys.hsv_to_rgb(hue, saturation, value)])
    image = np.full((60, 80, 3), 120, dtype=np.uint8)
    image[square() > 0] = colour
    tint = Tints().of(image, square())[1]
    other, *_ = colorsys.rgb_to_hsv(*(tint / 255))
    apart = abs(other - hue)
    assert min(apart, 1 - apart) > 1 / 6  # a sixth of the circle of hues
    assert np.abs(paint(image, square())[30, 30].astype(int) - colour).max() > 40


def test_no_tint_is_blue() -> None:
    """Which reads as quiet, beside a warm colour."""
    for tint in TINTS:
        hue, saturation, value = colorsys.rgb_to_hsv(*(tint / 255))
        assert saturation > 0.6
        assert value > 0.8
        assert not 0.55 < hue < 0.72


def test_a_label_keeps_its_colour_through_a_clip() -> None:
    tints = Tints()
    red, blue = (np.full((60, 80, 3), c, dtype=np.uint8) for c in ((200, 30, 30), (30, 60, 200)))
    first = paint(red, square(), tints)
    paint(blue, square(20, label=2), tints)
    paint(blue, square(), tints)
    np.testing.assert_array_equal(paint(red, square(), tints), first)
    np.testing.assert_array_equal(tints.of(blue, square())[1], tints.of(red, square())[1])


def test_labels_have_colours_of_their_own_while_there_are_any() -> None:
    tints = Tints()
    image = np.full((60, 80, 3), (200, 30, 30), dtype=np.uint8)
    for label in range(1, 2 * len(TINTS) + 1):
        table = tints.of(image, square(label=label))
    colours = table[1 : 2 * len(TINTS) + 1].tolist()
    wanted = sorted(TINTS.tolist())
    assert sorted(colours[: len(TINTS)]) == sorted(colours[len(TINTS) :]) == wanted


def test_specks_and_holes_have_no_outline() -> None:
    labels = np.zeros((240, 320), dtype=np.uint8)
    labels[60:180, 80:240] = 1
    plain = np.full((240, 320, 3), 100, dtype=np.uint8)
    clean = (paint(plain, labels) == 255).all(axis=2)
    rough = labels.copy()
    rough[100:105, 100:106] = 0  # a pin-hole
    rough[10:14, 10:16] = 1  # a speck
    rough[0, 0] = 1
    painted = paint(plain, rough)
    np.testing.assert_array_equal((painted == 255).all(axis=2), clean)
    assert painted[102, 102].tolist() == [100, 100, 100]  # the tint is still the mask's
    assert painted[12, 12].tolist() == painted[120, 120].tolist()


@settings(deadline=None, max_examples=100)
@given(
    labels=hnp.arrays(
        np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 2)
    ),
    smallest=st.integers(1, 9),
)
def test_small_areas_join_what_is_around_them(labels: np.ndarray, smallest: int) -> None:  # type: ignore[type-arg]
    before = sizes(labels)
    cleaned = without_specks(labels, smallest)
    large = before >= smallest
    np.testing.assert_array_equal(cleaned[large], labels[large])
    if large.any():
        assert sizes(cleaned).min() >= smallest


def sizes(labels: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    """For each pixel how many its area has, by filling one area after another."""
    found = np.zeros(labels.shape, dtype=int)
    for place in np.ndindex(labels.shape):
        area, waiting = {place}, [place]
        while waiting and not found[place]:
            y, x = waiting.pop()
            for beside in ((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)):
                inside = all(0 <= i < n for i, n in zip(beside, labels.shape, strict=True))
                if inside and beside not in area and labels[beside] == labels[place]:
                    area.add(beside)
                    waiting.append(beside)
        for each in area:
            found[each] = max(found[each], len(area))
    return found
