"""The colours of ImageNet, by which most image encoders were trained to be normalised."""

from __future__ import annotations

from torch import Tensor

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def normalised(frames: Tensor) -> Tensor:
    """(..., 3, H, W) RGB in [0, 1] -> the same with ImageNet's mean 0 and deviation 1."""
    mean, std = (frames.new_tensor(x).view(3, 1, 1) for x in (IMAGENET_MEAN, IMAGENET_STD))
    return (frames - mean) / std
