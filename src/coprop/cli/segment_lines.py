"""A result's segments as lines of text: when, what sounds, how much is masked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_LISTED = 20


def segment_lines(
    segments: Sequence[Mapping[str, Any]], frames: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Such as "0.50 to 3.50 s  Drum kit 0.81   12.3% masked"; of the 21st and later their number.

    Args:
        segments: as result.json has them.
        frames: likewise.
    """
    listed = segments[:_LISTED]
    rows = [(_when(each), _what(each), _masked(each, frames)) for each in listed]
    when, what = (max((len(row[i]) for row in rows), default=0) for i in (0, 1))
    lines = [f"  {row[0]:>{when}}  {row[1]:<{what}}  {row[2]:>6} masked" for row in rows]
    if len(segments) > _LISTED:
        lines.append(f"  and {len(segments) - _LISTED} more, in result.json")
    return lines


def _when(segment: Mapping[str, Any]) -> str:
    return f"{segment['start_s']:.2f} to {segment['end_s']:.2f} s"


def _what(segment: Mapping[str, Any]) -> str:
    named = segment.get("categories")
    return f"{named[0]['name']} {named[0]['probability']:.2f}" if named else "-"


def _masked(segment: Mapping[str, Any], frames: Sequence[Mapping[str, Any]]) -> str:
    start_s, end_s = segment["start_s"], segment["end_s"]
    areas = [frame["area"] for frame in frames if start_s <= frame["time_s"] < end_s]
    return f"{sum(areas) / len(areas):.1%}" if areas else "-"
