"""A small result with all that is hard to hand on: odd sizes, uneven times, specks, two names."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from coprop import Audio, Category, ControlPoints, FrameMask, Result, Segment
from coprop.media.reader import Frame

TIME_BASE = Fraction(1, 30_000)
PTS = (0, 1001, 2002, 5005, 5040, 6006, 9009, 10010, 12012, 13013, 14014, 30030)
SIZE = (45, 67)
RATE = 48_000
SEGMENTS = (
    Segment(
        1 / 30, 5041 / 30_000, (Category("Drum kit", 0.36291234), Category("Drum, big\tone", 0.3))
    ),
    Segment(0.2002, 0.33366, (Category('Bird <&> "quoted"', 0.86),)),
    Segment(0.4, 0.45, ()),
    Segment(0.46, 1.02, (Category("Drum kit", 0.5),)),
)
SILENT = {0, 5, 11}
"""Frames without a mask."""


def picture(index: int, size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    """Smooth colours that no key colour is among."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    red = 90 + 80 * np.sin((columns + 3 * index) / 15)
    blue = 90 + 80 * np.cos((rows - 2 * index) / 12)
    return np.stack([red, (red + blue) / 3, blue], axis=2).astype(np.uint8)


def frames(size: tuple[int, int] = SIZE) -> list[Frame]:
    return [
        Frame(index, float(pts * TIME_BASE), picture(index, size), pts, TIME_BASE)
        for index, pts in enumerate(PTS)
    ]


def shapes(index: int, labels: Sequence[int], size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    """A disc with a hole, a bar at the edge, and specks, of the labels in turn."""
    if index in SILENT:
        return np.zeros(size, dtype=np.uint8)
    rng = np.random.default_rng(index)
    rows, columns = np.mgrid[: size[0], : size[1]]
    far = np.hypot(rows - size[0] / 2, columns - size[1] / 3 - 2 * index)
    found = np.zeros(size, dtype=np.uint8)
    found[(far < size[0] / 4) & (far > 4)] = labels[0]
    found[: size[0] // 6] = labels[-1]
    found[-1, -1] = labels[0]
    found[rng.random(size) < 0.01] = labels[index % len(labels)]
    return found


def masks(labels: Sequence[int] = (1,), size: tuple[int, int] = SIZE) -> list[FrameMask]:
    return [
        FrameMask(
            index,
            float(pts * TIME_BASE),
            shapes(index, labels, size),
            None,
            (0, *sorted(labels)),
            index == 1,
        )
        for index, pts in enumerate(PTS)
    ]


def sound() -> Audio:
    """A loud tone, 0.2 s longer than the frames."""
    times = np.arange(round(1.3 * RATE)) / RATE
    return Audio((0.5 * np.sin(2 * np.pi * 440 * times)).astype(np.float32), RATE)


def result(labels: Sequence[int] = (1,), size: tuple[int, int] = SIZE) -> Result:
    points = ControlPoints(np.array([0.0, 0.2]), np.ones(2), np.ones(2, dtype=bool))
    return Result(tuple(masks(labels, size)), points, SEGMENTS, frames(size), sound(), None)


NAMES = {
    **dict.fromkeys((1, 2, 3, 4), "Drum kit"),
    **dict.fromkeys((6, 7), 'Bird <&> "quoted"'),
    **dict.fromkeys((8, 9), "sounding"),
    10: "Drum kit",
}
"""What the object in each frame of a result of one label is called."""


def iou(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float((one & other).sum() / max((one | other).sum(), 1))
