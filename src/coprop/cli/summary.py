"""What ``coprop run`` prints at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from coprop.utils.brief import counted, text_of

_LISTED = 20  # segments in the summary: what a terminal shows without scrolling


def summary(content: dict[str, Any], out: Path) -> str:
    """What the command prints at the end.

    Args:
        content: what result.json holds.
        out: the folder.
    """
    frames, segments = content["frames"], content["segments"]
    size = f"{content['width']} x {content['height']}"
    told = [
        f"{counted(len(frames), 'frame')} of {size}",
        counted(len(content["control_points"]) - 1, "change"),
        counted(len(segments), "segment"),
    ]
    lines = [f"{content['video']}: {', '.join(told)}", ""]
    lines += _segment_lines(segments, frames) if segments else ["Nothing is heard."]
    return text_of(
        [*lines, "", f"Written to {out}: masks/, overlay.mp4, timeline.png, result.json"]
    )


def _segment_lines(
    segments: Sequence[Mapping[str, Any]], frames: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Such as "0.50 to 3.50 s  Drum kit 0.81   12.3% masked"; of the 21st and later their number.

    Args:
        segments: as result.json has them.
        frames: likewise.
    """
    rows = [_cells(segment, frames) for segment in segments[:_LISTED]]
    when, what = (max((len(row[i]) for row in rows), default=0) for i in (0, 1))
    lines = [f"  {row[0]:>{when}}  {row[1]:<{what}}  {row[2]:>6} masked" for row in rows]
    if len(segments) > _LISTED:
        lines.append(f"  and {len(segments) - _LISTED} more, in result.json")
    return lines


def _cells(segment: Mapping[str, Any], frames: Sequence[Mapping[str, Any]]) -> tuple[str, str, str]:
    """When, what sounds, how much is masked."""
    start_s, end_s, named = segment["start_s"], segment["end_s"], segment.get("categories")
    areas = [frame["area"] for frame in frames if start_s <= frame["time_s"] < end_s]
    return (
        f"{start_s:.2f} to {end_s:.2f} s",
        f"{named[0]['name']} {named[0]['probability']:.2f}" if named else "-",
        f"{sum(areas) / len(areas):.1%}" if areas else "-",
    )
