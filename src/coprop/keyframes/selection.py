"""What sounds of what is seen, as a probability model.

One of these made the sound: a thing that is seen and recognised, a thing that stands out without
being recognised, or something outside the picture. For each group g of things

    recognised    P(seen g) (heard g + u)
    unrecognised  P(overlooked | g) P(something unknown stands out) (heard g + u)
    off-screen    P(off-screen) P(not seen g) heard g

tell how likely it is, but for a common factor; noise, wind and water are always off-screen. u is
how often recognition fails of sounds in which nothing is clearly heard: with it,
what fills the picture is taken for the source of a sound without a name. Where the likeliest is
off-screen, nothing in the picture sounds. Else the likeliest does, and with it those that are about
as likely, since several may sound at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coprop.keyframes.audio import AudioEvidence
from coprop.keyframes.groups import index_of
from coprop.keyframes.visual import DEEPLAB, PRESENCE_CUES, VisualEvidence

OFF_SCREEN = 0.1
"""How often what sounds is outside the picture; chosen on validation clips."""

SEEN = 0.1
"""Least probability at which something is taken to be in the picture."""

RECOGNISED = 0.6
"""Probability from which a thing is what it is taken for, and nothing unknown: of 63 validation
photographs with such a thing 62 show it, and between 0.5 and 0.6 4 of 7."""

_SURELY_FOUND = 0.99  # DeepLab's highest probability of an animal or a vehicle that is there
_BELIEVED = 0.8  # what its mean over some places counts then; 0.7 does as well
_PERSON = index_of("person")

_STANDING_OUT = 8  # places of the finest map, 32 pixels: less is no object


@dataclass(frozen=True, eq=False)
class Selection:
    """What sounds in K frames.

    Args:
        groups: (K, G) 1 for the groups whose things sound, else 0.
        other: (K,) 1 where something that stands out sounds without being recognised, else 0.
    """

    groups: Tensor
    other: Tensor


class SourceSelector(nn.Module):
    """Decides what sounds.

    Args:
        groups: G.
        off_screen: how often what sounds is outside the picture, in [0, 1]: at 0 the likeliest
            thing in the picture is masked always, at 1 only what is surely seen and heard.
    """

    unclear: float = 0.01  # u above; the best of 0.01, 0.03 and 0.06 on validation clips
    contending: float = 0.5  # how likely another is that sounds too, against the likeliest
    presence: Tensor
    overlooked: Tensor

    def __init__(self, groups: int, off_screen: float = OFF_SCREEN) -> None:
        super().__init__()
        self.off_screen = off_screen
        # Weights of a logistic model, one for each kind of evidence, and what is added; untrained.
        self.register_buffer("presence", torch.tensor([4.0] * PRESENCE_CUES + [-4.0]))
        self.register_buffer("overlooked", torch.full((groups,), 0.1))

    def forward(self, visual: VisualEvidence, audio: AudioEvidence) -> Selection:
        """What sounds of what is seen in each of K frames."""
        seen, unknown = self.seen(visual), self.stands_out(visual)
        return self.select(seen, unknown * (1 - seen.amax(dim=1)), audio)

    def select(self, seen: Tensor, unknown: Tensor, audio: AudioEvidence) -> Selection:
        """`forward`, from (K, G) and (K,) probabilities of what is seen."""
        heard = audio.groups + self.unclear * (1 - audio.confidence.unsqueeze(1))
        recognised = seen * heard
        unrecognised = (self.overlooked * (1 - seen) * heard).amax(dim=1) * unknown
        outside = ((1 - seen) * audio.groups).amax(dim=1).maximum(audio.ambient)
        off_screen = self.off_screen * outside
        best = recognised.amax(dim=1)
        likeliest = torch.stack([best, unrecognised, off_screen], dim=1).argmax(dim=1)
        contenders = (recognised >= self.contending * best.unsqueeze(1)) & (seen >= SEEN)
        contenders |= recognised == best.unsqueeze(1)
        return Selection(
            (contenders & (likeliest == 0).unsqueeze(1)).to(seen.dtype),
            (likeliest == 1).to(seen.dtype),
        )

    def among(self, visual: VisualEvidence, audio: AudioEvidence, named: Tensor) -> Selection:
        """`forward` of the named groups' things alone; where none of them sounds, of all.

        Args:
            visual, audio: of `forward`.
            named: (K, G), 1 for the groups that may sound and 0 for others.
        """
        heard = replace(audio, groups=audio.groups * named)
        first = self.select(self.seen(visual) * named, torch.zeros_like(audio.confidence), heard)
        all_of_them = self(visual, audio)
        chosen = first.groups * named  # where no group is left, all are as likely
        found = chosen.amax(dim=1) > 0
        return Selection(
            torch.where(found[:, None], chosen, all_of_them.groups),
            torch.where(found, first.other, all_of_them.other),
        )

    def seen(self, visual: VisualEvidence) -> Tensor:
        """(K, G) probabilities that a thing of the group is in the picture."""
        logits: Tensor = visual.presence_scores.to(self.presence.dtype) @ self.presence[:-1]
        seen = torch.maximum((logits + self.presence[-1]).sigmoid(), visual.patch_scores)
        return torch.maximum(seen, _BELIEVED * _surely_found(visual).to(seen.dtype))

    def stands_out(self, visual: VisualEvidence) -> Tensor:
        """(K,) probability that an object of any kind stands out, by its look or as it moves."""
        side = min(_STANDING_OUT, *visual.standing_out.shape[-2:])
        return F.avg_pool2d(visual.standing_out, side, max(side // 2, 1)).amax(dim=(1, 2, 3))


def _surely_found(visual: VisualEvidence) -> Tensor:
    """(K, G) DeepLab's probabilities where it is sure, else 0.

    Of people it is sure so often, beside whatever else sounds, that they would be masked with it.
    """
    sure = visual.voc.amax(dim=(2, 3)) >= _SURELY_FOUND
    found = visual.presence_scores[:, :, DEEPLAB] * sure
    found[:, _PERSON] = 0
    return found
