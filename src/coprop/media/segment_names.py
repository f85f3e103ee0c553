"""What sounds in each segment, written on the timeline where there is room."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from coprop.types import Segment

_MARGIN = 3  # pixels between a name and its segment's ends
_TOP = 0.96  # of the axes' height
_LOOK = {"fontsize": 8, "va": "top", "ha": "left", "zorder": 6, "parse_math": False}
_GROUND = {"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 1}


def write_names(axes: Any, segments: Sequence[Segment], colour: str) -> None:
    """Writes the best name of each segment at its beginning, in full or up to its first comma.

    What is wider than its segment, or than what is seen of it, is left out, so that no name lies on
    another.

    Args:
        axes: matplotlib's, with their final size and limits.
        segments: in order of time.
        colour: of the letters.
    """
    first_s, last_s = axes.get_xlim()
    before = float("-inf")
    for segment in segments:
        edges = max(segment.start_s, first_s), min(segment.end_s, last_s)
        if not segment.categories or edges[0] >= edges[1]:
            continue
        left, right = (_pixels(axes, time_s) for time_s in edges)
        left = max(left, before)
        end = _write(axes, segment.categories[0].name, left + _MARGIN, right - _MARGIN, colour)
        before = max(before, end)


def _write(axes: Any, name: str, left: float, right: float, colour: str) -> float:
    """Writes what fits between two places, in pixels, if anything does; where it ends."""
    place = axes.transData.inverted().transform((left, 0.0))[0], _TOP
    text = axes.text(*place, "", transform=axes.get_xaxis_transform(), color=colour, **_LOOK)
    for shorter in _forms(name):
        text.set_text(shorter)
        end = float(text.get_window_extent().x1)
        if end <= right:
            text.set_bbox(_GROUND)
            return end
    text.remove()
    return left - _MARGIN


def _forms(name: str) -> Iterator[str]:
    yield name
    head = name.split(",")[0].split(" (")[0]
    if head != name:
        yield head


def _pixels(axes: Any, time_s: float) -> float:
    return float(axes.transData.transform((time_s, 0.0))[0])
