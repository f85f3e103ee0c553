"""How surely the sources change where sound begins or ends by its level.

Where a room goes quiet, what sounded has stopped. But a string that rings out, or a soft source
after a loud one, falls to the level of the background too. So the chance is a logistic function of
how the level changes there, of the pause beside it, and of what is heard.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from coprop.control_points.features import STEP_S
from coprop.silence import BLOCK_S, END_S, SHORTEST_SILENCE_S, heard_spans

_WEIGHTS = np.array([1.0, 1.2, 0.7, 1.2, -0.4, 1.8])
"""Of 1 and of what `_measured` gives, fitted as docs/choices.md tells."""

_NEAR_S = 0.26  # a score this near to an edge is of the edge: five steps
_BESIDE = 15  # blocks: the level on either side is that of 0.15 s


def edge_chances(
    levels_db: NDArray[np.float64],
    quiet: NDArray[np.bool_],
    edges_s: NDArray[np.float64],
    scores: NDArray[np.float64],
) -> NDArray[np.float64]:
    """(n,) chances in [0, 1] that the sources change where sound begins or ends.

    Args:
        levels_db: (T,) of `coprop.silence.block_levels_db`.
        quiet: (T,) of the levels, of `coprop.silence.quiet_levels`.
        edges_s: (n,) of `coprop.silence.silence_edges_s`.
        scores: (S,) scores of change in [0, 1], one each 50 ms.
    """
    end_s = len(quiet) * BLOCK_S
    all_s = [t for span in heard_spans(quiet) for t in (span.start_s, span.end_s)]
    outer_s, wanted = [0.0, *all_s, end_s], set(edges_s.tolist())
    values = []
    for number, edge_s in enumerate(all_s):
        if edge_s in wanted:
            first = number if number % 2 == 0 else number + 1  # the pause is before or after it
            values.append(_measured(levels_db, scores, edge_s, outer_s[first], outer_s[first + 1]))
    logits = _WEIGHTS[0] + np.array(values).reshape(-1, len(_WEIGHTS) - 1) @ _WEIGHTS[1:]
    return np.asarray(1.0 / (1.0 + np.exp(-logits)), dtype=np.float64)


def _measured(
    levels_db: NDArray[np.float64],
    scores: NDArray[np.float64],
    edge_s: float,
    pause_start_s: float,
    pause_end_s: float,
) -> list[float]:
    """What the chance depends on: each some 0 to 3."""
    clock = np.arange(len(scores)) * STEP_S
    score = float(scores[np.abs(clock - edge_s) <= _NEAR_S].max(initial=0.0))
    edge, first, last = (round(t / BLOCK_S) for t in (edge_s, pause_start_s, pause_end_s))
    before, after = levels_db[max(edge - _BESIDE, 0) : edge], levels_db[edge : edge + _BESIDE]
    step_db = abs(float(np.median(after) - np.median(before)))
    pause = levels_db[first:last]
    quarter = max(len(pause) // 4, 1)
    falls_db = float(np.median(pause[:quarter]) - np.median(pause[-quarter:]))
    return [
        float(np.log((score + 0.02) / (1.02 - score))) / 3,  # finite at 0 and 1
        min(step_db, 30.0) / 10,
        float(np.log(max(pause_end_s - pause_start_s, END_S) / SHORTEST_SILENCE_S)),
        float(np.clip(falls_db, -5.0, 20.0)) / 10,  # what rings out
        float(first == 0 or last == len(levels_db)),  # a pause that the track cuts off
    ]
