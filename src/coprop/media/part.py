"""A part of a clip, on the clock of the whole."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from coprop.errors import MediaError
from coprop.silence import BLOCK_S, quiet_blocks
from coprop.types import SAME_S, AudioTrack, ControlPoints
from coprop.utils.checks import number

if TYPE_CHECKING:
    from coprop.media.reader import Frame


def checked_part(start_s: object, end_s: object) -> tuple[float, float]:
    """Where a part begins and ends, in seconds; infinite where no end is given.

    Raises:
        MediaError: no times, or an end that is not after the start.
    """
    wanted = "a number of seconds, 0 or more, or None for the video's beginning"
    start = 0.0 if start_s is None else number("start_s", start_s, wanted, low=0, error=MediaError)
    if end_s is None:
        return start, math.inf
    wanted = f"a number of seconds after the start, at {start:g} s, or None for the video's end"
    return start, number("end_s", end_s, wanted, above=start, error=MediaError)


class FramesPart:
    """The frames of a video that are shown from one time on and before another.

    Those before are decoded and left out; they keep their numbers and times.

    Args:
        frames: all of them.
        start_s, end_s: of the part.

    Attributes:
        source: all of the frames.
    """

    def __init__(self, frames: Iterable[Frame], start_s: float, end_s: float) -> None:
        self.source, self._start_s, self._end_s = frames, start_s, end_s

    def __iter__(self) -> Iterator[Frame]:
        last_s, any_shown = 0.0, False
        for frame in self.source:
            last_s = frame.time_s
            if frame.time_s >= self._end_s - SAME_S:
                break
            if frame.time_s >= self._start_s - SAME_S:
                any_shown = True
                yield frame
        if not any_shown:
            raise MediaError(
                f"there is no frame from {self._start_s:g} s "
                f"{f'to {self._end_s:g} s' if math.isfinite(self._end_s) else 'on'}; the last one "
                f"that was looked at is at {last_s:.3f} s."
            )


class TrackPart:
    """The sound of a part, at its time; before and after it nothing is heard.

    Args:
        track: all of it.
        start_s, end_s: of the part.

    Attributes:
        alone: the part as a track that begins with it.
    """

    def __init__(self, track: AudioTrack, start_s: float, end_s: float) -> None:
        self._track = track
        # On the grid of levels, so that these are the part's own.
        self.start_s = round(start_s / BLOCK_S) * BLOCK_S
        self.end_s = max(min(end_s, track.duration_s), self.start_s)
        self.alone: AudioTrack = Stretch(track, self.start_s, self.end_s)

    @property
    def sample_rate(self) -> int:
        return self._track.sample_rate

    @property
    def num_samples(self) -> int:
        return round(self.end_s * self.sample_rate)

    @property
    def duration_s(self) -> float:
        return self.num_samples / self.sample_rate

    @cached_property
    def quiet(self) -> NDArray[np.bool_]:
        """(T,) of `coprop.silence.quiet_blocks`, by the part's own background."""
        before: NDArray[np.bool_] = np.ones(round(self.start_s / BLOCK_S), dtype=bool)
        return np.concatenate([before, quiet_blocks(self.alone)])

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        """Samples ``start`` to ``stop`` (exclusive) of the whole; zeros outside the part."""
        first = round(self.start_s * self.sample_rate)
        return self.alone.read(start - first, stop - first)

    def resampled(self, sample_rate: int) -> TrackPart:
        """The same part at another rate."""
        if sample_rate == self.sample_rate:
            return self
        return TrackPart(self._track.resampled(sample_rate), self.start_s, self.end_s)

    def placed(self, points: ControlPoints) -> ControlPoints:
        """Control points of `alone`, at their times in the whole."""
        if self.start_s < SAME_S:
            return points
        named, known = points.categories, points.probabilities
        return ControlPoints(
            np.append(0.0, points.times_s + self.start_s),
            np.append(1.0, points.scores),
            np.append(True, points.flags),
            None if named is None else ((), *named),
            None if known is None else ((), *known),
        )


class Stretch:
    """A stretch of a track as a track of its own, from its position 0 on; silent around it.

    Args:
        sound: the whole.
        start_s, end_s: where it lies in the whole.
    """

    def __init__(self, sound: AudioTrack, start_s: float, end_s: float) -> None:
        self.sound, self.start_s, self.end_s = sound, start_s, end_s
        self.sample_rate = sound.sample_rate
        self._first = round(start_s * self.sample_rate)
        self.num_samples = max(round(end_s * self.sample_rate) - self._first, 0)

    @property
    def duration_s(self) -> float:
        return self.num_samples / self.sample_rate

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        """Samples ``start`` to ``stop`` (exclusive); zeros outside."""
        window = np.zeros(max(stop - start, 0), dtype=np.float32)
        first, last = max(start, 0), min(stop, self.num_samples)
        if last > first:
            known = self.sound.read(first + self._first, last + self._first)
            window[first - start : last - start] = known
        return window

    def resampled(self, sample_rate: int) -> AudioTrack:
        """The same stretch at another rate."""
        if sample_rate == self.sample_rate:
            return self
        return Stretch(self.sound.resampled(sample_rate), self.start_s, self.end_s)
