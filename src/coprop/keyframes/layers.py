"""Layers that the default's small networks share."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


def conv_block(before: int, after: int) -> nn.Sequential:
    """Two 3 x 3 convolutions, each normalised in groups of its channels, a multiple of 8."""
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1, bias=False),
        nn.GroupNorm(8, after),
        nn.ReLU(),
        nn.Conv2d(after, after, 3, padding=1, bias=False),
        nn.GroupNorm(8, after),
        nn.ReLU(),
    )


def resized(x: Tensor, like: Tensor) -> Tensor:
    """(K, C, ...) at the height and width of another map."""
    return F.interpolate(x, like.shape[-2:], mode="bilinear", align_corners=False)
