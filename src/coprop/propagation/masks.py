"""Frames and masks on their way into the network, and logits of several groups on their way out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

VOID = 255
"""The label of pixels that belong to nothing, not even to the background."""

Size = tuple[int, int]


def working_size(height: int, width: int, max_long_edge: int) -> Size:
    """The size at which a frame is processed: bounded, and a multiple of 16 plus 1 on each side.

    The sides are rounded one by one, half to even, as the official evaluation does.
    """
    scale = min(1.0, max_long_edge / max(height, width))
    return _round(int(height * scale)), _round(int(width * scale))


def _round(side: int) -> int:
    return max(round((side - 1) / 16), 1) * 16 + 1


def resize_frame(frame: Tensor, size: Size) -> Tensor:
    """(B, 3, H, W) in [0, 1] at another size; unchanged where the size is right."""
    if frame.shape[-2:] == size:
        return frame
    resized = F.interpolate(frame, size=size, mode="bicubic", antialias=True)
    return resized.clamp(0, 1)  # bicubic overshoots at edges


def count_objects(mask: Tensor, num_objects: int | None) -> int:
    """K of a checked mask: as told, or its channels less one, or its highest label but void."""
    if num_objects is not None:
        return num_objects
    if mask.ndim == 4:
        return mask.shape[1] - 1
    return int(mask.masked_fill(mask == VOID, 0).max())


def to_probabilities(mask: Tensor, num_objects: int, size: Size, dtype: torch.dtype) -> Tensor:
    """A mask at the working size, (B, 1 + num_objects, H, W), background first.

    Labels (B, H, W) are taken from the nearest pixel; those above ``num_objects`` stay zero in all
    channels. Probabilities (B, 1 + K, H, W) are interpolated and get empty channels as needed.
    """
    if mask.ndim == 3:
        if mask.shape[-2:] != size:
            mask = F.interpolate(mask[:, None].float(), size=size, mode="nearest")[:, 0]
        labels = torch.arange(num_objects + 1, device=mask.device)
        return (mask[:, None] == labels.view(1, -1, 1, 1)).to(dtype)
    mask = mask.to(dtype)
    if mask.shape[-2:] != size:
        mask = F.interpolate(mask, size=size, mode="bilinear", antialias=True)
    return _pad_channels(mask, num_objects + 1)


def split_groups(probabilities: Tensor, group_size: int) -> list[Tensor]:
    """The objects of (B, 1 + K, H, W) in groups, each (B, 1 + group_size, H, W).

    To a group, the objects of all others are background. There is always one group, if empty.
    """
    num_objects = probabilities.shape[1] - 1
    firsts = range(1, max(num_objects, 1) + 1, group_size)
    return [_group(probabilities, first, group_size) for first in firsts]


def _group(probabilities: Tensor, first: int, group_size: int) -> Tensor:
    own = probabilities[:, first : first + group_size]
    others = (probabilities[:, 1:first], probabilities[:, first + group_size :])
    background = probabilities[:, :1] + sum(x.sum(1, keepdim=True) for x in others)
    return torch.cat((background, _pad_channels(own, group_size)), dim=1)


def _pad_channels(x: Tensor, channels: int) -> Tensor:
    return F.pad(x, (0, 0, 0, 0, 0, channels - x.shape[1]))


def aggregate(groups: Sequence[Tensor]) -> Tensor:
    """Logits of all objects from logits (B, 1 + n, H, W) of groups that do not know each other.

    Soft aggregation: a place is background where every group says so. One group's logits stay as
    they are.
    """
    if len(groups) == 1:
        return groups[0]
    probabilities = [logits.float().softmax(1) for logits in groups]
    background = torch.stack([p[:, :1] for p in probabilities]).prod(0)
    objects = [p[:, 1:] for p in probabilities]
    return torch.cat((background, *objects), dim=1).clamp(1e-5, 1 - 1e-5).logit()
