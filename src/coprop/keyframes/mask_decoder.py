"""From what is seen where to a crisp mask of what sounds, whatever it is."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch import Tensor, nn

from coprop.keyframes.layers import conv_block, resized
from coprop.keyframes.mask_fusion import with_released
from coprop.keyframes.visual import PYRAMID, VisualEvidence

# The sizes of the weights that come with the package.
_WIDTH = 48  # channels
_CUES = 5  # channels of evidence, see `MaskDecoder.decode`
_HEADS = 4  # of the attention that spreads them

_MOVES = 0.5  # of a place: as surely as not
_LEAST = 1e-4  # probability: its logit is finite
_LEAST_PRESENCE = 0.05  # of a group: it may be there without a score


class MaskDecoder(nn.Module):
    """Spreads evidence over what looks alike, then sharpens it, level by level.

    It is told where evidence for what sounds was seen and where for other things, but never for
    what: it works the same for all groups.
    """

    def __init__(self) -> None:
        super().__init__()
        fine, middle, coarse = PYRAMID
        self.spread = _Spread(coarse)
        self.at_16 = conv_block(coarse + 2 * _CUES, 2 * _WIDTH)
        self.at_8 = conv_block(2 * _WIDTH + middle + _CUES, _WIDTH)
        self.at_4 = conv_block(_WIDTH + fine + _CUES, _WIDTH // 2)
        self.mask = nn.Conv2d(_WIDTH // 2, 1, 1)

    def forward(self, visual: VisualEvidence, groups: Tensor, other: Tensor) -> Tensor:
        """(K, 1, h / 4, w / 4) logits of "this pixel sounds".

        What was learned from little is put together with what released networks tell, see
        `coprop.keyframes.mask_fusion`.

        Args:
            visual: of K frames.
            groups: (K, G), 1 for the groups that sound and 0 for others.
            other: (K,), 1 where what stands out sounds without being recognised, else 0.
        """
        evidence = in_the_picture(visual, groups)
        mask = self.decode(visual.pyramid, evidence, groups).float().sigmoid()
        mask = with_released(mask, visual, groups.float())
        if other.is_meta or (other > 0).any():  # on the meta device there is no value to ask
            unknown = self._unrecognised(visual)
            mask = torch.where(other[:, None, None, None] > 0, unknown, mask)
        return mask.logit(eps=_LEAST)

    def _unrecognised(self, visual: VisualEvidence) -> Tensor:
        """(K, 1, h / 4, w / 4) in [0, 1], the thing that stands out.

        Where nothing moves, what stands out is drawn sharply already.
        """
        height, width = visual.pyramid[-1].shape[-2:]
        seen = F.adaptive_avg_pool2d(visual.standing_out, (height, width))
        one = seen.new_ones(len(seen), 1)
        mask = self.decode(visual.pyramid, torch.cat([seen, 1 - seen], dim=1), one)
        moves = visual.motion.amax(dim=(2, 3), keepdim=True) > _MOVES
        return torch.where(moves, mask.float().sigmoid(), visual.standing_out.float())

    def decode(self, pyramid: Sequence[Tensor], seen: Tensor, heard: Tensor) -> Tensor:
        """(K, 1, h / 4, w / 4) logits, as learned.

        Args:
            pyramid: of `VisualEvidence`.
            seen: (K, G + 1, h / 16, w / 16), of `in_the_picture`.
            heard: (K, G) in [0, 1], how far things of each group sound.
        """
        evidence, rest = seen[:, :-1], seen[:, -1:]
        weights = heard[:, :, None, None]
        sounding = (evidence * weights).sum(dim=1, keepdim=True)
        silent = (evidence * (1 - weights)).sum(dim=1, keepdim=True)
        # What is heard is seldom certain: of what is seen, the most probable source counts fully.
        likely = (evidence.amax(dim=(2, 3)) * heard.sqrt())[:, :, None, None]
        relative = likely / likely.amax(dim=1, keepdim=True).clamp_min(1e-6)
        relative = (evidence * relative).sum(dim=1, keepdim=True)
        # The square root spreads small probabilities, which matter: a large object's evidence is
        # high only at its most telling parts.
        cues = torch.cat([sounding, sounding.sqrt(), relative, silent, rest], dim=1)
        fine, middle, coarse = pyramid
        at_16 = resized(cues, coarse)
        x = self.at_16(torch.cat([coarse, at_16, self.spread(coarse, at_16)], dim=1))
        x = self.at_8(torch.cat([resized(x, middle), middle, resized(cues, middle)], dim=1))
        x = self.at_4(torch.cat([resized(x, fine), fine, resized(cues, fine)], dim=1))
        logits: Tensor = self.mask(x)
        return logits


class _Spread(nn.Module):
    """Attention over the picture that carries cues to every place that looks alike."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        # Each head's queries and keys have half the width.
        self.query_key = nn.Sequential(
            nn.GroupNorm(1, channels), nn.Conv2d(channels, 2 * _HEADS * _WIDTH // 2, 1)
        )
        self.mix = nn.Conv2d(_HEADS * _CUES, _CUES, 1)

    def forward(self, features: Tensor, cues: Tensor) -> Tensor:
        h, w = features.shape[-2:]
        query, key = (
            rearrange(x, "k (heads c) h w -> k heads (h w) c", heads=_HEADS)
            for x in self.query_key(features).chunk(2, dim=1)
        )
        value = repeat(cues, "k c h w -> k heads (h w) c", heads=_HEADS)
        # On CPUs attention takes a fifth of the time where values are as wide as keys.
        wide = F.pad(value, (0, key.shape[-1] - value.shape[-1]))
        spread = F.scaled_dot_product_attention(query, key, wide)[..., : value.shape[-1]]
        mixed: Tensor = self.mix(rearrange(spread, "k heads (h w) c -> k (heads c) h w", h=h, w=w))
        return cues + mixed


def in_the_picture(visual: VisualEvidence, sounding: Tensor) -> Tensor:
    """The evidence at each place, in which groups that seem not to be there are something else.

    Args:
        visual: of K frames.
        sounding: (K, G) in [0, 1], how surely a group is there because it was found to sound.

    Returns:
        (K, G + 1, h / 16, w / 16), in sum 1 at each place.
    """
    presence_scores = torch.maximum(visual.presence_scores.amax(dim=2), visual.patch_scores)
    weights = torch.maximum(presence_scores, sounding).clamp(_LEAST_PRESENCE, 1)[:, :, None, None]
    evidence = torch.cat([visual.patches[:, :-1] * weights, visual.patches[:, -1:]], dim=1)
    return evidence / evidence.sum(dim=1, keepdim=True)
