"""Connected areas of label maps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Runs = NDArray[np.intp]


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
