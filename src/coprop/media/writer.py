"""Writing a result folder: masks, overlay, timeline and the result as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from coprop.errors import CoPropError, OutputError, ShapeError
from coprop.media.frames import end_of
from coprop.media.overlay import OverlayFile
from coprop.media.painting import voc_palette
from coprop.media.reader import Frame
from coprop.media.sound import Sound
from coprop.media.streams import Contents
from coprop.media.timeline import envelope, plot_timeline
from coprop.storage.files import (
    hidden_beside,
    is_empty,
    one_a_line,
    output_errors,
    remove,
    remove_left,
    replacing,
    write_text,
)
from coprop.storage.locks import WriterLock
from coprop.types import SAME_S, AudioTrack, ControlPoints, FrameMask, Segment
from coprop.utils.paths import AnyPath, as_path, real_path
from coprop.values.given_sound import GivenSound, as_track

_RUNS = 3  # zlib's Z_RLE
_PALETTE = voc_palette().tobytes()
MASKS, OVERLAY, TIMELINE, RESULT = "masks", "overlay.mp4", "timeline.png", "result.json"


class ResultWriter:
    """Writes a result folder while the masks come in, at bounded memory.

    ``masks/000000.png`` and on are 8-bit palette PNGs of the label maps at the video's size;
    ``overlay.mp4`` is the video with its masks and its sound, frame times kept; ``timeline.png``
    and ``result.json`` are written by `finish`, the JSON last: where it exists, all is complete.
    Each file appears under its name only when it is whole. ::

        with ResultWriter("out", sound="clip.mp4") as writer:
            for frame, mask in ...:
                writer.write(frame, mask)
            writer.finish(report, audio=audio, control_points=points)

    If the block is left by an exception (or Ctrl-C), the masks stay and the unfinished overlay is
    removed. If it is left without `finish`, the overlay is completed and no result.json written.

    Args:
        directory: where to write; made if it is not there.
        sound: what the overlay sounds like: a media file (the video itself, usually), whose sound
            is copied unchanged where MP4 allows it, a sound in memory (`GivenSound`), or None.
        origin_s: the time of the video that is the overlay's zero, where its sound begins.
        force: write into a directory that is not empty. An earlier result there is removed, other
            files are left alone.

    Raises:
        OutputError: the directory is not empty, is a file, cannot be written, or is being written
            by another process; while writing, also a full disk.
    """

    def __init__(
        self,
        directory: AnyPath,
        *,
        sound: Sound | GivenSound | None = None,
        origin_s: float = 0.0,
        force: bool = False,
    ) -> None:
        self.directory = as_path("directory", directory, error=OutputError)
        self._sound: Sound | None
        if sound is None or isinstance(sound, (str, os.PathLike, Contents)):
            self._sound = sound
        else:
            self._sound = as_track(sound)
        self._origin_s = origin_s
        self._overlay: OverlayFile | None = None
        self._overlay_part = hidden_beside(self.directory / OVERLAY)
        self._shape: tuple[int, int] | None = None
        self._index = -1
        self._times_s: list[float] = []
        self._last_lasts_s: float | None = None
        self._areas: list[float] = []
        self._keyframe_times_s: list[float] = []
        self._lock = WriterLock.of_folder(self.directory)
        try:
            with output_errors(self.directory):
                self._prepare(force)
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> ResultWriter:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        with self._lock:
            if kind is None:
                self._close_overlay()
            else:
                self._abandon_overlay()

    def write(self, frame: Frame, mask: FrameMask) -> None:
        """Writes one frame's mask, and the frame into the overlay.

        Args:
            frame: (H, W, 3) uint8, of one size throughout and later than the last one.
            mask: its mask; (H, W) uint8 labels.

        Raises:
            ShapeError: labels of another size or dtype than the frame, or a frame of another size.
            CoPropError: a mask of another frame, or frames out of order.
            OutputError: the files cannot be written.
            MediaError: the sound cannot be read.
        """
        self._check(frame, mask)
        path = self.directory / MASKS / f"{frame.index:06d}.png"
        with replacing(path) as part:
            save_labels(part, mask.labels)
        overlay = self.directory / OVERLAY
        with output_errors(overlay, av.FFmpegError):
            if self._overlay is None:
                part = self._overlay_part
                self._overlay = OverlayFile(part, frame, self._sound, self._origin_s)
            self._overlay.write(frame, mask.labels)
        self._index = frame.index
        self._times_s.append(frame.time_s)
        self._last_lasts_s = frame.duration_s
        self._areas.append(mask.area)
        if mask.is_keyframe:
            self._keyframe_times_s.append(frame.time_s)

    def finish(
        self,
        report: Mapping[str, Any],
        *,
        audio: GivenSound | None = None,
        control_points: ControlPoints | None = None,
        segments: Sequence[Segment] = (),
        title: str = "",
    ) -> None:
        """Completes the overlay, draws the timeline and writes result.json, in this order.

        Args:
            report: what result.json holds; numbers of numpy are written as plain ones.
            audio: the sound, for the timeline.
            control_points: its control points; without them no timeline is drawn.
            segments: from control point to control point, without silences, for the timeline.
            title: a line above the timeline.

        Raises:
            OutputError: a file cannot be written.
            CoPropError: a report that JSON cannot hold, such as one with NaN, or no frame written.
        """
        if not self._times_s:
            raise CoPropError("there is nothing to finish: no frame has been written.")
        text = _as_json(report)
        track = None if audio is None else as_track(audio)
        self._close_overlay()
        if control_points is not None:
            self._draw_timeline(control_points, segments, track, title)
        write_text(self.directory / RESULT, text)

    @property
    def end_s(self) -> float:
        """When the last frame ends, in seconds, as its file says or else as `end_of` does."""
        if self._last_lasts_s is not None:
            return self._times_s[-1] + self._last_lasts_s
        return end_of(self._times_s)

    def _prepare(self, force: bool) -> None:
        if not is_empty(self.directory):
            if not force:
                raise OutputError(
                    f"{self.directory} is not empty. Choose another directory, or replace the "
                    "result in it with force=True (on the command line, --force)."
                )
            self._remove_previous()
        (self.directory / MASKS).mkdir(exist_ok=True)

    def _remove_previous(self) -> None:
        for name in (RESULT, TIMELINE, OVERLAY):
            (self.directory / name).unlink(missing_ok=True)
        masks = self.directory / MASKS
        for path in masks.glob("*.png"):
            if path.stem.isdecimal():
                path.unlink()
        for folder in (self.directory, masks):
            remove_left(folder)

    def _check(self, frame: Frame, mask: FrameMask) -> None:
        if mask.index != frame.index or abs(mask.time_s - frame.time_s) > SAME_S:
            raise CoPropError(
                f"the mask is of frame {mask.index} at {mask.time_s:.6f} s, the frame is "
                f"{frame.index} at {frame.time_s:.6f} s; write each frame with its own mask."
            )
        shape = frame.image.shape
        if frame.image.dtype != np.uint8 or len(shape) != 3 or shape[2] != 3 or 0 in shape:
            raise ShapeError(
                f"a frame is (H, W, 3) uint8, got {shape} {frame.image.dtype} at {frame.index}."
            )
        if mask.labels.shape != shape[:2] or mask.labels.dtype != np.uint8:
            raise ShapeError(
                f"frame {frame.index} is {shape[:2]} and takes uint8 labels of that shape, got "
                f"{mask.labels.dtype} of shape {mask.labels.shape}."
            )
        self._shape = self._shape or (shape[0], shape[1])
        if self._shape != shape[:2]:
            raise ShapeError(f"frame {frame.index} is {shape[:2]}, the first was {self._shape}.")
        if self._times_s and (frame.index <= self._index or frame.time_s <= self._times_s[-1]):
            raise CoPropError(
                f"frame {frame.index} at {frame.time_s:.6f} s does not come after frame "
                f"{self._index} at {self._times_s[-1]:.6f} s; write frames in order."
            )

    def _close_overlay(self) -> None:
        if self._overlay is None:
            return
        overlay, self._overlay = self._overlay, None
        with replacing(self.directory / OVERLAY, av.FFmpegError, part=self._overlay_part):
            overlay.close(self.end_s if self._times_s else None)

    def _abandon_overlay(self) -> None:
        if self._overlay is not None:
            self._overlay.abort()
            self._overlay = None
        remove(self._overlay_part)

    def _draw_timeline(
        self,
        points: ControlPoints,
        segments: Sequence[Segment],
        audio: AudioTrack | None,
        title: str,
    ) -> None:
        with replacing(self.directory / TIMELINE) as part:
            plot_timeline(
                part,
                waveform=np.zeros((2, 0)) if audio is None else envelope(audio),
                waveform_duration_s=None if audio is None else audio.duration_s,
                duration_s=self.end_s,
                control_points=points,
                segments=segments,
                keyframe_times_s=self._keyframe_times_s,
                mask_area=(self._times_s, self._areas),
                title=title,
            )


def spare_inputs(directory: Path, inputs: Iterable[Path]) -> None:
    """Refuses to replace a result of which something is still to be read.

    Args:
        directory: the result folder that is to be replaced.
        inputs: files and folders that are read while it is written.

    Raises:
        OutputError: one of them is, or lies in, what would be removed.
    """
    removed = {real_path(directory / name) for name in (MASKS, OVERLAY, TIMELINE, RESULT)}
    for path in inputs:
        if {real_path(path), real_path(path).parent} & removed:
            raise OutputError(
                f"{path} is part of the result in {directory}, which force=True (on the command "
                "line, --force) would remove. Choose another folder."
            )


def save_labels(path: Path, labels: NDArray[np.uint8]) -> None:
    """Writes a label map as an 8-bit palette PNG with the VOC colours.

    Args:
        path: the file.
        labels: (H, W) uint8.

    Raises:
        OSError: the file cannot be written.
    """
    picture = Image.fromarray(labels)
    picture.putpalette(_PALETTE)
    # Label maps are runs of one number: zlib's search for nothing but runs takes half of the time
    # that it usually does, and finds as much.
    picture.save(path, format="PNG", compress_type=_RUNS)


def _as_json(report: Mapping[str, Any]) -> str:
    try:
        plain = json.loads(json.dumps(report, allow_nan=False, default=_plain))
        return one_a_line(plain, many=("frames",)) + "\n"
    except (TypeError, ValueError) as error:
        raise CoPropError(f"the report cannot be written as JSON: {error}.") from error


def _plain(value: object) -> Any:
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not a JSON value")
