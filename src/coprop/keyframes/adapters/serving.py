"""How a network that takes T frames at a time is served with keyframes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from coprop.errors import CoPropError, ShapeError
from coprop.keyframes.model import ALONE, FrameContext

Mode = Literal["replicate", "window", "native"]
"""What a network for T frames is given.

"replicate"
    the keyframe T times.
"window"
    T frames, a second apart, with the keyframe in the centre or at the end.
"native"
    T frames, a second apart, in blocks from the beginning of the video, as the benchmark's clips
    of T frames are cut.
"""

Call = Callable[[Tensor, Tensor], Tensor]
"""``call(frames (N, 3, H, W), sound (N, ...)) -> logits (N, C, h, w)``."""


@dataclass(frozen=True)
class Serving:
    """How many frames a network takes at a time, and which.

    Args:
        frames: T, how many it takes; 1 for networks that take any number, each by itself.
        mode: what it is given with more than one.
        placement: where the keyframe lies in a window.
        copies: how often a lone frame is repeated, where fewer than T will do.

    Raises:
        CoPropError: an option out of range, or one that would have no effect.
    """

    frames: int = 1
    mode: Mode = "replicate"
    placement: Literal["centre", "last"] = "centre"
    copies: int | None = None

    def __post_init__(self) -> None:
        if self.frames < 1:
            raise CoPropError(
                f"a model takes one frame or more at a time, got frames_per_call={self.frames}."
            )
        if self.mode not in get_args(Mode):
            raise CoPropError(f"mode must be one of {get_args(Mode)}, got {self.mode!r}.")
        if self.frames == 1 and self.mode != "replicate":
            raise CoPropError(
                f"mode {self.mode!r} is for models that take several frames at a time; set "
                "frames_per_call to their number."
            )
        if self.placement not in ("centre", "last"):
            raise CoPropError(f'placement must be "centre" or "last", got {self.placement!r}.')
        if self.placement == "last" and self.mode != "window":
            raise CoPropError(f'placement is for the mode "window", got the mode {self.mode!r}.')

    @property
    def context(self) -> FrameContext:
        """The frames that the pipeline has to give."""
        if self.mode == "replicate":
            return ALONE
        placement = "block" if self.mode == "native" else self.placement
        return FrameContext(self.frames, 1.0, placement)

    def run(self, call: Call, frames: Tensor, sound: Tensor) -> Tensor:
        """Logits of every frame.

        Args:
            call: the network.
            frames: (K, 3, H, W); in the modes "window" and "native" K is a multiple of T, and each
                T frames are a call by themselves.
            sound: (K, ...) what is heard with each.

        Raises:
            ShapeError: K is no multiple of T.
        """
        if self.frames == 1:
            return call(frames, sound)
        if self.mode == "replicate":
            times = self.copies or self.frames
            rows = [
                call(_repeated(frames[k], times), _repeated(sound[k], times))[:1]
                for k in range(len(frames))
            ]
            return torch.cat(rows)
        if len(frames) % self.frames:
            raise ShapeError(
                f"in the mode {self.mode!r} this model takes {self.frames} frames at a time, got "
                f"{len(frames)}; give a multiple of {self.frames}, or use the mode "
                '"replicate", which takes any number.'
            )
        starts = range(0, len(frames), self.frames)
        spans = [slice(start, start + self.frames) for start in starts]
        return torch.cat([call(frames[span], sound[span]) for span in spans])

    def __str__(self) -> str:
        if self.frames == 1:
            return "each frame by itself"
        if self.mode == "replicate":
            copies = self.copies or self.frames
            if copies == 1:
                return "each frame by itself"
            return f"each frame by itself, given {copies} times, one row kept"
        if self.mode == "window":
            where = "in the centre" if self.placement == "centre" else "last"
            return f"{self.frames} frames a second apart, the keyframe {where}"
        return f"blocks of {self.frames} frames a second apart"


def _repeated(row: Tensor, times: int) -> Tensor:
    """(...) -> (times, ...), each a copy of its own: networks write into what they are given."""
    return row.unsqueeze(0).repeat(times, *[1] * row.ndim)
