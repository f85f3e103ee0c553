"""Reading video: frames one at a time, with their exact times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.buffer import Buffer
from av.container import InputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from coprop.checks import check_picture, index, number
from coprop.errors import MediaError
from coprop.media.container import find_video, is_cut_short, open_media, stated_duration


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a video.

    Args:
        index: its number, from 0.
        time_s: when it is shown, in seconds on the sound's clock; a file's first frame is at zero.
        image: (H, W, 3) uint8 RGB, upright.
        pts: the exact time, in units of ``time_base`` from the first frame; None where only
            ``time_s`` is known.
        time_base: seconds per unit of ``pts``.

    Raises:
        CoPropError: an index below 0 or a time that is not finite.
        ShapeError: an image of another shape or type.
    """

    index: int
    time_s: float
    image: NDArray[np.uint8]
    pts: int | None = None
    time_base: Fraction | None = None

    def __post_init__(self) -> None:
        index("index", self.index)
        number("time_s", self.time_s, "a finite number of seconds")
        check_picture(self.image, self.index)


class VideoFile:
    """The frames of a video file, decoded while one iterates, one in memory at a time.

    Each iteration opens the file anew, so there may be several, also at once. Time zero is the
    first frame. Variable frame rates are kept, rotation metadata is applied.

    Args:
        path: a video file in any format that FFmpeg reads.

    Raises:
        MediaError: no such file, not a media file, no video in it, or no frame that can be
            decoded. While iterating: the video breaks off or is damaged; the frames before that
            point have been yielded.

    Attributes:
        path: the file.
        width: pixels of an upright frame.
        height: pixels of an upright frame.
        duration_s: seconds of video that the file states, None where it states nothing.
        num_frames: number of frames that the file states, None where it states nothing.
        frame_rate: average frames per second, None where it is not known.
        has_audio: whether there is an audio track.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with open_media(self.path) as container:
            stream = require_video(container, self.path)
            duration = stated_duration(container, stream)
            self.duration_s = None if duration is None else float(duration)
            self.num_frames = stream.frames or None
            self.frame_rate = stream.average_rate
            self.has_audio = bool(container.streams.audio)
            first = next(_decoded(container, stream, self.path), None)
            if first is None:
                raise MediaError(
                    f"no frame of {self.path} can be decoded: its video is empty or damaged."
                )
            self._coded_size = first.width, first.height
            self.height, self.width = _upright(_rgb(first, self._coded_size), first).shape[:2]

    def __iter__(self) -> Iterator[Frame]:
        with open_media(self.path) as container:
            stream = require_video(container, self.path)
            time_base = stream.time_base or Fraction(1, av.time_base)
            step = max(round(1 / ((self.frame_rate or 25) * time_base)), 1)
            origin: int | None = None
            last = 0
            for index, frame in enumerate(_decoded(container, stream, self.path)):
                if origin is None:
                    origin = last = frame.pts or 0
                elif frame.pts is None or frame.pts <= last:
                    last += step  # no time of its own: shown one frame after the last one
                else:
                    last = frame.pts
                image = _upright(_rgb(frame, self._coded_size), frame)
                pts = last - origin
                yield Frame(index, float(pts * time_base), image, pts, time_base)


def require_video(container: InputContainer, path: Path) -> VideoStream:
    """The video stream of an open file, set up for fast decoding.

    Raises:
        MediaError: there is none.
    """
    stream = find_video(container)
    if stream is None:
        kind = "an audio file" if container.streams.audio else "a file without video or audio"
        raise MediaError(
            f"{path} has no video track, it is {kind}; give a video. Sound from a separate file "
            "goes into `audio=` (on the command line, --audio FILE)."
        )
    stream.thread_type = "AUTO"
    return stream


def first_video_time(container: InputContainer, path: Path) -> Fraction | None:
    """The first video frame's time on the container's clock, None where there is no video."""
    stream = find_video(container)
    if stream is None or stream.time_base is None:
        return None
    frame = next(_decoded(container, stream, path), None)
    return None if frame is None or frame.pts is None else frame.pts * stream.time_base


def _decoded(container: InputContainer, stream: VideoStream, path: Path) -> Iterator[av.VideoFrame]:
    """Every frame, in the order shown; errors before the first one are skipped.

    A recording that starts in the middle of a group of pictures begins with packets that nothing
    can decode, and is sound otherwise.
    """
    count, time_s, end_s = 0, 0.0, Fraction(0)
    try:
        for packet in container.demux(stream):
            if packet.pts is not None and packet.time_base is not None:
                end_s = max(end_s, (packet.pts + (packet.duration or 0)) * packet.time_base)
            try:
                frames = packet.decode()
            except av.FFmpegError:
                if count:
                    raise
                continue
            for frame in frames:
                count, time_s = count + 1, frame.time or 0.0
                yield frame
    except av.FFmpegError as error:
        raise MediaError(
            f"{path} is damaged: after frame {count - 1} at {time_s:.3f} s it cannot be decoded "
            f"any further ({error.strerror}). Repair it, or cut it there."
        ) from error
    if count and is_cut_short(container, stream, end_s):
        raise MediaError(
            f"{path} breaks off after frame {count - 1} at {time_s:.3f} s; it announces more "
            "video than it holds. Get the whole file, or cut it there."
        )


def _rgb(frame: av.VideoFrame, size: tuple[int, int]) -> NDArray[np.uint8]:
    """The picture as (H, W, 3) RGB; a stream that changes its size keeps that of its beginning."""
    picture = frame.to_ndarray(format="rgb24", width=size[0], height=size[1])
    return np.asarray(picture, dtype=np.uint8)


def _upright(image: NDArray[np.uint8], frame: av.VideoFrame) -> NDArray[np.uint8]:
    """Applies the display matrix: a transposition and flips, as (H, W, 3)."""
    matrix = cast(Buffer | None, frame.side_data.get("DISPLAYMATRIX"))
    if matrix is None:
        return image
    a, b, _, c, d = np.frombuffer(bytes(matrix), dtype="=i4")[:5]
    if abs(b) > abs(a):
        image, a, d = image.swapaxes(0, 1), c, b
    return np.ascontiguousarray(image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])
