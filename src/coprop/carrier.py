"""The state machine that every clip and every stream goes through, one frame after another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from coprop.prompts import Prompt
from coprop.schedule import KeyframeSpan
from coprop.types import FrameMask

if TYPE_CHECKING:
    from coprop.media.reader import Frame
    from coprop.tracking import SegmentState, SegmentTracker


class Carrier:
    """The state machine: a keyframe's mask is carried on until the next, and rests in silence.

    Args:
        tracker: makes the masks.
    """

    def __init__(self, tracker: SegmentTracker) -> None:
        self._tracker = tracker
        self._state: SegmentState | None = None

    @property
    def has_mask(self) -> bool:
        """Whether there has been a keyframe."""
        return self._state is not None

    def mask(
        self,
        frame: Frame,
        span: KeyframeSpan | None,
        is_keyframe: bool,
        around: Sequence[Frame],
        words: tuple[str, ...] | None = None,
    ) -> FrameMask:
        """The mask of the next frame.

        Args:
            frame: the frame.
            span: where it lies; None in silence.
            is_keyframe: whether the keyframe model is to be asked; it is asked in any case as long
                as it has given no mask.
            around, words: see `SegmentTracker.start`.
        """
        tracker, state = self._tracker, self._state
        if span is None:
            return tracker.silent(frame, state.mask if state else None)
        if state is None or is_keyframe:
            started = tracker.start(frame, span.sources, around, words)
            state = started or (tracker.step(frame, state) if state else None)
        else:
            state = tracker.step(frame, state)
        self._state = state
        return state.mask if state else tracker.silent(frame, None)

    def prompted(
        self,
        frame: Frame,
        prompts: Sequence[Prompt],
        span: KeyframeSpan,
        around: Sequence[Frame],
        words: tuple[str, ...] | None = None,
    ) -> FrameMask:
        """The mask of a frame for which some are supplied; it is carried on from there."""
        self._state = self._tracker.prompted(frame, prompts, span.sources, around, words)
        return self._state.mask
