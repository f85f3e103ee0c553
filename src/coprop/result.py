"""What the pipeline returns, and the report it is saved with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from coprop.errors import CoPropError, MediaError, OutputError
from coprop.media.clip import AudioSource, Clip, ClipSource
from coprop.media.overlap import Behind
from coprop.media.painting import labels_in
from coprop.results.saved_result import heads_of, masks_folder, read_result
from coprop.types import SAME_S, ControlPoints, FrameMask, Progress, Segment
from coprop.utils.brief import counted
from coprop.utils.checks import sealed, shown
from coprop.utils.paths import AnyPath, as_path

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


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """Masks of what sounds in a whole clip.

    Args:
        masks: one for each frame.
        control_points: where the sounding objects change.
        segments: from control point to control point, without silences, with what is heard in each.
        frames, audio, fps, video_track, audio_track, start_s, end_s: what the pipeline was given,
            for `save` and `export`; frames are None where only the masks were read back.
        name: the video's file name, where ``frames`` do not tell.
    """

    masks: Sequence[FrameMask]
    control_points: ControlPoints
    segments: tuple[Segment, ...]
    frames: ClipSource | None
    audio: AudioSource | None
    fps: float | Fraction | None
    video_track: int | None = None
    audio_track: int | None = None
    start_s: float | None = None
    end_s: float | None = None
    name: str = field(default="", init=False)

    @classmethod
    def load(
        cls,
        directory: AnyPath,
        frames: ClipSource | None = None,
        audio: AudioSource | None = None,
        *,
        fps: float | Fraction | None = None,
        video_track: int | None = None,
        audio_track: int | None = None,
        start_s: float | None = None,
        end_s: float | None = None,
    ) -> Result:
        """Reads a folder back that `save` or ``coprop run`` has written.

        Masks are read from the folder one by one, when they are asked for. They have no
        probabilities; of the control points, those alone that are flagged are there.

        Args:
            directory: the folder.
            frames, audio, fps, video_track, audio_track, start_s, end_s: what the pipeline was
                given, for `save` and for the exports that need frames or sound.

        Raises:
            MediaError: the folder holds no complete result, or one that has been changed.
        """
        name, masks, points, segments = read_result(
            as_path("directory", directory, error=MediaError)
        )
        given = (frames, audio, fps, video_track, audio_track, start_s, end_s)
        result = cls(masks, points, segments, *given)
        object.__setattr__(result, "name", name)
        return result

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
        return sealed(np.array([head.time_s for head in heads_of(self.masks)]))

    def save(self, directory: AnyPath, *, force: bool = False) -> None:
        """Writes masks/*.png, overlay.mp4 with its sound, timeline.png and result.json.

        Args:
            directory: where to write; made if it is not there.
            force: replace an earlier result there.

        Raises:
            OutputError: the directory is not empty, cannot be written, or is the one that the
                masks or the video are read from.
            MediaError: the video is not what it was.
        """
        kept = masks_folder(self.masks)
        if force and kept is not None:
            from coprop.media.writer import spare_inputs

            spare_inputs(as_path("directory", directory, error=OutputError), [kept])
        with self.clip() as clip:
            save(directory, clip, self.pairs(clip), self.control_points, self.segments, force=force)

    def export(
        self,
        target: str,
        path: AnyPath,
        *,
        names: Mapping[int, str] | None = None,
        force: bool = False,
        progress: Progress | None = None,
    ) -> None:
        """Writes the result in another program's form, whole or not at all.

        Args:
            target: which, such as "coco", "davis" or "audacity"; docs/export.md lists them, and
                `coprop.export.TARGETS`.
            path: the file, or the folder of those that are folders; folders above it are made.
            names: what labels stand for, ``{1: "dog"}``, in place of what is heard.
            force: replace an earlier export there.
            progress: called frame by frame.

        Raises:
            CoPropError: no such target, names that are none, or a result that the form cannot hold.
            OutputError: something is there already, or it cannot be written.
            MediaError: it needs the video, which was not given to `load`, or is not what it was.
        """
        from coprop.export.targets import write_export

        write_export(self, target, path, names=names, force=force, progress=progress)

    def check_video(self, user: str) -> None:
        """Refuses where only the masks are here.

        Raises:
            MediaError: there are no frames.
        """
        if self.frames is None:
            raise MediaError(
                f"{user} needs the video, of which only the result was read back; give it, as in "
                'Result.load("out", "clip.mp4") (on the command line, --video FILE).'
            )

    def clip(self) -> Clip:
        """The frames and their sound, opened; a context manager.

        Raises:
            MediaError: there are no frames, or they cannot be read.
        """
        self.check_video("this")
        return Clip(
            cast("ClipSource", self.frames),
            self.audio,
            fps=self.fps,
            video_track=self.video_track,
            audio_track=self.audio_track,
            start_s=self.start_s,
            end_s=self.end_s,
        )

    def pairs(self, clip: Clip) -> Iterator[tuple[Frame, FrameMask]]:
        """Each frame of the clip with its mask.

        Raises:
            MediaError: there are more or fewer frames than masks, or they have other sizes or
                times: the video is not what it was.
        """
        with closing(clip.frames_ahead()) as frames:
            for frame, mask in zip_longest(frames, self.masks):
                if frame is None or mask is None:
                    fewer = "fewer" if frame is None else "more"
                    raise MediaError(
                        f"there are {len(self.masks)} masks, but {clip.name or 'the video'} has "
                        f"{fewer} frames now. Give the video that the masks were made of, and the "
                        "same part of it (start_s and end_s), or run the pipeline again."
                    )
                check_pair(frame, mask, clip.name or "the video")
                yield frame, mask


def check_pair(frame: Frame, mask: FrameMask, video: str) -> None:
    """Refuses a mask that is not of the frame, by its size and time.

    Raises:
        MediaError: it is of another.
    """
    height, width = mask.labels.shape
    same_time = abs(frame.time_s - mask.time_s) <= SAME_S
    if frame.image.shape[:2] != mask.labels.shape or not same_time:
        raise MediaError(
            f"the mask of frame {mask.index} is {width} x {height} at {mask.time_s:.6f} s, but in "
            f"{video} it is {frame.image.shape[1]} x {frame.image.shape[0]} at "
            f"{frame.time_s:.6f} s; give the video that the masks were made of, and the same part "
            "of it (start_s and end_s)."
        )


def check_result(value: object) -> None:
    """Raise CoPropError unless it is a `Result`."""
    if not isinstance(value, Result):
        raise CoPropError(
            f"a Result is needed, of a pipeline's call or of Result.load(folder, video), got "
            f"{shown(value)}."
        )


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
