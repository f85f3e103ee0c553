"""What the pipeline returns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import zip_longest
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from coprop.errors import CoPropError, MediaError, OutputError
from coprop.media.clip import AudioSource, Clip, ClipSource
from coprop.results.saved_result import heads_of, masks_folder, read_result
from coprop.results.writing import save
from coprop.types import SAME_S, ControlPoints, FrameMask, Progress, Segment
from coprop.utils.brief import counted
from coprop.utils.checks import sealed, shown
from coprop.utils.paths import AnyPath, as_path

if TYPE_CHECKING:
    from coprop.media.reader import Frame


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
