"""The state machine that every clip and every stream goes through, one frame after another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from coprop.inference.together import Together
from coprop.inference.turns import AtOnce, Turn
from coprop.types import FrameMask

if TYPE_CHECKING:
    from coprop.inference.segment_tracker import SegmentTracker
    from coprop.inference.turns import SegmentState


class Carrier:
    """A keyframe's mask is carried on until the next, and rests in silence.

    Args:
        tracker: makes the masks.
        at_once: how many segments and keyframes are done together.
    """

    def __init__(self, tracker: SegmentTracker, at_once: AtOnce = AtOnce()) -> None:  # noqa: B008
        self._tracker = tracker
        self._together = Together(tracker, at_once)
        self._state: SegmentState | None = None

    def in_turn(self, window: list[Turn]) -> Iterator[Turn]:
        """The turns of a window, each to be given to `mask` when it comes."""
        return self._together(window)

    def mask(self, turn: Turn) -> FrameMask:
        """The mask of the next frame."""
        if turn.span is not None:
            self._state = self._together.after(turn, self._state)
            if self._state is not None:
                return self._state.mask
        return self._tracker.silent(turn.frame, self._state.mask if self._state else None)
