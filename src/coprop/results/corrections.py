"""A result corrected by what its user supplies, inside the segments that this is about."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from coprop.errors import CoPropError, MediaError
from coprop.inference.carrier import Carrier
from coprop.inference.segment_tracker import SegmentTracker
from coprop.inference.turns import turns_of
from coprop.media.clip import Clip
from coprop.prompts import Prompt, Prompts
from coprop.result import Result, check_pair, check_result
from coprop.results.saved_result import LazyMasks, masks_folder
from coprop.types import FrameMask

if TYPE_CHECKING:
    from coprop.media.reader import Frame


class CorrectedMasks(LazyMasks):
    """Masks of which some are others.

    Args:
        before: all of them, as they were; those on disk stay there.
        others: by position.
    """

    def __init__(self, before: Sequence[FrameMask], others: Mapping[int, FrameMask]) -> None:
        self._before, self._others = before, dict(others)

    @property
    def folder(self) -> Path | None:
        """Where those that are as before are read from; None where they are in memory."""
        return masks_folder(self._before)

    def __len__(self) -> int:
        return len(self._before)

    def mask_at(self, place: int) -> FrameMask:
        return self._others[place] if place in self._others else self._before[place]


def corrected(
    result: Result,
    prompts: Iterable[Prompt],
    tracker: Callable[[Clip], SegmentTracker],
    longest_s: float | None,
) -> Result:
    """The result with the prompts' masks, carried on to the ends of their segments.

    Args:
        result: of the pipeline; its control points stay.
        prompts: what is supplied.
        tracker: makes the tracker of masks for the clip.
        longest_s: as it was when the result was made.

    Raises:
        CoPropError: no result, no prompt, or one where nothing is heard or after the last frame.
        MediaError: the video is not what it was.
    """
    check_result(result)
    waiting = Prompts(prompts)
    if not waiting:
        raise CoPropError("there is nothing to correct with: give at least one prompt.")
    others: dict[int, FrameMask] = {}
    with result.clip() as clip:
        made, held = tracker(clip), None
        carried = Carrier(made)
        turns = turns_of(made, clip, result.control_points, longest_s, waiting)
        with closing(turns):
            for at, turn in enumerate(turns):
                sources = turn.span.sources if turn.span else None
                held = sources if turn.given or sources == held else None
                if held is not None:
                    _check_frame(turn.frame, result.masks, at, clip.name or "the video")
                    others[at] = _like(carried.mask(turn), result.masks[at])
                elif not waiting:
                    break
            else:
                if at + 1 < len(result.masks):
                    raise MediaError(_other_video(result.masks, "fewer"))
    other = replace(result, masks=CorrectedMasks(result.masks, others))
    object.__setattr__(other, "name", result.name)
    return other


def _check_frame(frame: Frame, masks: Sequence[FrameMask], at: int, video: str) -> None:
    """Refuses a frame that is not the one that the result has a mask of."""
    if at >= len(masks):
        raise MediaError(_other_video(masks, "more"))
    check_pair(frame, masks[at], video)


def _other_video(masks: Sequence[FrameMask], many: str) -> str:
    return (
        f"the result has {len(masks)} masks, but its video has {many} frames now; give the video "
        "that the masks were made of."
    )


def _like(mask: FrameMask, before: FrameMask) -> FrameMask:
    """Without probabilities where the one before has none."""
    has_none = vars(before).get("probabilities", mask) is None
    return replace(mask, probabilities=None) if has_none else mask
