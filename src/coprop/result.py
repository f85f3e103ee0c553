"""What the pipeline returns, and the report it is saved with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from coprop.brief import counted
from coprop.checks import sealed
from coprop.errors import MediaError
from coprop.inputs import AnyPath
from coprop.media.clip import AudioSource, Clip, ClipSource
from coprop.media.painting import labels_in
from coprop.overlap import Behind
from coprop.types import ControlPoints, FrameMask, Segment

if TYPE_CHECKING:
    from coprop.media.reader import Frame

SCHEMA = 2


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
            "schema": SCHEMA,
            "coprop": __version__,
            "video": name,
            "height": self.size[0],
            "width": self.size[1],
            "num_frames": len(self.frames),
            "control_points": [
                {
                    "time_s": round(float(points.times_s[i]), 3),
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
        "start_s": round(segment.start_s, 3),
        "end_s": round(segment.end_s, 3),
        "categories": [
            {"name": category.name, "probability": round(category.probability, 4)}
            for category in segment.categories
        ],
    }


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """Masks of what sounds in a whole clip.

    Args:
        masks: one for each frame.
        control_points: where the sounding objects change.
        segments: from control point to control point, without silences, with what is heard in each.
        frames, audio, fps, video_track, audio_track: what the pipeline was given, for `save`.
    """

    masks: tuple[FrameMask, ...]
    control_points: ControlPoints
    segments: tuple[Segment, ...]
    frames: ClipSource
    audio: AudioSource | None
    fps: float | Fraction | None
    video_track: int | None = None
    audio_track: int | None = None

    def __repr__(self) -> str:
        told = [counted(len(self.masks), "frame")]
        if self.masks:
            height, width = self.masks[0].labels.shape
            told[0] += f" of {width} x {height} to {self.masks[-1].time_s:.2f} s"
        told.append(counted(len(self.control_points.change_times_s), "change"))
        told.append(counted(len(self.segments), "segment"))
        return f"Result({', '.join(told)})"

    @property
    def labels(self) -> NDArray[np.uint8]:
        """(T, H, W) label maps, 0 for background; read-only, as all arrays of results are."""
        return sealed(np.stack([mask.labels for mask in self.masks]))

    @property
    def times_s(self) -> NDArray[np.float64]:
        """(T,) times of the frames, in seconds; read-only."""
        return sealed(np.array([mask.time_s for mask in self.masks]))

    def save(self, directory: AnyPath, *, force: bool = False) -> None:
        """Writes masks/*.png, overlay.mp4 with its sound, timeline.png and result.json.

        Args:
            directory: where to write; made if it is not there.
            force: replace an earlier result there.

        Raises:
            OutputError: the directory is not empty, or cannot be written.
            MediaError: the video is not what it was.
        """
        with Clip(
            self.frames,
            self.audio,
            fps=self.fps,
            video_track=self.video_track,
            audio_track=self.audio_track,
        ) as clip:
            save(
                directory, clip, self._pairs(clip), self.control_points, self.segments, force=force
            )

    def _pairs(self, clip: Clip) -> Iterator[tuple[Frame, FrameMask]]:
        with closing(clip.frames_ahead()) as frames:
            for frame, mask in zip_longest(frames, self.masks):
                if frame is None or mask is None:
                    fewer = "fewer" if frame is None else "more"
                    raise MediaError(
                        f"there are {len(self.masks)} masks, but {clip.name or 'the video'} has "
                        f"{fewer} frames now; it has changed since. Run the pipeline again."
                    )
                yield frame, mask


def save(
    directory: AnyPath,
    clip: Clip,
    masked_frames: Iterable[tuple[Any, FrameMask]],
    points: ControlPoints,
    segments: Sequence[Segment],
    *,
    force: bool = False,
) -> dict[str, Any]:
    """Writes a result folder frame by frame, so that its length costs no memory.

    A thread writes while the next frames are worked on; an exception that ends the work leaves the
    masks of all frames that came before it.

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
    from coprop.media.writer import ResultWriter

    report = Report()
    with ResultWriter(directory, sound=clip.sound, force=force) as writer:

        def write(masked: tuple[Any, FrameMask]) -> None:
            writer.write(*masked)
            report.add(masked[1])

        with Behind(write) as behind:
            for masked in masked_frames:
                behind.give(masked)
        content = report.to_dict(clip.name, points, segments)
        writer.finish(
            content,
            audio=clip.audio,
            control_points=points,
            segments=segments,
            title=clip.name,
        )
    return content
