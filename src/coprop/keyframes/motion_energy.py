"""How much each of several things moves from frame to frame, a camera's own motion taken out.

The picture outside the things is laid over that of the frame before by the affine motion that fits
it best, and what still differs inside a thing is the thing's own motion.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from coprop.keyframes.motion import laid_over
from coprop.media.frame_images import bounded_size

_WORKING_EDGE = 160  # pixels of the longer side: motion of a hundredth of it is told, noise is not
_REACH = 40  # of the longer side: a mask counts over one part in so many around it, where things go
_LEAST_BACKGROUND = 0.05  # share of the picture: by less, nobody can tell how a camera moves
_DAMPING = 1e-4  # of the normal equations' largest entry: where the picture is flat, nothing moves


def motion_energy(masks: Tensor, frames: Tensor) -> Tensor:
    """(N, T - 1) how much each of N things moves from each frame to the next, 0 or more.

    The unit is the range of grey: the root of the mean square of what differs in its place, less
    that of what differs in the background.

    Args:
        masks: (N, T, H, W) float or bool, where each thing is in each frame; or (N, 1, H, W), where
            it is in all of them.
        frames: (T, 3, h, w) float RGB in [0, 1], T at least 2.
    """
    size = bounded_size(frames.shape[-2], frames.shape[-1], _WORKING_EDGE)
    grey = _resized(frames.float().mean(dim=1, keepdim=True), size)
    places = _resized(masks.float().flatten(0, 1)[:, None], size)[:, 0] > 0.5
    places = places.view(*masks.shape[:2], *grey.shape[-2:])
    own = _own_places(places)
    # Of two frames, where it was and where it is.
    follows = own.shape[1] > 1
    own = own[:, 1:] | own[:, :-1] if follows else own.expand(-1, len(grey) - 1, -1, -1)
    background = ~own.any(dim=0)
    squares = _steadied(grey, background).square()
    still = _mean(squares, background)
    energies = torch.stack([_mean(squares, place) for place in own])
    return (energies - still).clamp_min(0).sqrt()


def _resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    if images.shape[-2:] == size:
        return images
    return F.interpolate(images, size, mode="bilinear", antialias=True, align_corners=False)


def _own_places(places: Tensor) -> Tensor:
    """(N, T, h, w) bool: each mask and what is around it, without the other masks."""
    radius = max(max(places.shape[-2:]) // _REACH, 1)
    wider = F.max_pool2d(places.float(), 2 * radius + 1, 1, radius) > 0
    count = places.sum(dim=0)
    others = (count - places.long()) > 0
    return wider & ~(others & ~places)


def _steadied(grey: Tensor, background: Tensor) -> Tensor:
    """(T - 1, h, w) what differs from each frame to the next, but for the background's motion."""
    before, after = grey[:-1], laid_over(grey[1:], grey[:-1])
    change = (after - before)[:, 0]
    mean = ((after + before) / 2)[:, 0]
    across, down = torch.zeros_like(mean), torch.zeros_like(mean)
    across[:, :, 1:-1] = (mean[:, :, 2:] - mean[:, :, :-2]) / 2
    down[:, 1:-1] = (mean[:, 2:] - mean[:, :-2]) / 2
    height, width = mean.shape[-2:]
    dtype, device = grey.dtype, grey.device
    y = torch.linspace(-1, 1, height, dtype=dtype, device=device).view(1, -1, 1)
    x = torch.linspace(-1, 1, width, dtype=dtype, device=device).view(1, 1, -1)
    slopes = (across, across * x, across * y, down, down * x, down * y)
    columns = torch.stack([slope.flatten(1) for slope in slopes], dim=2)
    inside = background.flatten(1).float()
    enough = inside.mean(dim=1) >= _LEAST_BACKGROUND
    weighted = columns * inside[:, :, None]
    normal = weighted.mT @ columns
    damping = _DAMPING * normal.diagonal(dim1=1, dim2=2).amax(dim=1).clamp_min(1e-9)
    normal = normal + damping[:, None, None] * torch.eye(6, dtype=dtype, device=device)
    affine = torch.linalg.solve(normal, weighted.mT @ change.flatten(1)[:, :, None])
    explained = (columns @ affine)[:, :, 0].view_as(change)
    own: Tensor = change - explained * enough[:, None, None]
    return own


def _mean(values: Tensor, places: Tensor) -> Tensor:
    """(T,) mean of (T, h, w) over (T, h, w) places; 0 where there are none."""
    total = (values * places).sum(dim=(1, 2))
    return total / places.sum(dim=(1, 2)).clamp_min(1)
