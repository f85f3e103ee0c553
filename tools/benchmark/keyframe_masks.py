"""Masks as a keyframe model gives them, made of true ones."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray


def as_segmented(
    label: NDArray[np.uint8], masks: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.uint8]:
    """The mask as a segmenter would give it: too small or too large, with holes, with a bit more.

    Errors are smooth: a mask from a map at stride 8 to 16 has no finer ones.
    """
    height, width = label.shape
    coarse = (max(height // int(rng.integers(8, 25)), 4), max(width // int(rng.integers(8, 25)), 4))
    noise = torch.from_numpy(rng.normal(0, rng.uniform(0.05, 0.3), (1, 1, *coarse))).float()
    bias = float(rng.normal(0, 0.12))
    error = F.interpolate(noise, (height, width), mode="bicubic")[0, 0] + bias
    wrong = np.zeros_like(label)
    if rng.random() < 0.2:  # a part of a neighbour
        other = masks[rng.integers(len(masks))]
        rows = np.flatnonzero(other.any(axis=1))
        if len(rows):
            middle = int(rng.choice(rows))
            part = other & (np.arange(height)[:, None] < middle)
            wrong[part] = int(label.max())
    result, identities = np.zeros_like(label), np.unique(label[label > 0])
    for identity in identities:
        own = torch.from_numpy(((label == identity) | (wrong == identity)).astype(np.float32))
        radius = int(rng.integers(1, max(min(height, width) // 24, 2)))
        soft = F.avg_pool2d(own[None, None], 2 * radius + 1, 1, radius)[0, 0]
        result[((soft + error) > 0.5).numpy()] = identity
    # A keyframe without any mask is none: nothing would be propagated.
    return result if np.isin(identities, result).all() else label
