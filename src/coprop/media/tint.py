"""Colours for what is masked that stand out from what they are painted on."""

from __future__ import annotations

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


class Tints:
    """A colour for each label, chosen when the label first appears and kept from then on.

    It is the tint that stands out most from the pixels under the label's area, and from those of
    the whole picture, out of those that the fewest other labels have.
    """

    def __init__(self) -> None:
        self._table = np.zeros((256, 3), dtype=np.uint8)
        self._chosen: dict[int, int] = {}

    def of(self, image: NDArray[np.uint8], labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(256, 3) RGB, a colour for each label that has appeared so far.

        Args:
            image: (H, W, 3) uint8 RGB.
            labels: (H, W) uint8 label map, 0 = background.
        """
        for label in np.flatnonzero(np.bincount(labels.ravel(), minlength=256)):
            if label and int(label) not in self._chosen:
                self._choose(int(label), image, labels == label)
        return self._table

    def _choose(self, label: int, image: NDArray[np.uint8], area: NDArray[np.bool_]) -> None:
        contrast = _contrast(image[area]) + _ELSEWHERE * _contrast(image.reshape(-1, 3))
        taken = np.bincount(list(self._chosen.values()), minlength=len(TINTS))
        contrast[taken > taken.min()] = -1
        self._chosen[label] = int(contrast.argmax())
        self._table[label] = TINTS[self._chosen[label]]


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
