"""What moves in the picture while the sound is heard: evidence for things that nothing recognises.

Hammers, saws and whatever else has no name here make their sound by moving. The frames after a
keyframe are laid over it, so that a camera's motion does not count, and where they differ something
moves.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from coprop.context import FrameContext

SURROUNDINGS = FrameContext(4, 0.15, "first")
"""The frames that motion is told by. The keyframe comes first: where it is at a control point, what
sounds had not begun before it. Half a second holds a stroke of most things that are struck."""

_REDUCTION = 4  # the keyframe's pixels along a side of one of the motion map's
_SMOOTHED = 160  # of the picture's height: over one part in so many to each side
_STILL = 8 / 255  # of the range of grey: where nothing differs more, it is the camera's noise
# Of the strongest motion: from where on a place moves, and how sharply that is told.
_MOVING, _SHARPNESS = 0.3, 20.0
_EVERYWHERE = 0.5  # share of the picture: where more moves, nothing is told by it
_EDGE = 8  # of the picture's sides one part in so many is edge
_NEARER = 0.8  # how near the edges must come, of what they were, for the camera to have moved


def motion_map(around: Tensor) -> Tensor:
    """How surely each place moves.

    Args:
        around: (K, T, 3, h, w) RGB in [0, 1], the keyframe and the frames after it.

    Returns:
        (K, 1, h // 4, w // 4) in [0, 1]; 0 throughout where nothing moves, or everything does.
    """
    grey = F.avg_pool2d(around.float().mean(dim=2), _REDUCTION)
    steady = torch.cat([grey[:, :1], laid_over(grey[:, 1:], grey[:, :1])], dim=1)
    change = steady.std(dim=1, correction=0, keepdim=True)
    radius = max(around.shape[-2] // _SMOOTHED, 1)
    change = F.avg_pool2d(change, 2 * radius + 1, 1, radius, count_include_pad=False)
    change = (change - change.flatten(1).median(dim=1).values.view(-1, 1, 1, 1)).clamp_min(0)
    strongest = change.amax(dim=(2, 3), keepdim=True)
    relative = change / strongest.clamp_min(_STILL)
    moving = ((relative - _MOVING) * _SHARPNESS).sigmoid()
    share = (moving > 0.5).float().mean(dim=(2, 3), keepdim=True)
    return moving * ((strongest >= _STILL) & (share <= _EVERYWHERE))


def laid_over(frames: Tensor, first: Tensor) -> Tensor:
    """(K, T, h, w) moved as a whole, where that brings them nearer to the (K, 1, h, w) first.

    By phase correlation, to one pixel. What comes into view at an edge is as in the first.
    """
    height, width = first.shape[-2:]
    spectrum = torch.fft.rfft2(first) * torch.fft.rfft2(frames).conj()
    correlation = torch.fft.irfft2(spectrum / spectrum.abs().clamp_min(1e-6), s=(height, width))
    best = correlation.flatten(2).argmax(dim=2)
    rows = torch.arange(height, device=first.device).view(1, 1, -1, 1)
    columns = torch.arange(width, device=first.device).view(1, 1, 1, -1)
    down, right = (_signed(x, n) for x, n in ((best // width, height), (best % width, width)))
    from_row, from_column = rows - down[:, :, None, None], columns - right[:, :, None, None]
    inside = (from_row >= 0) & (from_row < height) & (from_column >= 0) & (from_column < width)
    index = from_row.clamp(0, height - 1) * width + from_column.clamp(0, width - 1)
    moved = frames.flatten(2).gather(2, index.flatten(2)).view_as(frames)
    # Things are in the middle more than at the edges, where therefore the camera is told by.
    edge = torch.ones_like(first, dtype=torch.bool)
    depth_y, depth_x = max(height // _EDGE, 1), max(width // _EDGE, 1)
    edge[..., depth_y : height - depth_y, depth_x : width - depth_x] = False
    shared = edge & inside
    nearer = _distance(moved, first, shared) < _NEARER * _distance(frames, first, shared)
    return torch.where(nearer & inside, moved, torch.where(nearer, first, frames))


def _signed(shift: Tensor, length: int) -> Tensor:
    """A shift around a circle as the shorter way, to either side."""
    return torch.where(shift > length // 2, shift - length, shift)


def _distance(frames: Tensor, first: Tensor, where: Tensor) -> Tensor:
    """(K, T, 1, 1) mean difference at some places."""
    total = ((frames - first).abs() * where).sum(dim=(2, 3), keepdim=True)
    return total / where.sum(dim=(2, 3), keepdim=True).clamp_min(1)
