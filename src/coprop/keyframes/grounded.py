"""The default keyframe network: what is seen by name, weighed by what is heard.

Networks see (`eyes`) and hear (`ears`) things by name; a probability model decides which of those
that are seen made the sound (`decision`); and a small network makes a crisp mask of where they were
seen (`refinement`).
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from coprop.checkpoints import read_state_dict
from coprop.encoders.deeplab import DeepLab
from coprop.encoders.released import FILE, WEIGHTS, dequantise
from coprop.encoders.u2net import U2Net
from coprop.encoders.yamnet import YAMNet
from coprop.keyframes.decision import OFF_SCREEN, SEEN, Sounding, SourceModel
from coprop.keyframes.ears import Ears
from coprop.keyframes.eyes import Eyes, Sight
from coprop.keyframes.groups import sounding_groups
from coprop.keyframes.refinement import Refinement, in_the_picture

_ABSENT_LOGIT = -10.0
_LEAST = 1e-4


class GroundedNetwork(nn.Module):
    """Frames and the sound around them -> logits of "this pixel sounds", at stride 4.

    ``forward`` takes ``(K, 3, h, w)`` RGB in [0, 1] with sides that are multiples of 32, and
    ``(K, n)`` samples at 16 kHz of any length; it returns ``(K, 1, h / 4, w / 4)`` logits, -10
    throughout where nothing that is seen is heard.

    Args:
        off_screen: how often what sounds is outside the picture, see `SourceModel`.
    """

    sample_rate = Ears.sample_rate
    window_s = 2.0  # of a frame alone: long enough to be named

    def __init__(self, off_screen: float = OFF_SCREEN) -> None:
        super().__init__()
        self.groups = tuple(sounding_groups())
        self.eyes = Eyes()
        self.ears = Ears()
        self.sources = SourceModel(len(self.groups), off_screen)
        self.refinement = Refinement()

    def forward(self, frames: Tensor, audio: Tensor) -> Tensor:
        sight = self.eyes(frames)
        return self._mask(sight, self.sources(sight, self.ears(audio)))

    def segment(self, frames: Tensor, groups: Tensor) -> Tensor:
        """`forward` where it is known, (K, G) 0 or 1, things of which groups sound."""
        sight = self.eyes(frames)
        # Of what is told, only what is seen can be masked.
        seen = groups * (self.sources.seen(sight) >= SEEN)
        return self._mask(sight, Sounding(seen, torch.zeros_like(seen[:, 0])))

    def undecided(self, frames: Tensor, audio: Tensor) -> Tensor:
        """`forward` for training: what is seen counts as far as it is heard.

        The decision between sources has no gradient.
        """
        sight = self.eyes(frames)
        told = self.sources.seen(sight) * self.ears(audio).groups
        told = told / told.amax(dim=1, keepdim=True).clamp_min(_LEAST)
        return self.refinement.ground(sight.pyramid, in_the_picture(sight, told), told)

    def _mask(self, sight: Sight, sounding: Sounding) -> Tensor:
        logits = cast(Tensor, self.refinement(sight, sounding.groups, sounding.other))
        nothing = sounding.groups.amax(dim=1).maximum(sounding.other) == 0
        return logits.masked_fill(nothing[:, None, None, None], _ABSENT_LOGIT)


def released() -> dict[str, Tensor]:
    """The tensors of the network's parts that come with the package as they were released."""
    folders = {
        "eyes.classifier": "imagenet",
        "eyes.deeplab": DeepLab.folder,
        "eyes.u2net": U2Net.folder,
        "ears.yamnet": YAMNet.folder,
    }
    return {
        f"{part}.{name}": tensor
        for part, folder in folders.items()
        for name, tensor in dequantise(read_state_dict(WEIGHTS / folder / FILE)).items()
    }
