"""What surrounds a frame: the frames near it and the sound that belongs to it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import torch
from torch import Tensor

from coprop.types import AudioTrack, Segment
from coprop.utils.checks import check_choice, number, whole

if TYPE_CHECKING:
    from coprop.media.reader import Frame

Placement = Literal["first", "centre", "last", "block"]

_MOST_FRAMES = 1000  # at a time, far beyond published networks, which take 5 or 10
_LONGEST_S = 10.0  # of a segment's sound: as long as the clips of AudioSet, and told by less
_EXAMPLE_S = 0.96  # from one VGGish example to the next


@dataclass(frozen=True)
class FrameContext:
    """The frames that a keyframe model is given beside the keyframe.

    Args:
        frames: T, how many it takes at a time, the keyframe included, 1 to 1000.
        spacing_s: seconds between them, above 0.
        placement: where the keyframe lies among them. "first", "centre" or "last": as it says.
            "block": the video is cut into blocks of T spacings, and the keyframe lies where it
            falls, as in the benchmark's clips of T frames.

    Raises:
        CoPropError: a number of frames or a spacing out of its range, or an unknown placement.

    Example:
        >>> FrameContext(3, 0.5, "last").times_s(4.0)
        (3.0, 3.5, 4.0)
    """

    frames: int = 1
    spacing_s: float = 1.0
    placement: Placement = "centre"

    def __post_init__(self) -> None:
        wanted = f"1 to {_MOST_FRAMES} at a time"
        frames = whole("frames", self.frames, wanted, low=1, high=_MOST_FRAMES)
        spacing = number("spacing_s", self.spacing_s, "a positive number of seconds", above=0)
        object.__setattr__(self, "frames", frames)
        object.__setattr__(self, "spacing_s", spacing)
        check_choice("placement", self.placement, get_args(Placement))

    def position(self, time_s: float) -> int:
        """Which of the T frames the keyframe at a time is."""
        if self.placement == "block":
            return math.floor(time_s / self.spacing_s) % self.frames
        return {"first": 0, "centre": self.frames // 2, "last": self.frames - 1}[self.placement]

    def times_s(self, time_s: float) -> tuple[float, ...]:
        """(T,) times of the frames around a keyframe; some may lie beyond the video's ends."""
        position = self.position(time_s)
        return tuple(time_s + (i - position) * self.spacing_s for i in range(self.frames))

    @property
    def before_s(self) -> float:
        """How far the frames may reach back from the keyframe, in seconds."""
        before = {"first": 0, "centre": self.frames // 2}.get(self.placement, self.frames - 1)
        return before * self.spacing_s

    @property
    def after_s(self) -> float:
        """How far they may reach ahead, in seconds."""
        after = {"centre": (self.frames - 1) // 2, "last": 0}.get(self.placement, self.frames - 1)
        return after * self.spacing_s


ALONE = FrameContext()
"""The keyframe and nothing else."""


def stretch(segment: Segment, time_s: float) -> Segment:
    """The 10 s of a segment around a time, or all of one that is no longer."""
    length_s = min(segment.end_s - segment.start_s, _LONGEST_S)
    start_s = max(min(time_s - length_s / 2, segment.end_s - length_s), segment.start_s)
    return Segment(start_s, start_s + length_s)


class AudioWindows:
    """Cuts windows of sound out of a track.

    Args:
        track: the sound.
        sample_rate: of the windows, in Hz; the track is resampled where it differs.
        window_s: length of a window in seconds.
    """

    def __init__(self, track: AudioTrack, sample_rate: int, window_s: float) -> None:
        self._track = track.resampled(sample_rate)
        self._rate = sample_rate
        self._length = round(window_s * sample_rate)

    def centred(self, time_s: float) -> Tensor:
        """(1, samples): the window centred on a time; zeros beyond the track's ends.

        Of sound that is still coming in, the last window that may be heard, where that is earlier:
        half a window of zeros would sound like an end.
        """
        if getattr(self._track, "is_growing", False):
            time_s = min(time_s, self._track.duration_s - self._length / self._rate / 2)
        return self._cut(time_s)

    def example(self, time_s: float) -> Tensor:
        """(1, samples): from the start of the VGGish example that AVSBench's scripts pair with the
        second in which a time lies; zeros beyond the track's ends.
        """
        start_s = _EXAMPLE_S * max(math.floor(time_s), 0)
        return self._cut(start_s + self._length / self._rate / 2)

    def within(self, time_s: float, segment: Segment) -> Tensor:
        """(1, samples): the window centred on a time, moved to lie inside a segment.

        A segment shorter than the window fills it from the start, with zeros behind.
        """
        half = self._length / self._rate / 2
        latest = max(segment.end_s - half, segment.start_s + half)
        window = self._cut(min(max(time_s, segment.start_s + half), latest))
        beyond = round((segment.end_s - segment.start_s) * self._rate)
        silent = torch.arange(self._length) >= beyond
        return window.masked_fill(silent, 0)  # a copy: a track may give what it holds itself

    def whole(self, time_s: float, segment: Segment) -> Tensor:
        """(1, samples): a segment's sound, of any length from one sample to 10 s.

        Of a longer segment, the 10 s around a time. Zeros stand for what is beyond the track.
        """
        part = stretch(segment, time_s)
        start = round(part.start_s * self._rate)
        stop = start + max(round((part.end_s - part.start_s) * self._rate), 1)
        return torch.from_numpy(self._track.read(start, stop)).unsqueeze(0)

    def _cut(self, centre_s: float) -> Tensor:
        start = round(centre_s * self._rate) - self._length // 2
        return torch.from_numpy(self._track.read(start, start + self._length)).unsqueeze(0)


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
