"""A result corrected by what its user supplies, inside the segments that this is about."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import overload

from coprop.carrier import Carrier
from coprop.context import with_neighbours
from coprop.errors import CoPropError
from coprop.media.clip import Clip
from coprop.prompts import Prompt, Prompts
from coprop.result import Result
from coprop.schedule import schedule_of
from coprop.tracking import SegmentTracker
from coprop.types import FrameMask, Segment

_ALONE_S = 1 / 25  # how long a frame lasts that is the only one, or the first so far


class CorrectedMasks(Sequence[FrameMask]):
    """Masks of which some are others.

    Args:
        before: all of them, as they were; those on disk stay there.
        others: by position.
    """

    def __init__(self, before: Sequence[FrameMask], others: Mapping[int, FrameMask]) -> None:
        self._before, self._others = before, dict(others)

    def __len__(self) -> int:
        return len(self._before)

    @overload
    def __getitem__(self, index: int) -> FrameMask: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[FrameMask, ...]: ...

    def __getitem__(self, index: int | slice) -> FrameMask | tuple[FrameMask, ...]:
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        at = range(len(self))[index]
        return self._others[at] if at in self._others else self._before[at]

    def __iter__(self) -> Iterator[FrameMask]:
        for at, mask in enumerate(self._before):
            yield self._others.get(at, mask)


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
        CoPropError: no prompt, or one where nothing is heard or after the last frame.
    """
    waiting = Prompts(prompts)
    if not waiting:
        raise CoPropError("there is nothing to correct with: give at least one prompt.")
    others: dict[int, FrameMask] = {}
    with result.clip() as clip:
        made = tracker(clip)
        schedule, carried = schedule_of(clip, result.control_points, longest_s), Carrier(made)
        held: Segment | None = None
        duration_s, before_s, last_s = _ALONE_S, math.nan, 0.0
        with closing(clip.frames_ahead()) as frames:
            shown = enumerate(with_neighbours(frames, made.context))
            for at, (frame, around) in shown:
                duration_s = duration_s if math.isnan(before_s) else frame.time_s - before_s
                before_s = last_s = frame.time_s
                span, _ = schedule.at(frame.time_s, duration_s)
                given = waiting.due(frame.time_s, heard=span is not None)
                if given and span is not None:
                    held = span.sources
                    words = result.control_points.categories_at(frame.time_s)
                    mask = carried.prompted(frame, given, span, around, words)
                elif span is not None and span.sources == held:
                    mask = carried.mask(frame, span, False, around)
                else:
                    held = None
                    if not waiting:
                        break
                    continue
                others[at] = _like(mask, result.masks, at)
        waiting.check_end(last_s)
    other = replace(result, masks=CorrectedMasks(result.masks, others))
    object.__setattr__(other, "name", result.name)
    return other


def _like(mask: FrameMask, masks: Sequence[FrameMask], at: int) -> FrameMask:
    """Without probabilities where the others have none."""
    if at >= len(masks):
        raise CoPropError(
            f"the result has {len(masks)} masks, but its video has more frames now; give the video "
            "that the masks were made of."
        )
    has_none = vars(masks[at]).get("probabilities", mask) is None
    return replace(mask, probabilities=None) if has_none else mask
