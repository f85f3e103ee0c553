"""The PASCAL VOC palette: a distinct colour for each of 256 labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


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
