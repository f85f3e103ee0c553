"""A track on its way through a language model: cut into chunks, and put together again."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from coprop.control_points.language_models.base import LLM_SAMPLE_RATE
from coprop.control_points.rcpg.chunks import (
    Chunk,
    Grid,
    grid_for,
    merge,
    owners,
    plan_chunks,
    sample_range,
    to_wanted,
)
from coprop.control_points.rcpg.dialogue import ChunkAudio, DialogueResult
from coprop.types import AudioTrack, ControlPoints

FlagsAndScores = tuple[NDArray[np.bool_], NDArray[np.float64]]


@dataclass(eq=False)
class ChunkedTrack:
    """A track with its plan, and what came of it so far.

    Args:
        audio: as it was given.
        sound: the same at `LLM_SAMPLE_RATE`.
        grid: its windows.
        chunks: in which it is heard; none where it holds no sound.
        most_samples: of one chunk; None for no limit.
        results: what came of the chunks, in order, as far as is known.
    """

    audio: AudioTrack
    sound: AudioTrack
    grid: Grid
    chunks: tuple[Chunk, ...]
    most_samples: int | None
    results: list[DialogueResult] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        return len(self.results) == len(self.chunks)

    def chunk_audio(self) -> Iterator[ChunkAudio]:
        """The chunks' sound, read as one iterates."""
        for chunk in self.chunks:
            start, stop = sample_range(
                chunk, self.grid.total, self.sound.num_samples, self.most_samples
            )
            yield ChunkAudio(
                samples=self.sound.read(start, stop),
                windows=chunk.windows,
                start_s=start / LLM_SAMPLE_RATE,
                end_s=stop / LLM_SAMPLE_RATE,
                first_window=chunk.first,
            )

    def categories(self, flags: NDArray[np.bool_]) -> tuple[tuple[str, ...], ...] | None:
        """What was named in the chunks in which a segment lies, for each; None where not asked for.

        A window lies in the chunk that its flag was taken from.

        Args:
            flags: (N,) of the wanted windows: where segments begin.
        """
        named = [one.trace.categories for one in self.results]
        if not named or None in named:
            return None
        owner = owners(self.chunks, self.grid.total)
        edges = [*np.flatnonzero(flags) * self.grid.parts, self.grid.total]
        return tuple(
            tuple(dict.fromkeys(name for i in np.unique(owner[a:b]) for name in named[i] or ()))
            for a, b in pairwise(edges)
        )

    def control_points(self, found: Sequence[FlagsAndScores]) -> ControlPoints:
        """The control points of the windows that were wanted.

        Args:
            found: flags and scores of each chunk.
        """
        total = self.grid.total
        flags = np.zeros(total, dtype=np.bool_)
        scores = np.zeros(total)
        if found:
            flags = merge(self.chunks, [flags for flags, _ in found], total)
            scores = merge(self.chunks, [scores for _, scores in found], total)
        flags, scores = to_wanted(self.grid, flags, scores)
        step_s = (self.audio.duration_s or 1.0) / self.grid.windows
        times_s = np.arange(self.grid.windows, dtype=np.float64) * step_s
        return ControlPoints(times_s, scores, flags, self.categories(flags))


def plan_track(
    audio: AudioTrack, windows: int, max_audio_s: float, overlap_s: float
) -> ChunkedTrack:
    """Cuts a track into chunks that a model hears to the end.

    Args:
        audio: the track.
        windows: N >= 1.
        max_audio_s: the longest sound that the model hears, positive.
        overlap_s: wanted between chunks, in seconds; at least one window is taken.

    Raises:
        CoPropError: a number out of its range.
    """
    sound = audio.resampled(LLM_SAMPLE_RATE)
    if not sound.num_samples:
        return ChunkedTrack(audio, sound, Grid(windows, 1, windows), (), None)
    grid = grid_for(windows, sound.duration_s, max_audio_s)
    overlap = max(1, math.ceil(round(overlap_s * grid.total / sound.duration_s, 6)))
    chunks = plan_chunks(grid.total, grid.most, overlap)
    limited = len(chunks) > 1
    return ChunkedTrack(
        audio, sound, grid, chunks, math.floor(max_audio_s * LLM_SAMPLE_RATE) if limited else None
    )
