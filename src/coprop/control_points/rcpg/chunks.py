"""Tracks longer than a model hears: overlapping chunks of windows, and one flag for each window."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from coprop.errors import CoPropError

_Scalar = TypeVar("_Scalar", bound=np.generic)


@dataclass(frozen=True)
class Chunk:
    """The windows ``first`` to ``stop`` (exclusive) of a track, heard at once."""

    first: int
    stop: int

    @property
    def windows(self) -> int:
        return self.stop - self.first


@dataclass(frozen=True)
class Grid:
    """The windows that a model is asked about: each of the wanted ones, or equal parts of them.

    Args:
        windows: N wanted windows.
        parts: into how many each is divided, so that a model hears at least two at once.
        most: how many of them it hears at once.
    """

    windows: int
    parts: int
    most: int

    @property
    def total(self) -> int:
        """All that it is asked about."""
        return self.windows * self.parts


def windows_of(duration_s: float, window_s: float) -> int:
    """How many equal windows of about ``window_s`` a track is divided into, at least one."""
    return max(1, math.floor(duration_s / window_s + 0.5))


def grid_for(windows: int, duration_s: float, max_audio_s: float) -> Grid:
    """Windows that a model can tell apart.

    A change is heard only where the windows before and after it are heard together, so windows
    longer than half of what the model hears are asked about in parts.

    Args:
        windows: N >= 1.
        duration_s: of the track, positive.
        max_audio_s: the longest sound that the model hears, positive; infinite for no limit.

    Raises:
        CoPropError: a length that is not positive.
    """
    if not (windows >= 1 and duration_s > 0.0 and max_audio_s > 0.0):
        raise CoPropError(
            f"there must be a window, and lengths must be positive, got {windows} windows of "
            f"{duration_s} s in all and a model that hears {max_audio_s} s."
        )
    if duration_s <= max_audio_s:
        return Grid(windows, 1, windows)
    parts = max(1, math.ceil(round(2 * duration_s / (windows * max_audio_s), 6)))
    step_s = duration_s / (windows * parts)
    return Grid(windows, parts, max(2, math.floor(round(max_audio_s / step_s, 6))))


def plan_chunks(total: int, most: int, overlap: int) -> tuple[Chunk, ...]:
    """Chunks that cover all windows, each sharing at least ``overlap`` with the one before.

    All have ``most`` windows; the last is moved back to end with the track. Where all fit into
    one, there is one.

    Args:
        total: windows to cover, at least 1.
        most: in one chunk; at least 2 where there are more than that.
        overlap: wanted, at least 1; at most half of a chunk is used.

    Raises:
        CoPropError: a number out of its range.
    """
    if total < 1 or most < 1 or (most < 2 and total > most) or overlap < 1:
        raise CoPropError(
            "chunks need at least one window in all, two in each and an overlap of one, got "
            f"{total}, {most} and {overlap}: the first window of a later chunk is 1 by "
            "convention, so its flag must come from the chunk before."
        )
    if total <= most:
        return (Chunk(0, total),)
    stride = most - min(overlap, most // 2)
    firsts = [*range(0, total - most, stride), total - most]
    return tuple(Chunk(first, first + most) for first in firsts)


def owners(chunks: Sequence[Chunk], total: int) -> NDArray[np.int64]:
    """(total,) which chunk each window's flag is taken from.

    A flag says what happens at its window's beginning; it is taken from the chunk in which that
    lies furthest from the chunk's nearer end, of two equal ones from the first. So the first
    window of a chunk, which says 1 by convention, is never taken but from the first chunk.
    """
    depth = np.full((len(chunks), total), -1)
    for row, chunk in zip(depth, chunks, strict=True):
        starts = np.arange(chunk.first, chunk.stop)
        row[chunk.first : chunk.stop] = np.minimum(starts - chunk.first, chunk.stop - starts)
    return np.asarray(depth.argmax(axis=0), dtype=np.int64)


def merge(
    chunks: Sequence[Chunk], values: Sequence[NDArray[_Scalar]], total: int
) -> NDArray[_Scalar]:
    """(total,) each window's value, from the chunk that `owners` names.

    Args:
        chunks: as `plan_chunks` makes them.
        values: of each chunk, one for each of its windows.
        total: windows in all.
    """
    merged = np.zeros(total, dtype=values[0].dtype)
    owner = owners(chunks, total)
    for number, (chunk, own) in enumerate(zip(chunks, values, strict=True)):
        here = np.flatnonzero(owner == number)
        merged[here] = own[here - chunk.first]
    return merged


def to_wanted(
    grid: Grid, flags: NDArray[np.bool_], scores: NDArray[np.float64]
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Flags and scores of the wanted windows, from those of their parts.

    A change belongs to the nearest edge between two wanted windows, as everywhere else; one
    nearest to the end of the track to none.

    Args:
        grid: windows and parts.
        flags: (total,) of the parts.
        scores: (total,) of the parts.

    Returns:
        (N,) each; the first flag is set.
    """
    wanted = np.zeros(grid.windows, dtype=np.bool_)
    highest = np.zeros(grid.windows)
    edges = (2 * np.arange(grid.total) + grid.parts) // (2 * grid.parts)
    inside = edges < grid.windows
    np.logical_or.at(wanted, edges[inside], flags[inside])
    np.maximum.at(highest, edges[inside], scores[inside])
    wanted[0], highest[0] = True, 1.0
    return wanted, highest


def sample_range(
    chunk: Chunk, total: int, num_samples: int, most_samples: int | None
) -> tuple[int, int]:
    """First and last (exclusive) sample of a chunk; borders lie on the edges of windows.

    Args:
        chunk: its windows.
        total: windows in all.
        num_samples: of the track.
        most_samples: that may be heard at once; None for no limit.
    """
    start, stop = (num_samples * edge // total for edge in (chunk.first, chunk.stop))
    return start, stop if most_samples is None else min(stop, start + most_samples)
