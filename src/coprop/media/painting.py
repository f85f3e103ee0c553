"""Painting masks: the palette of label maps, tints that stand out, outlines without specks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

TINTS: NDArray[np.uint8] = np.array(
    [
        (0, 235, 215),  # turquoise
        (255, 235, 0),  # yellow
        (255, 40, 215),  # magenta
        (60, 225, 40),  # green
        (255, 130, 0),  # orange
        (150, 70, 255),  # violet
        (255, 30, 30),  # red
    ],
    dtype=np.uint8,
)
"""(7, 3) RGB: bright, and far from one another also for most who are colour-blind."""

_LOOKED_AT = 4096  # pixels, spread evenly; more change nothing
_HARDEST = 0.25  # that share of an object's pixels may be nearer to its tint, of many colours
_ELSEWHERE = 0.5  # what the rest of the picture weighs: what sounds later is often seen already
_OUTLINED = 1e-3  # share of the frame; smaller specks and holes are tinted without an outline

Runs = NDArray[np.intp]


def paint(
    image: NDArray[np.uint8], labels: NDArray[np.uint8], tints: Tints | None = None
) -> NDArray[np.uint8]:
    """The picture with each label's area tinted half and half and outlined in white.

    Args:
        image: (H, W, 3) uint8 RGB.
        labels: (H, W) uint8 label map, 0 = background.
        tints: the colours, of a clip whose other frames have the same; None to choose them.

    Returns:
        (H, W, 3) uint8 RGB, a new array.
    """
    painted: NDArray[np.uint8] = image.copy(order="C")
    shown = labels_in(labels)
    if not shown:
        return painted
    # A pixel is one value of three bytes here: picking and placing those takes a tenth of the time
    # that it takes with an axis of colours.
    pixels, colours = _as_triples(painted), (tints or Tints()).of(image, labels, shown)
    for label in shown:
        inside = labels == label
        own = pixels[inside].view(np.uint8)
        tint = np.tile(colours[label], len(own) // 3)
        half = (own >> 1) + (tint >> 1) + (own & tint & 1)  # of the sum, in 8 bits
        pixels[inside] = half.view("V3")
    outlined = without_specks(labels, round(_OUTLINED * labels.size))
    thickness = max(1, round(min(labels.shape) / 240))
    around = _box(outlined, thickness)
    pixels[around][_contour(outlined[around], thickness)] = np.void(b"\xff\xff\xff")
    return painted


def _as_triples(rgb: NDArray[np.uint8]) -> NDArray[np.void]:
    """(..., 3), contiguous -> (...), a view."""
    return rgb.view("V3")[..., 0]


def _box(labels: NDArray[np.uint8], margin: int) -> tuple[slice, slice]:
    """The rows and columns of all that is labelled, and ``margin`` more on each side."""
    rows, columns = (np.flatnonzero(labels.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return slice(0, 0), slice(0, 0)
    first, left = max(rows[0] - margin, 0), max(columns[0] - margin, 0)
    return slice(first, rows[-1] + 1 + margin), slice(left, columns[-1] + 1 + margin)


def _contour(labels: NDArray[np.uint8], thickness: int) -> NDArray[np.bool_]:
    """Pixels of an area that lie within ``thickness`` of another label, along rows and columns."""
    edge = np.zeros(labels.shape, dtype=bool)
    for shift in range(1, thickness + 1):
        down = labels[shift:] != labels[:-shift]
        edge[shift:] |= down
        edge[:-shift] |= down
        across = labels[:, shift:] != labels[:, :-shift]
        edge[:, shift:] |= across
        edge[:, :-shift] |= across
    inside: NDArray[np.bool_] = edge & (labels > 0)
    return inside


class Tints:
    """A colour for each label, chosen when the label first appears and kept from then on.

    It is the tint that stands out most from the pixels under the label's area, and from those of
    the whole picture, out of those that the fewest other labels have.
    """

    def __init__(self) -> None:
        self._table = np.zeros((256, 3), dtype=np.uint8)
        self._chosen: dict[int, int] = {}

    def of(
        self,
        image: NDArray[np.uint8],
        labels: NDArray[np.uint8],
        shown: Sequence[int] | None = None,
    ) -> NDArray[np.uint8]:
        """(256, 3) RGB, a colour for each label that has appeared so far.

        Args:
            image: (H, W, 3) uint8 RGB.
            labels: (H, W) uint8 label map, 0 = background.
            shown: those in the map, where they have been found already (`labels_in`).
        """
        for label in labels_in(labels) if shown is None else shown:
            if label not in self._chosen:
                self._choose(label, image, labels == label)
        return self._table

    def _choose(self, label: int, image: NDArray[np.uint8], area: NDArray[np.bool_]) -> None:
        contrast = _contrast(image[area]) + _ELSEWHERE * _contrast(image.reshape(-1, 3))
        taken = np.bincount(list(self._chosen.values()), minlength=len(TINTS))
        contrast[taken > taken.min()] = -1
        self._chosen[label] = int(contrast.argmax())
        self._table[label] = TINTS[self._chosen[label]]


def labels_in(labels: NDArray[np.uint8]) -> list[int]:
    """The labels in a map, without the background, lowest first.

    >>> labels_in(np.array([[0, 3], [1, 3]], dtype=np.uint8))
    [1, 3]
    """
    left, found = labels[labels > 0], []  # mostly few labels: one after the other is fastest
    while left.size:
        found.append(int(left[0]))
        left = left[left != found[-1]]
    return sorted(found)


def _contrast(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(7,) how far each tint is from all but the nearest quarter of (n, 3) pixels."""
    chosen = pixels[:: max(1, len(pixels) // _LOOKED_AT)]
    far = np.linalg.norm(_lab(TINTS)[:, None] - _lab(chosen)[None], axis=2)
    return np.asarray(np.quantile(far, _HARDEST, axis=1), dtype=np.float64)


def _lab(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(n, 3) sRGB as CIELAB (D65), in which distances are about as they are seen."""
    part = rgb / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array(
        [
            [0.4124564, 0.3575761, 0.1804375],
            [0.2126729, 0.7151522, 0.0721750],
            [0.0193339, 0.1191920, 0.9503041],
        ]
    )
    xyz = linear @ (to_xyz / to_xyz.sum(axis=1, keepdims=True)).T
    curve = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = curve.T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


def voc_palette() -> NDArray[np.uint8]:
    """The palette as (256, 3) uint8 RGB; label 0, the background, is black.

    Source: PASCAL VOC's colour map. The bits of a label are dealt out to R, G and B in turn, the
    lowest bits to the highest places.
    """
    labels = np.arange(256)
    palette = np.zeros((256, 3), dtype=np.uint8)
    for place in range(8):
        for channel in range(3):
            bit = labels >> (3 * place + channel) & 1
            palette[:, channel] |= (bit << (7 - place)).astype(np.uint8)
    return palette


def without_specks(labels: NDArray[np.uint8], smallest: int) -> NDArray[np.uint8]:
    """The label map with areas below ``smallest`` pixels as what lies to their left, or above.

    Specks of an object and pin-holes in it are such areas; neighbours are right, left, above and
    below. The map as it is, where there is none or nothing else.

    Args:
        labels: (H, W) uint8.
        smallest: pixels of the smallest area that stays.
    """
    height, width = labels.shape
    begins = np.ones((height, width), dtype=bool)
    begins[:, 1:] = labels[:, 1:] != labels[:, :-1]
    starts = np.flatnonzero(begins)  # of runs of one label along a row
    lengths = np.diff(starts, append=labels.size)
    area = _areas(starts, lengths, labels.ravel()[starts], width)
    sizes = np.bincount(area, weights=lengths, minlength=len(starts))
    small = sizes[area] < smallest
    if small.all() or not small.any():
        return labels
    shown = labels.ravel()[starts].copy()
    if small[0]:  # the corner is joined by all that is small before the first area that is not
        shown[0] = shown[~small][0]
    # The first run of another area has one before it, or above it, that comes earlier.
    for run in np.flatnonzero(small):
        first = area[run]
        if run == first and run:
            beside = run - 1 if starts[run] % width else _run_at(starts, starts[run] - width)
            shown[run] = shown[area[beside]]
        else:
            shown[run] = shown[first]
    return np.repeat(shown, lengths).reshape(height, width)


def _areas(starts: Runs, lengths: Runs, labels: NDArray[np.uint8], width: int) -> Runs:
    """For each run the first run of its area."""
    below = np.flatnonzero(starts >= width)
    first = _run_at(starts, starts[below] - width)
    last = _run_at(starts, starts[below] + lengths[below] - 1 - width)
    counts = last - first + 1
    one = np.repeat(below, counts)
    other = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    other += np.repeat(first, counts)
    same = labels[one] == labels[other]
    one, other = one[same], other[same]
    area = np.arange(len(starts))
    while True:  # each joins the first area that it touches, until no two touch
        least = np.minimum(area[one], area[other])
        joined = area.copy()
        for runs in (one, other, area[one], area[other]):
            np.minimum.at(joined, runs, least)
        joined = joined[joined]
        if np.array_equal(joined, area):
            return area
        area = joined


def _run_at(starts: Runs, place: Runs) -> Runs:
    return np.searchsorted(starts, place, side="right") - 1
