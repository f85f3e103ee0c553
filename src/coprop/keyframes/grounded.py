"""The default keyframe network: what an ImageNet classifier sees, weighted by what is heard.

An image classifier already knows what most sounding things look like, and where they are: its last
feature map, classified place by place, is a map of evidence for every class. So the network hears
which *groups* of classes sound (dogs, drums, cars, ...), keeps the evidence of those, and refines
it with the backbone's finer features into a crisp mask. Only the step from sound to groups, a
second classifier, which knows people and what else ImageNet lacks, and the refinement are learned;
the refinement never sees a class, so it works the same for all of them.
"""

from __future__ import annotations

import json
from importlib import resources

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch import Tensor, nn

from coprop.encoders.sound_effects import SoundEffectsEncoder

_IMAGENET_CLASSES = 1000
_PYRAMID = (24, 40, 112)  # channels of efficientnet-lite0 at strides 4, 8 and 16
_FINAL = 1280
_AUDIBLE = 0.04  # least probability of a source seen and heard; the best on composed clips
_CONTENDING = 0.5  # least likelihood of a further source, compared with the likeliest
_ABSENT_LOGIT = -10.0
_TINY = 1e-30
_TRUST = 0.5  # in the second classifier: it has seen few pictures, and is too sure on real video


def sounding_groups() -> dict[str, tuple[int, ...]]:
    """Names of the groups of things that sound -> their ImageNet-1k class indices."""
    text = resources.files(__package__).joinpath("groups.json").read_text(encoding="utf-8")
    return {name: tuple(indices) for name, indices in json.loads(text).items()}


class GroundedNetwork(nn.Module):
    """Frames and the sound around them -> logits of "this pixel sounds", at stride 4.

    ``forward`` takes ``(K, 3, h, w)`` RGB in [0, 1] with sides that are multiples of 32, and
    ``(K, n)`` samples at 44.1 kHz; it returns ``(K, 1, h / 4, w / 4)`` logits, -10 throughout where
    nothing that is seen is heard. The steps can be called one by one: `see`, `hear`, `decide` and
    `ground`.

    Args:
        width: channels of the refinement.
    """

    sample_rate = SoundEffectsEncoder.sample_rate
    window_s = SoundEffectsEncoder.window_s

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        from timm import create_model

        self.groups = tuple(sounding_groups())
        self.visual = create_model("tf_efficientnet_lite0", pretrained=False)
        self.audio = SoundEffectsEncoder()
        self.looks = _Looks(len(self.groups) + 1)
        self.audio_head = nn.Sequential(
            nn.LayerNorm(self.audio.summary_dim),
            nn.Linear(self.audio.summary_dim, 512),
            nn.ReLU(),
            nn.Dropout(0.6),
            nn.Linear(512, len(self.groups)),
        )
        self.refinement = _Refinement(width)
        self.register_buffer("membership", _membership(), persistent=False)

    membership: Tensor

    def forward(self, frames: Tensor, audio: Tensor) -> Tensor:
        pyramid, evidence = self.see(frames)
        sounding = self.decide(evidence, self.hear(audio).sigmoid())
        return self._segment(pyramid, evidence, sounding)

    def segment(self, frames: Tensor, sounding: Tensor) -> Tensor:
        """`forward` where it is known, (K, G) 0 or 1, things of which groups sound."""
        return self._segment(*self.see(frames), sounding)

    def _segment(self, pyramid: list[Tensor], evidence: Tensor, sounding: Tensor) -> Tensor:
        logits = self.ground(pyramid, evidence, sounding)
        # `ground` always finds the likeliest source; where none is seen, there shall be no mask.
        likeliest = (sounding * evidence[:, :-1].amax(dim=(2, 3))).amax(dim=1)
        absent = (likeliest < _AUDIBLE)[:, None, None, None]
        return logits.masked_fill(absent, _ABSENT_LOGIT)

    def decide(self, evidence: Tensor, heard: Tensor) -> Tensor:
        """Which groups sound of those that are seen: the likeliest, and what is half as likely.

        Training leaves this step out, as it has no gradient, and grounds what is heard as it is.

        Args:
            evidence: (K, G + 1, h / 16, w / 16), of `see`.
            heard: (K, G) probabilities, of `hear`.

        Returns:
            (K, G), 1 for those that sound and 0 for others; all 0 where nothing that is seen is
            heard.
        """
        seen = evidence[:, :-1].amax(dim=(2, 3))
        likely = _likelihood(seen, heard)
        sounding = likely >= _CONTENDING * likely.amax(dim=1, keepdim=True)
        audible = (seen * heard).amax(dim=1, keepdim=True) >= _AUDIBLE
        return (sounding & audible).to(heard.dtype)

    def see(self, frames: Tensor) -> tuple[list[Tensor], Tensor]:
        """What is visible where.

        Args:
            frames: (K, 3, h, w) RGB in [0, 1].

        Returns:
            the feature maps at strides 4, 8 and 16, and (K, G + 1, h / 16, w / 16) probabilities of
            the groups at each place; the last channel is everything else.
        """
        features, pyramid = self.features(frames)
        return pyramid, self.evidence(features, pyramid[-1])

    def features(self, frames: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The backbone's last feature map (K, 1280, h / 32, w / 32), and those of `see`."""
        features, pyramid = self.visual.forward_intermediates(frames * 2 - 1, indices=(1, 2, 3))
        return features, pyramid

    def hear(self, audio: Tensor) -> Tensor:
        """(K, n) samples -> (K, G) logits of "a thing of this group sounds"."""
        logits: Tensor = self.audio_head(self.audio.summary(audio))
        return logits

    def ground(self, pyramid: list[Tensor], evidence: Tensor, heard: Tensor) -> Tensor:
        """Mask logits (K, 1, h / 4, w / 4) from `see`'s output and (K, G) probabilities heard."""
        groups, rest = evidence[:, :-1], evidence[:, -1:]
        weights = heard[:, :, None, None]
        sounding = (groups * weights).sum(dim=1, keepdim=True)
        silent = (groups * (1 - weights)).sum(dim=1, keepdim=True)
        # What is heard is seldom certain: of what is seen, the most probable source counts fully.
        likely = _likelihood(groups.amax(dim=(2, 3)), heard)[:, :, None, None]
        relative = likely / likely.amax(dim=1, keepdim=True).clamp_min(1e-6)
        relative = (groups * relative).sum(dim=1, keepdim=True)
        # The square root spreads small probabilities, which matter: a large object's evidence is
        # high only at its most telling parts.
        cues = torch.cat([sounding, sounding.sqrt(), relative, silent, rest], dim=1)
        logits: Tensor = self.refinement(pyramid, cues)
        return logits

    def evidence(self, features: Tensor, finer: Tensor, trust: float = _TRUST) -> Tensor:
        """Probabilities of the groups, at the places of the finer features.

        Args:
            features: (K, 1280, h / 32, w / 32), the last feature map.
            finer: (K, 112, h / 16, w / 16), the one before it.
            trust: what the second classifier's logits are multiplied by; 1 where it learns.

        Returns:
            (K, G + 1, h / 16, w / 16).
        """
        classifier = self.visual.classifier
        logits = F.conv2d(features, classifier.weight[:, :, None, None], classifier.bias)
        # The classes' probabilities, but for a factor, are added up group by group.
        highest = logits.amax(dim=1, keepdim=True)
        sums = F.conv2d((logits - highest).exp(), self.membership[:, :, None, None])
        pooled = _resize(sums.clamp_min(_TINY).log() + highest, finer)
        # As if the second classifier's were further classes, one for each group and one for none.
        return torch.logaddexp(pooled, trust * self.looks(features, finer)).softmax(dim=1)


class _Looks(nn.Module):
    """The second classifier: it looks at half the distance, and at what surrounds each place."""

    def __init__(self, outcomes: int, width: int = 96) -> None:
        super().__init__()
        self.coarse = nn.Conv2d(_FINAL, outcomes, 1)
        self.context = nn.Conv2d(_FINAL, width, 1)
        self.around = _conv(width + _PYRAMID[-1], width)
        self.fine = nn.Conv2d(width, outcomes, 1)

    def forward(self, features: Tensor, finer: Tensor) -> Tensor:
        around = self.around(torch.cat([_resize(self.context(features), finer), finer], dim=1))
        logits: Tensor = _resize(self.coarse(features), finer) + self.fine(around)
        return logits


class _Refinement(nn.Module):
    """From coarse cues to a mask: spread them over what looks alike, then sharpen, fine by fine."""

    def __init__(self, width: int, cues: int = 5) -> None:
        super().__init__()
        fine, middle, coarse = _PYRAMID
        self.spread = _Spread(coarse, width, cues)
        self.at_16 = _conv(coarse + 2 * cues, 2 * width)
        self.at_8 = _conv(2 * width + middle + cues, width)
        self.at_4 = _conv(width + fine + cues, width // 2)
        self.mask = nn.Conv2d(width // 2, 1, 1)

    def forward(self, pyramid: list[Tensor], cues: Tensor) -> Tensor:
        fine, middle, coarse = pyramid
        at_16 = _resize(cues, coarse)
        x = self.at_16(torch.cat([coarse, at_16, self.spread(coarse, at_16)], dim=1))
        x = self.at_8(torch.cat([_resize(x, middle), middle, _resize(cues, middle)], dim=1))
        x = self.at_4(torch.cat([_resize(x, fine), fine, _resize(cues, fine)], dim=1))
        logits: Tensor = self.mask(x)
        return logits


class _Spread(nn.Module):
    """Attention over the picture that carries cues to every place that looks alike."""

    def __init__(self, channels: int, width: int, cues: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.query_key = nn.Sequential(
            nn.GroupNorm(1, channels), nn.Conv2d(channels, 2 * width * heads // 2, 1)
        )
        self.mix = nn.Conv2d(heads * cues, cues, 1)

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


def _likelihood(seen: Tensor, heard: Tensor) -> Tensor:
    """How likely each group is what sounds, but for a factor, from (K, G) probabilities.

    The square root is for ears that are too sure of the wrong thing.
    """
    return seen * heard.sqrt()


def _conv(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1, bias=False),
        nn.GroupNorm(8, after),
        nn.ReLU(),
        nn.Conv2d(after, after, 3, padding=1, bias=False),
        nn.GroupNorm(8, after),
        nn.ReLU(),
    )


def _resize(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, like.shape[-2:], mode="bilinear", align_corners=False)


def _membership() -> Tensor:
    """(G + 1, 1000): 1 where a class belongs to the group, else 0; last row: no group."""
    rows = torch.zeros(len(sounding_groups()) + 1, _IMAGENET_CLASSES)
    rows[-1] = 1.0
    for row, indices in enumerate(sounding_groups().values()):
        rows[row, list(indices)] = 1.0
        rows[-1, list(indices)] = 0.0
    return rows
