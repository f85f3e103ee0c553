"""Sound that is heard only while something that sounds is seen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from coprop.results.saved_result import Head

FADE_S = 0.005
"""How long the sound takes to come and to go, inside what is heard: a sharp edge would click."""


def seen_spans(heads: Sequence[Head], end_s: float) -> list[tuple[float, float]]:
    """Spans in seconds in which the masks are not empty; a frame lasts until the next one.

    Args:
        heads: of all frames.
        end_s: when the last frame ends.
    """
    spans: list[tuple[float, float]] = []
    edges = [*(head.time_s for head in heads), end_s]
    for head, (start_s, stop_s) in zip(heads, pairwise(edges), strict=True):
        if not head.labels:
            continue
        if spans and spans[-1][1] == start_s:
            spans[-1] = (spans[-1][0], stop_s)
        else:
            spans.append((start_s, stop_s))
    return spans


def gated(
    blocks: Iterable[NDArray[np.float32]], rate: int, spans: Sequence[tuple[float, float]]
) -> Iterator[NDArray[np.float32]]:
    """The blocks with zeros outside the spans.

    Args:
        blocks: (channels, n) each, one after another from time zero.
        rate: samples per second, in Hz.
        spans: start and end of what is heard, in seconds, in order.
    """
    position = 0
    starts = np.array([start for start, _ in spans])
    ends = np.array([end for _, end in spans])
    for block in blocks:
        times = (position + np.arange(block.shape[1])) / rate
        position += block.shape[1]
        gain = np.zeros(block.shape[1], dtype=np.float32)
        if spans and times.size:
            first = np.searchsorted(ends, times[0], side="right")
            last = np.searchsorted(starts, times[-1], side="right")
            for start, end in spans[first:last]:
                inside = np.minimum(times - start, end - times) / FADE_S
                np.maximum(gain, np.clip(inside, 0, 1), out=gain, casting="unsafe")
        yield block * gain
