from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from coprop.media.overlay import paint
from coprop.media.palette import voc_palette


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
    assert painted[4, 4].tolist() == [177, 50, 50]
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
