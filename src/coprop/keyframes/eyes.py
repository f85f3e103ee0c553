"""What is seen in a frame: things by name, and whatever stands out, each with its place.

Three released networks look at it, and none of them is trained further, since little of what can
be had to train on is like real video: an ImageNet classifier, PASCAL VOC's DeepLab for people,
animals and vehicles, and U2-Net for objects of any kind. The classifier was trained on pictures of
224 pixels in which one thing fills the middle, so that is how it is asked: about windows of that
size, over the frame in two sizes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coprop.encoders import deeplab
from coprop.encoders.deeplab import DeepLab
from coprop.encoders.u2net import U2Net
from coprop.keyframes.groups import sounding_groups

PYRAMID = (24, 40, 112)  # channels of EfficientNet-Lite0 at strides 4, 8 and 16
KINDS, VOC_KIND = 5, 4
"""Of evidence: the classifier's about windows and places of the small frame, the same of the large
one, and, at last, DeepLab's."""

_IMAGENET_CLASSES = 1000
_STRIDE = 32  # of the classifier's last map
_GLANCE = 256  # pixels of the small frame's shorter side: a window sees nearly all of it
_WINDOWS = ((7, 3), (5, 1))  # places of 32 pixels along a window's side
_DEEPLAB_EDGE = 513  # the longer side it was trained on


@dataclass(frozen=True, eq=False)
class Sight:
    """What is seen in K frames of h x w pixels.

    Args:
        pyramid: the classifier's features at strides 4, 8 and 16.
        evidence: (K, G, E, h / 16, w / 16) in [0, 1], of each group of things, place by place, of
            the `KINDS`.
        salient: (K, 1, h / 4, w / 4) in [0, 1], of an object of any kind.
    """

    pyramid: tuple[Tensor, ...]
    evidence: Tensor
    salient: Tensor


class Eyes(nn.Module):
    """(K, 3, h, w) RGB in [0, 1], sides multiples of 32 -> `Sight`."""

    membership: Tensor
    voc_membership: Tensor

    def __init__(self) -> None:
        super().__init__()
        from timm import create_model

        self.classifier = create_model("tf_efficientnet_lite0", pretrained=False)
        self.deeplab = DeepLab()
        self.u2net = U2Net()
        groups = sounding_groups()
        imagenet = torch.zeros(len(groups), _IMAGENET_CLASSES)
        voc = torch.zeros(len(groups), len(deeplab.CLASS_NAMES))
        for row, group in enumerate(groups.values()):
            imagenet[row, list(group.imagenet)] = 1
            voc[row, [deeplab.CLASS_NAMES.index(name) for name in group.voc]] = 1
        self.register_buffer("membership", imagenet, persistent=False)
        self.register_buffer("voc_membership", voc, persistent=False)

    def forward(self, frames: Tensor) -> Sight:
        final, pyramid = self._features(frames)
        glance, _ = self._features(_glance(frames))
        kinds = [
            _resized(self._named(logits, window), pyramid[-1])
            for logits, windows in zip(map(self._logits, (glance, final)), _WINDOWS, strict=True)
            for window in windows
        ]
        kinds.append(_resized(self._voc(frames), pyramid[-1]))
        evidence = torch.stack(kinds, dim=2)
        salient = self.u2net.saliency(frames).unsqueeze(1)
        return Sight(
            tuple(pyramid), evidence, F.adaptive_avg_pool2d(salient, pyramid[0].shape[-2:])
        )

    def _features(self, frames: Tensor) -> tuple[Tensor, list[Tensor]]:
        final, pyramid = self.classifier.forward_intermediates(frames * 2 - 1, indices=(1, 2, 3))
        return final, pyramid

    def _logits(self, features: Tensor) -> Tensor:
        """The classes' logits at each place, (K, 1000, h / 32, w / 32)."""
        head = self.classifier.classifier
        return F.conv2d(features, head.weight[:, :, None, None], head.bias)

    def _named(self, logits: Tensor, window: int) -> Tensor:
        """(K, G, h / 32, w / 32): the groups' probabilities in the window around each place."""
        mean = F.avg_pool2d(logits, window, 1, window // 2, count_include_pad=False)
        return F.conv2d(mean.softmax(dim=1), self.membership[:, :, None, None])

    def _voc(self, frames: Tensor) -> Tensor:
        """(K, G, ...): DeepLab's probabilities; 0 for groups that it does not know."""
        scale = _DEEPLAB_EDGE / max(frames.shape[-2:])
        size = [round(side * scale) for side in frames.shape[-2:]]
        probabilities = self.deeplab(_shrunk(frames, size)).softmax(dim=1)
        return F.conv2d(probabilities, self.voc_membership[:, :, None, None])


def _glance(frames: Tensor) -> Tensor:
    scale = min(_GLANCE / min(frames.shape[-2:]), 1)
    sides = [max(round(side * scale / _STRIDE), 1) * _STRIDE for side in frames.shape[-2:]]
    return _shrunk(frames, sides)


def _shrunk(frames: Tensor, size: list[int]) -> Tensor:
    return F.interpolate(frames, size, mode="bilinear", antialias=True, align_corners=False)


def _resized(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, like.shape[-2:], mode="bilinear", align_corners=False)
