"""Where changes lie on the grids that control points are given on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from coprop.types import SAME_S, AudioTrack


def nearest_windows(
    times_s: NDArray[np.float64], audio: AudioTrack, windows: int
) -> NDArray[np.intp]:
    """Of N equal windows the one whose start is nearest; N where the track's end is nearer."""
    position = times_s * windows / (audio.duration_s or 1.0)
    return np.minimum(np.floor(position + 0.5), windows).astype(np.intp)


def with_edges(
    times_s: NDArray[np.float64],
    scores: NDArray[np.float64],
    flags: NDArray[np.bool_],
    edges_s: NDArray[np.float64],
    chances: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Steps with the edges of silences among them, each a change."""
    at = np.minimum(np.searchsorted(times_s, edges_s - SAME_S), len(times_s) - 1)
    on_grid = np.abs(times_s[at] - edges_s) < SAME_S
    np.maximum.at(scores, at[on_grid], chances[on_grid])
    flags[at[on_grid]] = True
    between = edges_s[~on_grid]
    place = np.searchsorted(times_s, between)
    return (
        np.insert(times_s, place, between),
        np.insert(scores, place, chances[~on_grid]),
        np.insert(flags, place, True),
    )
