"""Visual evidence in a frame: things by name, and whatever stands out, each with its place.

Whether a thing is in the picture at all, released networks tell, which nothing here was trained on:
an ImageNet classifier, PASCAL VOC's DeepLab for people, animals and vehicles, and U2-Net for any
object. The classifier was trained on pictures of 224 pixels in which one thing fills the middle, so
that is how it is asked: about windows of that size in a small frame. Where in the picture a thing
is, a second copy tells, whose upper stages were trained further to classify places of a larger
frame; by itself it sees too much.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coprop.encoders import deeplab
from coprop.encoders.deeplab import DeepLab
from coprop.encoders.efficientnet import TAPS, EfficientNetLite0
from coprop.encoders.u2net import U2Net
from coprop.keyframes.groups import index_of, sounding_groups
from coprop.keyframes.layers import conv_block, resized
from coprop.keyframes.motion import motion_map
from coprop.utils.precision import in_float32

PYRAMID = (24, 40, 112)  # channels of EfficientNet-Lite0 at strides 4, 8 and 16
PRESENCE_CUES = 3
"""How a group is found to be there: by the classifier in large and in small windows, by DeepLab."""
DEEPLAB = 2
"""The last of these cues."""

# How much it counts that the trained copy sees a group: it sees much that is not there, but also
# small, drawn and cut out things that the others miss. Of 0.1 to 0.8, 0.5 is the best on composed
# clips. Tools it has learned from 13 pictures, and spoils them in real video from 0.4 on.
_PATCHES_COUNT, _TOOLS_COUNT = 0.5, 0.3

_FINAL = 1280  # channels of its last map
_WIDTH = 96  # channels of what surrounds a place, in the weights that come with the package
_IMAGENET_CLASSES = 1000
_STRIDE = 32  # of the classifier's last map
_SMALL_SIDE = 256  # pixels of the small frame's shorter side: a window sees nearly all of it
_WINDOWS = (7, 3)  # places of 32 pixels along a window's side
_NEARBY = 3  # places: what is seen at one alone may be an accident
_DEEPLAB_EDGE = 513  # the longer side it was trained on
_TRUST = 0.5  # in the trained classifier: it has seen few pictures, and is too sure on real video
_TINY = 1e-30  # its logarithm is finite


@dataclass(frozen=True, eq=False)
class VisualEvidence:
    """What is seen in K frames of h x w pixels.

    Args:
        pyramid: features at strides 4, 8 and 16.
        patches: (K, G + 1, h / 16, w / 16) probabilities of the groups at each place, were they in
            the picture; the last is everything else.
        presence_scores: (K, G, PRESENCE_CUES) in [0, 1], the strongest of each kind anywhere in the
            picture.
        patch_scores: (K, G) in [0, 1], how sure the patch classifier is of a group anywhere in the
            picture, as far as that counts.
        voc: (K, G, h / 4, w / 4) in [0, 1], DeepLab's map of each group; 0 for those it does not
            know.
        saliency: (K, 1, h / 4, w / 4) in [0, 1], of an object of any kind.
        motion: (K, 1, h / 4, w / 4) in [0, 1], how surely each place moves; 0 where nobody knows.
        standing_out: (K, 1, h / 4, w / 4) in [0, 1], of what stands out, by its look or as it
            moves.
    """

    pyramid: tuple[Tensor, ...]
    patches: Tensor
    presence_scores: Tensor
    patch_scores: Tensor
    voc: Tensor
    saliency: Tensor
    motion: Tensor
    standing_out: Tensor


class VisualRecognizer(nn.Module):
    """(K, 3, h, w) RGB in [0, 1], sides multiples of 32 -> `VisualEvidence`.

    Motion is told by ``around``, (K, T, 3, h, w): the frames that `SURROUNDINGS` names.
    """

    membership: Tensor
    voc_membership: Tensor
    voc_groups: Tensor
    patches_count: Tensor

    def __init__(self) -> None:
        super().__init__()
        groups = sounding_groups()
        self.classifier = EfficientNetLite0()
        self.backbone = EfficientNetLite0()
        self.patch_classifier = _PatchClassifier(len(groups) + 1)
        self.deeplab = DeepLab()
        self.u2net = U2Net()
        # The last row is what belongs to no group.
        imagenet = torch.zeros(len(groups) + 1, _IMAGENET_CLASSES)
        voc = torch.zeros(len(groups), len(deeplab.CLASS_NAMES))
        for row, group in enumerate(groups.values()):
            imagenet[row, list(group.imagenet)] = 1
            voc[row, [deeplab.CLASS_NAMES.index(name) for name in group.voc]] = 1
        imagenet[-1] = 1 - imagenet.amax(dim=0)
        known = [row for row, group in enumerate(groups.values()) if group.voc]
        self.register_buffer("membership", imagenet, persistent=False)
        self.register_buffer("voc_membership", voc[known], persistent=False)
        self.register_buffer("voc_groups", torch.tensor(known), persistent=False)
        counts = torch.full((len(groups),), _PATCHES_COUNT)
        counts[index_of("tool")] = _TOOLS_COUNT
        self.register_buffer("patches_count", counts, persistent=False)
        self.to(memory_format=torch.channels_last)  # a third faster on CPUs

    def forward(self, frames: Tensor, around: Tensor | None = None) -> VisualEvidence:
        frames = frames.contiguous(memory_format=torch.channels_last)
        features, pyramid = self.features(frames)
        voc = self._voc(frames)
        presence_scores = self._presence(frames, voc)
        patches = self.classify_patches(features, pyramid[-1])
        patch_scores = _strongest(patches[:, :-1]) * self.patches_count
        saliency = self.u2net.saliency(frames.float()).unsqueeze(1)
        rows, columns = pyramid[0].shape[-2:]
        saliency = F.adaptive_avg_pool2d(saliency, (rows, columns))
        motion = torch.zeros_like(saliency) if around is None else motion_map(around)
        return VisualEvidence(
            tuple(pyramid),
            patches,
            presence_scores,
            patch_scores,
            self._of_all_groups(resized(voc, pyramid[0])),
            saliency,
            motion,
            torch.maximum(saliency, motion.to(saliency)),
        )

    def features(self, frames: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(K, 1280, h / 32, w / 32) to classify places by, and the pyramid."""
        # What is seen where hangs on small differences: in half precision other things are masked.
        with in_float32(frames.device):
            exact = frames.to(self.backbone.conv_stem.weight.dtype)
            features, maps = self.backbone.features(exact * 2 - 1)
        return features, [maps[i] for i in TAPS]

    def presence_scores(self, frames: Tensor) -> Tensor:
        """(K, G, PRESENCE_CUES) of `VisualEvidence`."""
        return self._presence(frames, self._voc(frames))

    def _presence(self, frames: Tensor, voc: Tensor) -> Tensor:
        strongest = [_strongest(each) for each in self._windows(frames)]
        return torch.stack([*strongest, self._of_all_groups(_strongest(voc))], dim=2)

    def classify_patches(self, features: Tensor, finer: Tensor, trust: float = _TRUST) -> Tensor:
        """Probabilities of the groups, at the places of the finer features.

        Args:
            features: (K, 1280, h / 32, w / 32), the last feature map.
            finer: (K, 112, h / 16, w / 16), the one before it.
            trust: what the trained classifier's logits are multiplied by; 1 where it learns.

        Returns:
            (K, G + 1, h / 16, w / 16).
        """
        logits = self.backbone.classify(features)
        # The classes' probabilities, but for a factor, are added up group by group.
        highest = logits.amax(dim=1, keepdim=True)
        sums = F.conv2d((logits - highest).exp(), self.membership[:, :, None, None])
        pooled = resized(sums.clamp_min(_TINY).log() + highest, finer)
        # As if the trained one's were further classes, one for each group and one for none.
        return torch.logaddexp(pooled, trust * self.patch_classifier(features, finer)).softmax(
            dim=1
        )

    def _windows(self, frames: Tensor) -> list[Tensor]:
        """(K, G, rows, columns) each: the groups' probabilities in windows of the small frame."""
        logits = self.classifier.classify(self.classifier.features(_small(frames))[0])
        groups = self.membership[:-1, :, None, None]
        return [
            F.conv2d(
                F.avg_pool2d(logits, side, 1, side // 2, count_include_pad=False).softmax(dim=1),
                groups,
            )
            for side in _WINDOWS
        ]

    def _voc(self, frames: Tensor) -> Tensor:
        """(K, V, h, w) at DeepLab's size, of the groups that it knows."""
        scale = _DEEPLAB_EDGE / max(frames.shape[-2:])
        size = [max(round(side * scale), 1) for side in frames.shape[-2:]]
        probabilities = self.deeplab(_shrunk(frames, size)).softmax(dim=1)
        return F.conv2d(probabilities, self.voc_membership[:, :, None, None])

    def _of_all_groups(self, known: Tensor) -> Tensor:
        """(K, V, ...) of the groups that DeepLab knows -> (K, G, ...), 0 for the others."""
        every = known.new_zeros(len(known), len(self.membership) - 1, *known.shape[2:])
        return every.index_copy(1, self.voc_groups, known)


class _PatchClassifier(nn.Module):
    """Classifies places at half the stride, by what surrounds each."""

    def __init__(self, outcomes: int) -> None:
        super().__init__()
        self.coarse = nn.Conv2d(_FINAL, outcomes, 1)
        self.context = nn.Conv2d(_FINAL, _WIDTH, 1)
        self.around = conv_block(_WIDTH + PYRAMID[-1], _WIDTH)
        self.fine = nn.Conv2d(_WIDTH, outcomes, 1)

    def forward(self, features: Tensor, finer: Tensor) -> Tensor:
        around = self.around(torch.cat([resized(self.context(features), finer), finer], dim=1))
        logits: Tensor = resized(self.coarse(features), finer) + self.fine(around)
        return logits


def _strongest(maps: Tensor) -> Tensor:
    """(K, G, rows, columns) -> (K, G), of the means of places near one another."""
    side = min(_NEARBY, *maps.shape[-2:])
    for axis in (2, 3):  # one after the other: a tenth of the time of pooling in both
        places = maps.shape[axis] - side + 1
        maps = reduce(torch.add, [maps.narrow(axis, i, places) for i in range(side)])
    strongest: Tensor = maps.amax(dim=(2, 3)) / side**2
    return strongest


def _small(frames: Tensor) -> Tensor:
    """Smaller frames as the classifier takes them, in [-1, 1]."""
    scale = min(_SMALL_SIDE / min(frames.shape[-2:]), 1)
    sides = [max(round(side * scale / _STRIDE), 1) * _STRIDE for side in frames.shape[-2:]]
    return _shrunk(frames, sides) * 2 - 1


def _shrunk(frames: Tensor, size: list[int]) -> Tensor:
    return F.interpolate(frames, size, mode="bilinear", antialias=True, align_corners=False)
