"""DeepLabv3 on MobileNetV2: which pixels are a person, an animal, a vehicle or a thing at home.

By Google (Apache-2.0), trained on PASCAL VOC's 20 classes and background. Batch normalisation is
part of its convolutions. The released activations are 8-bit integers; these are floats.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coprop.encoders.convolution import ConvReLU, convolve
from coprop.encoders.released import ConvReLU6, ReleasedNetwork, check_frames

CLASS_NAMES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair"),
    *("cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa"),
    *("train", "tvmonitor"),
)
"""PASCAL VOC's, in the order of the logits."""

_STRIDE = 16  # of its coarsest features
# Channels, blocks, stride of the first and dilation of each stage. The last two would have strides
# of 2 and 1 in a classifier; here the map stays at stride 16 and the last kernels are spread.
_STAGES = (
    *((24, 2, 2, 1), (32, 3, 2, 1), (64, 4, 2, 1)),
    *((96, 3, 1, 1), (160, 1, 1, 1), (160, 2, 1, 2), (320, 1, 1, 2)),
)
_EXPANSION = 6
_CONTEXT = 256


class DeepLab(ReleasedNetwork):
    """(B, 3, H, W) RGB in [0, 1] of any size -> logits of PASCAL VOC's 21 classes.

    It was trained on 513 x 513. Other sizes work as well as their objects have the sizes they had
    there. Grey is added at the right and at the bottom up to 16 k + 1, and taken away again.

    Weights are random; `from_pretrained()` has the released ones.
    """

    folder = "deeplab"

    def __init__(self) -> None:
        super().__init__()
        blocks: list[nn.Module] = [
            ConvReLU6(3, 32, 3, stride=2),
            ConvReLU6(32, 32, 3, depthwise=True),
            nn.Conv2d(32, 16, 1),
        ]
        before = 16
        for after, count, stride, dilation in _STAGES:
            for i in range(count):
                blocks.append(_Block(before, after, stride if i == 0 else 1, dilation))
                before = after
        self.blocks = nn.Sequential(*blocks)
        self.place = ConvReLU(before, _CONTEXT, 1)
        self.image = ConvReLU(before, _CONTEXT, 1)
        self.merge = ConvReLU(2 * _CONTEXT, _CONTEXT, 1)
        self.classifier = nn.Conv2d(_CONTEXT, len(CLASS_NAMES), 1)

    def forward(self, frames: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, 21, H, W) logits.

        Raises:
            ShapeError: frames of another shape, or not floats.
        """
        # On CPUs a map of each class by itself is both resized and compared with others faster.
        coarse = self.coarse_logits(frames).contiguous()
        rows, columns = (_STRIDE * (size - 1) + 1 for size in coarse.shape[-2:])
        # Corners are aligned: a place of the coarse map is one pixel's.
        logits = F.interpolate(coarse, (rows, columns), mode="bilinear", align_corners=True)
        return logits[..., : frames.shape[-2], : frames.shape[-1]]

    def labels(self, frames: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, H, W) uint8: the class of each pixel, 0 is background."""
        return self.forward(frames).argmax(dim=1).to(torch.uint8)

    def coarse_logits(self, frames: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, 21, 1 + ceil((H - 1) / 16), 1 + ceil((W - 1) / 16)).

        The place (y, x) is the pixel (16 y, 16 x); it may be beyond the frame's edge.
        """
        logits: Tensor = self.classifier(self.features(frames))
        return logits

    def features(self, frames: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, 256, h, w), at least 0: what `coarse_logits` are made from."""
        check_frames(frames)
        pixels = (frames * 255 - 128) / 128
        pads = [-(size - 1) % _STRIDE for size in frames.shape[-2:]]
        x = F.pad(pixels, (0, pads[1], 0, pads[0])).to(self.classifier.weight.dtype)
        x = self.blocks(x)
        image = self.image(x.mean(dim=(2, 3), keepdim=True))
        merged: Tensor = self.merge(
            torch.cat([image.expand(-1, -1, *x.shape[2:]), self.place(x)], 1)
        )
        return merged


class _Block(nn.Sequential):
    """MobileNetV2's: wider, filtered in place, narrower, and added to what came in."""

    def __init__(self, before: int, after: int, stride: int, dilation: int) -> None:
        wide = _EXPANSION * before
        super().__init__(
            ConvReLU6(before, wide),
            ConvReLU6(wide, wide, 3, stride=stride, dilation=dilation, depthwise=True),
            nn.Conv2d(wide, after, 1),
        )
        self.adds = stride == 1 and before == after

    def forward(self, x: Tensor) -> Tensor:
        layers: list[Any] = [*self]
        *filters, narrow = layers
        output = x
        for layer in filters:
            output = layer(output)
        output = convolve(narrow, output)
        return output.add_(x) if self.adds else output
