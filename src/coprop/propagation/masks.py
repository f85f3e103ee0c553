"""Frames and masks on their way into the network, and logits on their way out.

Objects are numbered from 1; channel 0 is the background. The network tells ``max_objects`` of them
apart in one pass, so that more are split into groups, which share the frame's features.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

VOID = 255
"""The label of pixels that belong to nothing, not even to the background (DAVIS, YouTube-VOS)."""

STRIDE = 16
"""Pixels from one token to the next: the stride of AOT's encoders and of its identity bank."""

PATCH = 17
"""Side in pixels of the patch whose identities a token gets: one stride and its far edge. With
corners aligned, a frame of 16 n + 1 pixels has n + 1 tokens, whose patches overlap by one pixel."""

_MOST_CERTAIN = 1e-5  # how far from 0 and 1 aggregated probabilities stay, as in AOT: finite logits

Size = tuple[int, int]
"""(height, width) in pixels."""


def working_size(height: int, width: int, max_long_edge: int) -> Size:
    """The size at which a frame is processed: bounded, and a multiple of 16 plus 1 on each side.

    The sides are rounded one by one, half to even, as the official evaluation does.

    >>> working_size(480, 854, max_long_edge=1040)
    (481, 849)
    >>> working_size(1080, 1920, max_long_edge=448)
    (257, 449)
    """
    scale = min(1.0, max_long_edge / max(height, width))
    return _round(int(height * scale)), _round(int(width * scale))


def _round(side: int) -> int:
    return max(round((side - 1) / STRIDE), 1) * STRIDE + 1


def resize_frame(frame: Tensor, size: Size) -> Tensor:
    """(B, 3, H, W) in [0, 1] at another (height, width); unchanged where the size is right.

    >>> resize_frame(torch.rand(1, 3, 480, 640), (241, 321)).shape
    torch.Size([1, 3, 241, 321])
    """
    if frame.shape[-2:] == size:
        return frame
    resized = F.interpolate(full(frame), size=size, mode="bicubic", antialias=True)
    return resized.clamp(0, 1).to(frame.dtype)  # bicubic overshoots at edges


def full(x: Tensor) -> Tensor:
    """At single precision at least: in less CPUs are slower, or do not resize with antialiasing."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def count_objects(mask: Tensor, num_objects: int | None) -> int:
    """K of a checked mask: as given, or its channels less one, or its highest label but void.

    >>> count_objects(torch.tensor([[[0, 2, 255]]]), None)
    2
    >>> count_objects(torch.rand(1, 4, 8, 8), None)
    3
    """
    if num_objects is not None:
        return num_objects
    if mask.ndim == 4:
        return mask.shape[1] - 1
    return int(mask.masked_fill(mask == VOID, 0).max())


def to_probabilities(mask: Tensor, num_objects: int, size: Size, dtype: torch.dtype) -> Tensor:
    """A mask at the working size, (B, 1 + num_objects, H, W), background first.

    Labels (B, H, W) are taken from the nearest pixel; those above ``num_objects`` stay zero in all
    channels. Probabilities (B, 1 + K, H, W) are interpolated and get empty channels as needed.

    >>> to_probabilities(torch.tensor([[[0, 1, 255]]]), 1, (1, 3), torch.float32)[0, :, 0].tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    if mask.ndim == 3:
        if mask.shape[-2:] != size:
            mask = F.interpolate(mask[:, None].float(), size=size, mode="nearest")[:, 0]
        labels = torch.arange(num_objects + 1, device=mask.device)
        return (mask[:, None] == labels.view(1, -1, 1, 1)).to(dtype)
    if mask.shape[-2:] != size:
        mask = F.interpolate(full(mask), size=size, mode="bilinear", antialias=True)
    mask = mask.to(dtype)
    return F.pad(mask, (0, 0, 0, 0, 0, num_objects + 1 - mask.shape[1]))


def split_groups(probabilities: Tensor, group_size: int) -> list[Tensor]:
    """The objects of (B, 1 + K, H, W) in groups, each (B, 1 + n, H, W), n at most ``group_size``.

    To a group, the objects of all others are background. There is always one group, if empty.

    >>> groups = split_groups(torch.rand(1, 13, 8, 8).softmax(1), group_size=10)  # 12 objects
    >>> [group.shape[1] for group in groups]
    [11, 3]
    """
    num_objects = probabilities.shape[1] - 1
    if num_objects <= group_size:
        return [probabilities]
    firsts = range(1, max(num_objects, 1) + 1, group_size)
    return [_group(probabilities, first, group_size) for first in firsts]


def _group(probabilities: Tensor, first: int, group_size: int) -> Tensor:
    own = probabilities[:, first : first + group_size]
    others = (probabilities[:, 1:first], probabilities[:, first + group_size :])
    background = probabilities[:, :1] + sum(x.sum(1, keepdim=True) for x in others)
    return torch.cat((background, own), dim=1)


def likeliest(logits: Tensor, size: Size) -> Tensor:
    """Labels (B, H, W) of logits (B, C, h, w), at another (height, width): of the nearest pixels.

    >>> likeliest(torch.tensor([0.0, 3.0, 1.0]).view(1, 3, 1, 1), (1, 2))
    tensor([[[1, 1]]])
    """
    if logits.shape[-2:] != size:
        logits = F.interpolate(logits, size=size, mode="nearest")
    # Not argmax: over the channels of a map it takes 15 times as long on a CPU.
    return logits.max(dim=1).indices


def aggregate(groups: Sequence[Tensor]) -> Tensor:
    """Logits (B, 1 + K, H, W) of all objects, from logits (B, 1 + n, H, W) of groups.

    Soft aggregation, as AOT's (STM's over objects): a place is background where every group says
    so. One group's logits stay as they are.

    >>> aggregate([torch.zeros(1, 11, 8, 8), torch.zeros(1, 3, 8, 8)]).shape
    torch.Size([1, 13, 8, 8])
    """
    if len(groups) == 1:
        return groups[0]
    probabilities = [logits.float().softmax(1) for logits in groups]
    background = torch.stack([p[:, :1] for p in probabilities]).prod(0)
    objects = [p[:, 1:] for p in probabilities]
    return torch.cat((background, *objects), dim=1).clamp(_MOST_CERTAIN, 1 - _MOST_CERTAIN).logit()


def resize_logits(x: Tensor, size: Sequence[int]) -> Tensor:
    """(B, C, h, w) at another (height, width), bilinear.

    Corners are aligned, as sizes of a multiple of 16 plus 1 call for.

    >>> resize_logits(torch.zeros(1, 11, 31, 41), (121, 161)).shape
    torch.Size([1, 11, 121, 161])
    """
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=True)
