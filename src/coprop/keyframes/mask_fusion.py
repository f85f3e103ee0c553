"""What released networks tell of where things are, put over a mask that was learned from little.

DeepLab tells people, animals and vehicles apart, U2-Net small finds whatever stands out; both have
seen many photographs, and have sharp edges. The values here were chosen on frames of validation
clips, real and composed, and on photographs; docs/choices.md has what each gives.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from coprop.keyframes.groups import index_of
from coprop.keyframes.visual import VisualEvidence

_HALF = 0.5  # the weight of each of two that tell the same thing
_SHOWN = 0.5  # the value of a map from which a thing is found, or stands out
_SURE = 0.95  # DeepLab's highest probability from which it is trusted more: drawings seldom have it
_TRUST = 0.7  # its weight then; with 0.65 and 0.8 masks are about as good
_SURELY_HERE = 0.8  # the value at a place that is a thing's whatever else may be there
_PERSON = index_of("person")
_PERSON_SURE = 0.99  # DeepLab's highest probability of a person, from which one is really there
_SAME = 0.5  # share by which a mask and what stands out must cover each other to be one thing
# Shares of a mask within what stands out beside people, and of that within the mask, from which it
# is a part of what they hold: of a cello the strings and the bow. From 0.2 to 0.3 and from 0.1 to
# 0.2 masks are the same.
_PART, _LEAST_PART = 0.25, 0.15
_LEAST_AREA = 1e-4  # places: a divisor


def with_released(mask: Tensor, visual: VisualEvidence, groups: Tensor) -> Tensor:
    """(K, 1, h / 4, w / 4) in [0, 1], the mask of what sounds, of which groups are known.

    Args:
        mask: as learned, float32 of the same shape and range: in half precision sums over places
            would be wrong.
        visual: of the K frames.
        groups: (K, G), 1 for the groups that sound and 0 for others.
    """
    learned, saliency = mask, visual.saliency.float()
    mask = torch.lerp(mask, *_found(visual, groups))
    whole = torch.lerp(mask, saliency, _HALF * _is_same(mask, saliency))
    people = _silent_people(visual, groups)
    if people.is_meta or not people.any():  # on the meta device there is no value to ask
        return whole
    held = _held(learned, saliency.masked_fill(people, 0))
    is_held = people.any(dim=(2, 3), keepdim=True) & _is_part(learned, held)
    return torch.where(is_held, torch.maximum(mask, held), whole).masked_fill(people, 0)


def _found(visual: VisualEvidence, groups: Tensor) -> tuple[Tensor, Tensor]:
    """DeepLab's map of what sounds and its weight at each place, both (K, 1, h / 4, w / 4).

    Where a group sounds that DeepLab does not find, or does not know, its map says what is in the
    mask and not what is not: a guitar beside the person that it sees.
    """
    voc = visual.voc.float()
    found = voc.amax(dim=(2, 3)) >= _SHOWN
    all_found = (found | (groups == 0)).all(dim=1)[:, None, None, None]
    shown = (voc * (groups * found)[:, :, None, None]).amax(dim=1, keepdim=True)
    sure = shown.amax(dim=(2, 3), keepdim=True) >= _SURE
    trust = _HALF + (_TRUST - _HALF) * sure.to(shown.dtype)
    return shown, trust * (all_found | (shown >= _SURELY_HERE))


def _silent_people(visual: VisualEvidence, groups: Tensor) -> Tensor:
    """(K, 1, h / 4, w / 4) bool, people who surely are none of what sounds: who plays it.

    Of other groups nothing is taken away: DeepLab takes one animal for another.
    """
    person = visual.voc[:, _PERSON, None]
    silent = groups[:, _PERSON, None, None, None] == 0
    there = person.amax(dim=(2, 3), keepdim=True) >= _PERSON_SURE
    return silent & there & (person >= _SURELY_HERE)


def _held(mask: Tensor, beside: Tensor) -> Tensor:
    """Of what stands out beside people the pieces that hang together with what surely is masked."""
    piece = (beside >= _SHOWN).to(beside.dtype)
    reached = piece * (mask >= _SURELY_HERE)
    while not torch.equal(grown := F.max_pool2d(reached, 3, stride=1, padding=1) * piece, reached):
        reached = grown
    return beside * reached


def _is_part(mask: Tensor, held: Tensor) -> Tensor:
    """(K, 1, 1, 1) bool, whether a mask is a part of what people hold or play."""
    places = (1, 2, 3)
    both = (mask * held).sum(dim=places, keepdim=True)
    area = held.sum(dim=places, keepdim=True)
    within = both >= _PART * mask.sum(dim=places, keepdim=True)
    return within & (both >= _LEAST_PART * area) & (area > 0)


def _is_same(mask: Tensor, saliency: Tensor) -> Tensor:
    """(K, 1, 1, 1): 1 where a mask and what stands out are of one thing, else 0."""
    both = (mask * saliency).sum(dim=(1, 2, 3), keepdim=True)
    larger = torch.maximum(
        mask.sum(dim=(1, 2, 3), keepdim=True), saliency.sum(dim=(1, 2, 3), keepdim=True)
    )
    return (both >= _SAME * larger.clamp_min(_LEAST_AREA)).to(mask.dtype)
