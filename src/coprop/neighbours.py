"""Frames around a frame, for keyframe models that take several at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from coprop.keyframes.model import FrameContext

if TYPE_CHECKING:
    from coprop.media.reader import Frame


def with_neighbours(
    frames: Iterable[Frame], context: FrameContext
) -> Iterator[tuple[Frame, Sequence[Frame]]]:
    """Yields each frame with those that its context may reach, itself included, in order.

    Only these are held: as many frames as lie in the context's reach, and one more at either end.
    """
    if context.frames == 1:
        for frame in frames:
            yield frame, (frame,)
        return
    held: deque[Frame] = deque()
    waiting: deque[Frame] = deque()
    for coming in frames:
        held.append(coming)
        waiting.append(coming)
        while coming.time_s >= waiting[0].time_s + context.after_s:
            yield _with_held(waiting, held, context)
            if not waiting:
                break
    while waiting:
        yield _with_held(waiting, held, context)


def nearest(frame: Frame, around: Sequence[Frame], context: FrameContext) -> tuple[Frame, ...]:
    """The context's frames for a keyframe: those of ``around`` that are nearest to its times.

    Where the video begins later or ends earlier, its first or last frame stands for the missing.
    """
    position = context.position(frame.time_s)
    return tuple(
        frame if i == position else min(around, key=lambda other: abs(other.time_s - time_s))
        for i, time_s in enumerate(context.times_s(frame.time_s))
    )


def _with_held(
    waiting: deque[Frame], held: deque[Frame], context: FrameContext
) -> tuple[Frame, Sequence[Frame]]:
    frame = waiting.popleft()
    # Of the frames before the reach, the last may still be the nearest to its edge.
    while len(held) > 1 and held[1].time_s <= frame.time_s - context.before_s:
        held.popleft()
    return frame, tuple(held)
