"""Where nothing is heard."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from coprop.types import AudioTrack, Segment

BLOCK_S = 0.05
_NEVER_HEARD_DB = -60.0  # re full scale
_DROWNED_DB = -45.0  # re the track's loud blocks
_AUDIBLE_SHARE = 0.1  # a segment's edges may reach this far into its neighbours' sound


def quiet_blocks(track: AudioTrack) -> NDArray[np.bool_]:
    """(T,) True for each 50 ms in which nothing is heard.

    Quiet is below -60 dB of full scale, or 45 dB below the track's loud blocks (their 95th
    percentile): what is left of a room when its sources are silent.
    """
    levels = np.concatenate([_levels_db(track, start) for start in _starts(track)] or [np.zeros(0)])
    if not levels.size:
        return np.ones(1, dtype=bool)
    loud = float(np.percentile(levels, 95))
    return np.asarray(levels < max(_NEVER_HEARD_DB, loud + _DROWNED_DB))


def is_silent(quiet: NDArray[np.bool_], segment: Segment) -> bool:
    """Whether a segment is silent: at most 10 % of its blocks are heard.

    Args:
        quiet: (T,) of `quiet_blocks`; after its end all is quiet.
        segment: the span.
    """
    first, last = (round(min(t / BLOCK_S, len(quiet))) for t in (segment.start_s, segment.end_s))
    inside = quiet[first : max(last, first + 1)]  # a shorter segment is its nearest block
    return bool(inside.size == 0 or np.mean(~inside) <= _AUDIBLE_SHARE)


def silence_edges(quiet: NDArray[np.bool_], shortest_s: float) -> NDArray[np.bool_]:
    """(T,) True for the first block of each silence, and for the first one after it.

    Args:
        quiet: (T,) of `quiet_blocks`.
        shortest_s: pauses shorter than this are a part of what sounds, as between two barks.
    """
    steps = np.diff(np.concatenate([[False], quiet, [False]]).astype(int))
    edges = np.zeros(len(quiet) + 1, dtype=bool)
    for start, stop in zip(np.flatnonzero(steps == 1), np.flatnonzero(steps == -1), strict=True):
        if (stop - start) * BLOCK_S >= shortest_s - 1e-9:
            edges[[start, stop]] = True
    return edges[:-1]


def _starts(track: AudioTrack) -> range:
    return range(0, track.num_samples, 10 * track.sample_rate)  # ten seconds at a time


def _levels_db(track: AudioTrack, start: int) -> NDArray[np.float64]:
    stop = min(start + 10 * track.sample_rate, track.num_samples)
    samples = track.read(start, stop).astype(np.float64)
    edges = np.round(np.arange(0, 10.0, BLOCK_S) * track.sample_rate).astype(np.intp)
    edges = edges[edges < stop - start]
    sums = np.add.reduceat(samples**2, edges)
    lengths = np.diff(np.append(edges, stop - start))
    return np.asarray(10 * np.log10(sums / np.maximum(lengths, 1) + 1e-12))
