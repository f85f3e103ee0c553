"""Animals that DeepLab takes for one another, told apart by what is heard."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from coprop.keyframes.groups import index_of
from coprop.keyframes.visual import DEEPLAB, VisualEvidence

_ANIMALS = [index_of(name) for name in ("dog", "cat", "horse", "cow", "sheep")]
_HEARD = 0.3  # probability from which one is heard; 0.6 does as well


def told_by_sound(visual: VisualEvidence, heard: Tensor) -> VisualEvidence:
    """The evidence, in which any of the animals that DeepLab finds is the one that is heard.

    DeepLab may see half of a flock as cows; if sheep are heard above all, it is sheep.

    Args:
        visual: of K frames.
        heard: (K, G) in [0, 1], how surely each group is heard.
    """
    likeliest = heard.amax(dim=1, keepdim=True)
    loudest = (heard == likeliest) & (heard >= _HEARD)
    own = torch.zeros_like(loudest)
    own[:, _ANIMALS] = loudest[:, _ANIMALS]
    voc, scores = visual.voc, visual.presence_scores
    any_animal = voc[:, _ANIMALS].amax(dim=1, keepdim=True)
    found = scores[:, _ANIMALS, DEEPLAB].amax(dim=1, keepdim=True)
    scores = scores.clone()
    scores[:, :, DEEPLAB] = torch.where(own, found, scores[:, :, DEEPLAB])
    return replace(
        visual,
        voc=torch.where(own[:, :, None, None], any_animal, voc),
        presence_scores=scores,
    )
