"""How a network that takes T frames at a time is given keyframes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from coprop.context import ALONE, FrameContext
from coprop.errors import CoPropError, ShapeError
from coprop.utils.checks import check_choice, whole

Mode = Literal["replicate", "window", "native"]
"""What a network for T frames is given.

- "replicate": the keyframe T times.
- "window": T frames, a second apart, with the keyframe in the centre or at the end.
- "native": T frames, a second apart, in blocks from the beginning of the video, as the benchmark's
  clips of T frames are cut.
"""

WindowPlacement = Literal["centre", "last"]
"""Where the keyframe lies in a window."""

Network = Callable[[Tensor, Tensor], Tensor]
"""``network(frames (N, 3, H, W), sound (N, ...)) -> logits (N, C, h, w)``."""


_MOST_FRAMES = 1000  # at a time: a hundred times what published networks take


@dataclass(frozen=True)
class Batching:
    """How many frames a network takes at a time, and which.

    Args:
        frames: T, how many it takes; 1 for networks that take any number, each by itself.
        mode: what it is given with more than one.
        placement: where the keyframe lies in a window.
        copies: how often a lone frame is repeated, where fewer than T will do.

    Raises:
        CoPropError: an option out of range, or one that would have no effect.

    Example:
        >>> Batching(5, "window", "last").context
        FrameContext(frames=5, spacing_s=1.0, placement='last')
    """

    frames: int = 1
    mode: Mode = "replicate"
    placement: WindowPlacement = "centre"
    copies: int | None = None

    def __post_init__(self) -> None:
        wanted = f"a whole number of frames from 1 to {_MOST_FRAMES}"
        frames = whole("frames_per_call", self.frames, wanted, low=1, high=_MOST_FRAMES)
        object.__setattr__(self, "frames", frames)
        check_choice("mode", self.mode, get_args(Mode))
        if frames == 1 and self.mode != "replicate":
            raise CoPropError(
                f"mode {self.mode!r} is for models that take several frames at a time, and this "
                "takes each by itself; of a function that takes several, set frames_per_call."
            )
        check_choice("placement", self.placement, get_args(WindowPlacement))
        if self.placement == "last" and self.mode != "window":
            raise CoPropError(f'placement is for the mode "window", got the mode {self.mode!r}.')

    @property
    def context(self) -> FrameContext:
        """The frames that the pipeline has to give."""
        if self.mode == "replicate":
            return ALONE
        return FrameContext(self.frames, 1.0, "block" if self.mode == "native" else self.placement)

    def run(self, network: Network, frames: Tensor, sound: Tensor) -> Tensor:
        """Logits (K, C, h, w) of every frame.

        Args:
            network: called with N frames and their sound at a time.
            frames: (K, 3, H, W); in the modes "window" and "native" K is a multiple of T, and each
                T frames are a call by themselves.
            sound: (K, ...) what is heard with each.

        Raises:
            ShapeError: K is no multiple of T.
        """
        if self.frames == 1:
            return network(frames, sound)
        if self.mode == "replicate":
            times = self.copies or self.frames
            pairs = zip(frames, sound, strict=True)
            return torch.cat([network(_copies(f, times), _copies(s, times))[:1] for f, s in pairs])
        if len(frames) % self.frames:
            raise ShapeError(
                f"in the mode {self.mode!r} this model takes {self.frames} frames at a time, got "
                f"{len(frames)}; give a multiple of {self.frames}, or use the mode "
                '"replicate", which takes any number.'
            )
        clips = zip(*(torch.split(x, self.frames) for x in (frames, sound)), strict=True)
        return torch.cat([network(*clip) for clip in clips])

    def __str__(self) -> str:
        copies = self.copies or self.frames
        if self.mode == "replicate":
            given = f", given {copies} times, one row kept" if copies > 1 else ""
            return f"each frame by itself{given}"
        if self.mode == "window":
            where = "in the centre" if self.placement == "centre" else "last"
            return f"{self.frames} frames a second apart, the keyframe {where}"
        return f"blocks of {self.frames} frames a second apart"


def _copies(row: Tensor, times: int) -> Tensor:
    """(...) -> (times, ...), each a copy of its own: networks write into what they are given."""
    return row.unsqueeze(0).repeat(times, *[1] * row.ndim)
