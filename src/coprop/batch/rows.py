"""What is said of a video: what happened to it, and its line in the index."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Any

TIMINGS = "timings"
"""The one field that differs between two runs over the same videos."""


class Status(str, Enum):
    """What became of a video."""

    done = "done"
    before = "done before"
    failed = "failed"
    elsewhere = "elsewhere"  # another process is at work on it


@dataclass(frozen=True)
class Outcome:
    """What became of one file.

    Args:
        path: the file, absolute.
        id: of its content; None where it could not be read.
        status: what became of it.
        error: why it failed, a sentence.
        seconds: how long that took.
    """

    path: str
    id: str | None
    status: Status
    error: str | None = None
    seconds: float = 0.0

    @classmethod
    def failure(cls, path: Path, error: object) -> Outcome:
        """Of a file with which nothing can be done."""
        return cls(str(path), None, Status.failed, str(error))

    def to_dict(self) -> dict[str, Any]:
        """As values that tables and JSON hold."""
        return {**asdict(self), "status": self.status.value}


def done_row(
    id: str,
    path: Path,
    content: Mapping[str, Any],
    duration_s: float | None,
    exports: Iterable[str],
    seconds: float,
) -> dict[str, Any]:
    """The row of a video with a result.

    Args:
        id: of its content.
        path: its file.
        content: what result.json holds.
        duration_s: of its frames, in seconds, where the file tells.
        exports: names of what was exported.
        seconds: how long it took.
    """
    areas = [frame["area"] for frame in content["frames"]]
    return {
        "id": id,
        "status": Status.done.value,
        "path": str(path),
        "paths": [str(path)],
        "error": None,
        "folder": id,
        "bytes": path.stat().st_size,
        "duration_s": None if duration_s is None else round(float(duration_s), 6),
        "width": content["width"],
        "height": content["height"],
        "num_frames": len(areas),
        "masked": round(sum(areas) / len(areas), 6) if areas else 0.0,
        "control_points": [point["time_s"] for point in content["control_points"]],
        "segments": content["segments"],
        "exports": list(exports),
        TIMINGS: {"seconds": round(seconds, 3)},
    }


def failed_row(outcome: Outcome) -> dict[str, Any]:
    """The row of a file without a result; it has the columns of the others."""
    empty = dict.fromkeys(
        ("folder", "bytes", "duration_s", "width", "height", "num_frames", "masked")
    )
    return {
        "id": outcome.id,
        "status": Status.failed.value,
        "path": outcome.path,
        "paths": [outcome.path],
        "error": outcome.error,
        **empty,
        "control_points": [],
        "segments": [],
        "exports": [],
        TIMINGS: {"seconds": round(outcome.seconds, 3)},
    }


def key_of(row: Mapping[str, Any]) -> tuple[str, str]:
    """What makes two rows be of the same video."""
    return ("id", row["id"]) if row["id"] is not None else ("path", row["path"])


def in_order(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """By path: the order in which videos were given and done leaves no trace."""
    return sorted(rows, key=lambda row: (row["path"], row["id"] or ""))


def as_line(row: Mapping[str, Any]) -> str:
    """A row as JSON in one line."""
    return json.dumps(row, allow_nan=False)
