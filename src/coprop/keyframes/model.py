"""The keyframe slot: what a model that segments keyframes looks like to the pipeline."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Protocol, get_args, runtime_checkable

from torch import Tensor

from coprop.checks import number, whole
from coprop.errors import CoPropError

AudioSpan = Literal["frame", "segment", "whole", "example"]
"""Which sound goes with a frame, of the model's own length ``window_s``.

"frame"
    the window centred on the frame's time, whatever it holds.
"segment"
    the same window moved, where it must be, to lie between two control points, since beyond them
    other objects sound.
"whole"
    all sound between two control points, from one sample to 10 s, for models that take any
    length; of a frame alone the window.
"example"
    the window that begins at 0.96 s times the number of the second in which the frame lies: how
    the scripts of AVSBench and its successors pair frames with VGGish's examples. It falls
    behind the frame by 40 ms every second, so it is for clips of five or ten seconds.
"""

Placement = Literal["centre", "last", "block"]
_MOST_FRAMES = 1000  # at a time; published networks take 5 or 10


@dataclass(frozen=True)
class FrameContext:
    """The frames that a keyframe model is given beside the keyframe.

    Args:
        frames: T, how many it takes at a time, the keyframe included.
        spacing_s: seconds between them.
        placement: where the keyframe lies among them. "centre" or "last": as it says. "block":
            the video is cut into blocks of T spacings, and the keyframe lies where it falls, as
            in the benchmark's clips of T frames.

    Raises:
        CoPropError: fewer than one frame, a spacing that is not positive, an unknown placement.
    """

    frames: int = 1
    spacing_s: float = 1.0
    placement: Placement = "centre"

    def __post_init__(self) -> None:
        frames = whole(
            "frames", self.frames, f"1 to {_MOST_FRAMES} at a time", low=1, high=_MOST_FRAMES
        )
        spacing = number("spacing_s", self.spacing_s, "a positive number of seconds", above=0)
        object.__setattr__(self, "frames", frames)
        object.__setattr__(self, "spacing_s", spacing)
        if self.placement not in [*get_args(Placement)]:
            raise CoPropError(
                f"placement must be one of {get_args(Placement)}, got {self.placement!r}."
            )

    def position(self, time_s: float) -> int:
        """Which of the T frames the keyframe at a time is."""
        if self.placement == "block":
            return math.floor(time_s / self.spacing_s) % self.frames
        return self.frames - 1 if self.placement == "last" else self.frames // 2

    def times_s(self, time_s: float) -> tuple[float, ...]:
        """(T,) times of the frames around a keyframe; some may lie beyond the video's ends."""
        position = self.position(time_s)
        return tuple(time_s + (i - position) * self.spacing_s for i in range(self.frames))

    @property
    def before_s(self) -> float:
        """How far the frames may reach back from the keyframe, in seconds."""
        most = self.frames - 1 if self.placement != "centre" else self.frames // 2
        return most * self.spacing_s

    @property
    def after_s(self) -> float:
        """How far they may reach ahead, in seconds."""
        after = {"centre": (self.frames - 1) // 2, "last": 0, "block": self.frames - 1}
        return after[self.placement] * self.spacing_s


ALONE = FrameContext()
"""The keyframe and nothing else."""


@runtime_checkable
class KeyframeModel(Protocol):
    """What fills the keyframe slot of the pipeline."""

    @property
    def sample_rate(self) -> int:
        """Of the sound it takes, in Hz."""
        ...

    @property
    def window_s(self) -> float:
        """How much sound it takes with a frame, in seconds."""
        ...

    @property
    def audio_span(self) -> AudioSpan:
        """Which sound goes with a frame."""
        ...

    @property
    def context(self) -> FrameContext:
        """Which other frames it wants to see."""
        ...

    def __call__(self, frames: Tensor, audio: Tensor) -> Tensor:
        """Logits of what sounds in each frame.

        Args:
            frames: (K, 3, H, W) RGB in [0, 1]: the frames of the context, in order of time.
            audio: (K, samples) the sound of each.

        Returns:
            (K, C, H, W) logits at the frames' own size; of these the keyframe's row is used.
            C = 1: probability of sounding by the sigmoid. C > 1: classes by the softmax, 0 being
            background.
        """
        ...


class KeyframeFunction(Protocol):
    """``fn(frames (K, 3, H, W), audio (K, samples)) -> logits (K, C, H, W)``."""

    def __call__(self, frames: Tensor, audio: Tensor, /) -> Tensor: ...
