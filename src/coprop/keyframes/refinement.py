"""From what is seen where to a crisp mask of what sounds, whatever it is."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch import Tensor, nn

from coprop.keyframes.eyes import KINDS, PYRAMID, Sight

_CUES = 2 * KINDS + 4


class Refinement(nn.Module):
    """Spreads cues over what looks alike, then sharpens them, level by level.

    It is told where evidence for what sounds was seen and where for other things, but never for
    what: it works the same for all groups.

    Args:
        width: channels.
    """

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        fine, middle, coarse = PYRAMID
        self.spread = _Spread(coarse, width)
        self.at_16 = _conv(coarse + 2 * _CUES, 2 * width)
        self.at_8 = _conv(2 * width + middle + _CUES, width)
        self.at_4 = _conv(width + fine + _CUES, width // 2)
        self.mask = nn.Conv2d(width // 2, 1, 1)

    def forward(self, sight: Sight, groups: Tensor, other: Tensor) -> Tensor:
        """(K, 1, h / 4, w / 4) logits of "this pixel sounds".

        Args:
            sight: of K frames.
            groups: (K, G), 1 for the groups that sound and 0 for others.
            other: (K,), 1 where something sounds that stands out and is not recognised.
        """
        fine, middle, coarse = sight.pyramid
        cues = _cues(sight, groups, other)
        at_16, at_8, at_4 = (
            _combined(cues, sight.salient, other, level) for level in (coarse, middle, fine)
        )
        x = self.at_16(torch.cat([coarse, at_16, self.spread(coarse, at_16)], dim=1))
        x = self.at_8(torch.cat([_resized(x, middle), middle, at_8], dim=1))
        x = self.at_4(torch.cat([_resized(x, fine), fine, at_4], dim=1))
        logits: Tensor = self.mask(x)
        return logits


class _Spread(nn.Module):
    """Attention over the picture that carries cues to every place that looks alike."""

    def __init__(self, channels: int, width: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.query_key = nn.Sequential(
            nn.GroupNorm(1, channels), nn.Conv2d(channels, 2 * width * heads // 2, 1)
        )
        self.mix = nn.Conv2d(heads * _CUES, _CUES, 1)

    def forward(self, features: Tensor, cues: Tensor) -> Tensor:
        h, w = features.shape[-2:]
        query, key = (
            rearrange(x, "k (heads c) h w -> k heads (h w) c", heads=self.heads)
            for x in self.query_key(features).chunk(2, dim=1)
        )
        value = repeat(cues, "k c h w -> k heads (h w) c", heads=self.heads)
        spread = F.scaled_dot_product_attention(query, key, value)
        mixed: Tensor = self.mix(rearrange(spread, "k heads (h w) c -> k (heads c) h w", h=h, w=w))
        return cues + mixed


def _cues(sight: Sight, groups: Tensor, other: Tensor) -> Tensor:
    """(K, 2 E + 1, h / 16, w / 16): evidence for what sounds, for what does not, and their sum."""
    asked = groups[:, :, None, None, None]
    sounding = (sight.evidence * asked).amax(dim=1)
    silent = (sight.evidence * (1 - asked)).amax(dim=1)
    # The most telling place counts fully: of large things, evidence is high in few places.
    mean = sounding.mean(dim=1, keepdim=True)
    relative = mean / mean.amax(dim=(2, 3), keepdim=True).clamp_min(1e-3)
    return torch.cat([sounding, silent, relative], dim=1)


def _combined(cues: Tensor, salient: Tensor, other: Tensor, level: Tensor) -> Tensor:
    """All cues at the size of a level, (K, _CUES, h, w)."""
    salient = F.adaptive_avg_pool2d(salient, level.shape[-2:])
    any_thing = other[:, None, None, None] * torch.ones_like(salient)
    return torch.cat([_resized(cues, level), salient, salient * any_thing, any_thing], dim=1)


def _conv(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1, bias=False),
        nn.GroupNorm(8, after),
        nn.ReLU(),
        nn.Conv2d(after, after, 3, padding=1, bias=False),
        nn.GroupNorm(8, after),
        nn.ReLU(),
    )


def _resized(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, like.shape[-2:], mode="bilinear", align_corners=False)
