"""U2-Net small: the object in the foreground, whatever it is, with sharp edges.

U2-NetP of Qin et al., "U2-Net: Going deeper with nested U-structure for salient object detection",
Pattern Recognition 2020 (Apache-2.0). Batch normalisation is part of its convolutions.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coprop.encoders.convolution import ConvReLU
from coprop.encoders.released import ReleasedNetwork, check_frames
from coprop.utils.precision import in_float32

_SIZE = 320  # pixels of a side, to which its own code resizes frames
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_WIDTH, _NARROW = 64, 16
_HEIGHTS = (7, 6, 5, 4)  # of the U's inside the first four stages; the deeper two do not pool
_EXACT = 3, 2  # a decoder, and how many of its last layers need float32
_DARKEST = 1e-6  # of an image's brightest value: black stays black


class U2Net(ReleasedNetwork):
    """(B, 3, H, W) RGB in [0, 1] -> how salient each pixel is.

    It knows no class: people, animals, instruments and cars are objects to it. It was trained on
    320 x 320, to which `saliency` resizes. A picture that keeps its shape, its longer side at 320,
    would cost .6 to .8 of the time, but other things stand out in it.

    The last two layers of one decoder add 228 and 1361 to what is nearly the opposite. Half
    precision has too few digits for that: under autocast these two stay in float32. The mean
    saliency of a pixel is then 0.002 off in 15 frames of the example, and so it is with the whole
    decoder in float32, which was at most 0.016 off in 37 pictures; with nothing, 0.018 (0.14).

    Weights are random; `from_pretrained()` has the released ones.
    """

    folder = "u2net"
    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_STD).view(3, 1, 1), persistent=False)
        inner = [_Pyramid(_WIDTH, height) for height in _HEIGHTS[1:]]
        self.encoders = nn.ModuleList(
            [_Pyramid(3, _HEIGHTS[0]), *inner, _Dilated(_WIDTH), _Dilated(_WIDTH)]
        )
        outer = [_Pyramid(2 * _WIDTH, height) for height in reversed(_HEIGHTS)]
        self.decoders = nn.ModuleList([_Dilated(2 * _WIDTH), *outer])
        decoder, layers = _EXACT
        outer[decoder - 1].exact = layers
        stages = len(self.encoders)
        self.sides = nn.ModuleList([nn.Conv2d(_WIDTH, 1, 3, padding=1) for _ in range(stages)])
        self.fuse = nn.Conv2d(stages, 1, 1)

    def forward(self, frames: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, 1, H, W) logits, at the frames' own size.

        Raises:
            ShapeError: frames of another shape, or not floats.
        """
        check_frames(frames)
        x = self._normalised(frames)
        encoders: list[Any] = [*self.encoders]
        decoders: list[Any] = [*self.decoders]
        skips: list[Tensor] = []
        for encoder in encoders:
            skips.append(encoder(encoder.enter(_halved(skips[-1]) if skips else x)))
        x = skips.pop()
        seen = [self.sides[-1](x)]
        # Entered first, since joined maps are the largest and needed for nothing else.
        for decoder, side in zip(decoders, reversed(self.sides[:-1]), strict=True):
            x = decoder(decoder.enter(_joined(x, skips.pop())))
            seen.insert(0, side(x))  # fine to coarse
        logits: Tensor = self.fuse(torch.cat([_resized(each, frames) for each in seen], 1))
        return logits

    def saliency(self, frames: Tensor) -> Tensor:
        """(B, 3, H, W) of any size -> (B, H, W) in [0, 1], float32, by way of 320 x 320."""
        check_frames(frames)
        # A resized frame may be a little brighter than white or darker than black.
        small = F.interpolate(
            frames.float(), (_SIZE, _SIZE), mode="bilinear", align_corners=False, antialias=True
        ).clamp(0, 1)
        probabilities = self(small).float().sigmoid()
        return _resized(probabilities, frames).squeeze(1)

    def _normalised(self, frames: Tensor) -> Tensor:
        brightest = frames.amax(dim=(1, 2, 3), keepdim=True).clamp_min(_DARKEST)
        normalised = (frames / brightest - self.mean.to(frames)) / self.std.to(frames)
        return normalised.to(self.fuse.weight.dtype)


class _Pyramid(nn.Module):
    """A small U inside a stage: its rungs are halved in size, the lowest is dilated instead.

    It takes what its own `enter` makes of the stage's input, which by then is let go of.
    """

    def __init__(self, before: int, height: int) -> None:
        super().__init__()
        self.enter = _conv(before, _WIDTH)
        self.down = nn.ModuleList(
            [_conv(_WIDTH, _NARROW), *(_conv(_NARROW, _NARROW) for _ in range(height - 2))]
        )
        self.lowest = _conv(_NARROW, _NARROW, dilation=2)
        self.up = nn.ModuleList(
            [*(_conv(2 * _NARROW, _NARROW) for _ in range(height - 2)), _conv(2 * _NARROW, _WIDTH)]
        )
        self.exact = 0  # how many of the last layers need float32

    def forward(self, entered: Tensor) -> Tensor:
        rungs: list[Tensor] = []
        for down in self.down:
            rungs.append(down(_halved(rungs[-1]) if rungs else entered))
        x: Tensor = self.lowest(rungs[-1])
        for left, up in zip(range(len(self.up), 0, -1), self.up, strict=True):
            if left > self.exact:
                x = up(_joined(x, rungs.pop()))
            else:
                with in_float32(x.device):
                    x = up(_joined(x, rungs.pop().to(next(up.parameters()).dtype)))
        return x + entered


class _Dilated(nn.Module):
    """A stage that is too small to be halved: its kernels are spread instead; else a `_Pyramid`."""

    def __init__(self, before: int) -> None:
        super().__init__()
        self.enter = _conv(before, _WIDTH)
        widths = (_WIDTH, _NARROW, _NARROW, _NARROW, _NARROW)
        self.down = nn.ModuleList(
            [_conv(a, b, dilation=2**i) for i, (a, b) in enumerate(pairwise(widths))]
        )
        self.up = nn.ModuleList(
            [
                _conv(2 * _NARROW, after, dilation=dilation)
                for after, dilation in ((_NARROW, 4), (_NARROW, 2), (_WIDTH, 1))
            ]
        )

    def forward(self, entered: Tensor) -> Tensor:
        rungs = [entered]
        for down in self.down:
            rungs.append(down(rungs[-1]))
        x = rungs.pop()
        for up in self.up:
            x = up(torch.cat([x, rungs.pop()], 1))
        return x + entered


def _conv(before: int, after: int, dilation: int = 1) -> ConvReLU:
    return ConvReLU(before, after, 3, padding=dilation, dilation=dilation)


def _halved(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 2, stride=2, ceil_mode=True)


def _joined(x: Tensor, rung: Tensor) -> Tensor:
    """What comes from below, at the size and precision of the rung, and the rung."""
    return torch.cat([_resized(x, rung).to(rung.dtype), rung], 1)


def _resized(x: Tensor, like: Tensor) -> Tensor:
    if x.shape[-2:] == like.shape[-2:]:
        return x
    return F.interpolate(x, like.shape[-2:], mode="bilinear", align_corners=False)
