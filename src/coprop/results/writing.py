"""A result on its way into a folder: masks as they come, and the report, result.json."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from coprop.errors import OutputError
from coprop.media.clip import Clip
from coprop.media.overlap import Behind
from coprop.media.painting import labels_in
from coprop.types import ControlPoints, FrameMask, Segment
from coprop.utils.paths import AnyPath, as_path

if TYPE_CHECKING:
    from coprop.media.reader import Frame

_SCHEMA = 2  # of result.json; `coprop.results.saved_result` says which are read


@dataclass
class Report:
    """Collects what ``result.json`` says of each frame while the masks pass by.

    The schema is described in docs/result.md.
    """

    frames: list[dict[str, Any]] = field(default_factory=list)
    size: tuple[int, int] = (0, 0)

    def add(self, mask: FrameMask) -> None:
        """Notes one frame's mask."""
        self.size = (mask.labels.shape[0], mask.labels.shape[1])
        self.frames.append(
            {
                "index": mask.index,
                "time_s": round(mask.time_s, 6),
                "keyframe": mask.is_keyframe,
                "area": round(mask.area, 6),
                "labels": labels_in(mask.labels),
            }
        )

    def to_dict(
        self, name: str, points: ControlPoints, segments: Sequence[Segment]
    ) -> dict[str, Any]:
        """The whole report.

        Args:
            name: the video's file name.
            points: the control points.
            segments: from control point to control point, without silences.
        """
        from coprop import __version__

        flagged = np.flatnonzero(points.flags)
        return {
            "schema": _SCHEMA,
            "coprop": __version__,
            "video": name,
            "height": self.size[0],
            "width": self.size[1],
            "num_frames": len(self.frames),
            "control_points": [
                {
                    "time_s": round(float(points.times_s[i]), 6),
                    "score": round(float(points.scores[i]), 4),
                }
                for i in flagged
            ],
            "segments": [_segment(segment) for segment in segments],
            "frames": self.frames,
        }


def _segment(segment: Segment) -> dict[str, Any]:
    """A segment as result.json has it."""
    return {
        "start_s": round(segment.start_s, 6),
        "end_s": round(segment.end_s, 6),
        "categories": [
            {"name": category.name, "probability": round(category.probability, 4)}
            for category in segment.categories
        ],
        **({"labels": dict(segment.label_names)} if segment.label_names else {}),
    }


class ClipWriter:
    """Writes a clip's result folder frame by frame, so that its length costs no memory.

    A context manager. A thread writes while the next frames are worked on; an exception that ends
    the work leaves the masks of all frames that came before it. Without `finish` there is no
    result.json.

    Args:
        directory: where to write.
        clip: the clip, which must be open until the end.
        force: replace an earlier result there.

    Raises:
        OutputError: the directory is not empty, cannot be written, or has in it what the clip is
            read from.
    """

    def __init__(self, directory: AnyPath, clip: Clip, *, force: bool = False) -> None:
        from coprop.media.writer import ResultWriter, spare_inputs

        self._clip, self._report = clip, Report()
        if force:
            spare_inputs(as_path("directory", directory, error=OutputError), clip.files)
        self._folder = ResultWriter(
            directory, sound=clip.sound, origin_s=clip.origin_s, force=force
        )
        self._behind = Behind(self._write)
        self._open = ExitStack()

    def __enter__(self) -> ClipWriter:
        self._open.enter_context(self._folder)
        self._open.enter_context(self._behind)
        return self

    def __exit__(self, *error: Any) -> None:
        self._open.__exit__(*error)

    def write(self, frame: Frame, mask: FrameMask) -> None:
        """Hands a frame and its mask on to the thread; what was wrong with an earlier one is raised
        here (`coprop.media.writer.ResultWriter.write` tells)."""
        self._behind.give((frame, mask))

    def finish(self, points: ControlPoints, segments: Sequence[Segment]) -> dict[str, Any]:
        """Waits for the thread, completes the overlay, draws the timeline, writes result.json.

        Args:
            points: the clip's control points.
            segments: its segments.

        Returns:
            the content of result.json.
        """
        self._behind.finish()
        content = self._report.to_dict(self._clip.name, points, segments)
        self._folder.finish(
            content,
            audio=self._clip.audio,
            control_points=points,
            segments=segments,
            title=self._clip.name,
        )
        return content

    def _write(self, masked: tuple[Frame, FrameMask]) -> None:
        self._folder.write(*masked)
        self._report.add(masked[1])


def save(
    directory: AnyPath,
    clip: Clip,
    masked_frames: Iterable[tuple[Any, FrameMask]],
    points: ControlPoints,
    segments: Sequence[Segment],
    *,
    force: bool = False,
) -> dict[str, Any]:
    """Writes a result folder; see `ClipWriter`.

    Args:
        directory: where to write.
        clip: the clip.
        masked_frames: (frame, mask) pairs in order.
        points: its control points.
        segments: its segments.
        force: replace an earlier result there.

    Returns:
        the content of result.json.
    """
    with ClipWriter(directory, clip, force=force) as writer:
        for masked in masked_frames:
            writer.write(*masked)
        return writer.finish(points, segments)
