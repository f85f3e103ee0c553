"""Keyframe models whose answer depends on when a frame is shown, not on what is seen in it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol, runtime_checkable

from coprop.keyframes.model import KeyframeModel


@dataclass(frozen=True)
class Moment:
    """Which frame of its clip a keyframe is.

    Args:
        time_s: when it is shown, in seconds.
        index: its number, from 0.
    """

    time_s: float
    index: int


class NoKeyframe(Enum):
    """What stands for logits where there is to be no keyframe; a model's None is its mistake."""

    here = "no keyframe here"


@runtime_checkable
class TimedKeyframeModel(KeyframeModel, Protocol):
    """A keyframe model that is told about the clip, and about the moment of each keyframe."""

    def for_clip(self, num_frames: int | None, duration_s: float | None) -> TimedKeyframeModel:
        """The model for a clip of so many frames and seconds; None where nobody knows."""

    def at(self, moment: Moment) -> KeyframeModel | None:
        """The model for one keyframe; None where there is to be no keyframe."""


def for_clip(
    model: KeyframeModel, num_frames: int | None, duration_s: float | None
) -> KeyframeModel:
    """The keyframe model for a clip, of whatever kind it is."""
    if isinstance(model, TimedKeyframeModel):
        return model.for_clip(num_frames, duration_s)
    return model


def timed(model: KeyframeModel, moment: Moment | None) -> KeyframeModel | None:
    """The keyframe model for a moment; None where there is to be no keyframe."""
    if isinstance(model, TimedKeyframeModel) and moment is not None:
        return model.at(moment)
    return model
