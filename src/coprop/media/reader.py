"""Reading video: frames one at a time, with their exact times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.buffer import Buffer
from av.container import InputContainer
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from coprop.errors import MediaError
from coprop.media.container import is_cut_short, open_media, stated_duration, stated_end
from coprop.media.stamps import in_order, stamp_of, timed
from coprop.media.streams import Contents, look_into
from coprop.utils.brief import Brief, brief, counted
from coprop.utils.checks import check_picture, index, number
from coprop.utils.paths import AnyPath, as_path

LONGEST_LAST_S = 60
"""A file that says its last picture stays for longer is not believed."""


@dataclass(frozen=True, eq=False, repr=False)
class Frame(Brief):
    """One picture of a video.

    Args:
        index: its number, from 0.
        time_s: when it is shown, in seconds on the sound's clock; a file's first frame is at zero.
        image: (H, W, 3) uint8 RGB, upright.
        pts: the exact time, in units of ``time_base`` from the first frame; None where only
            ``time_s`` is known.
        time_base: seconds per unit of ``pts``.
        duration_s: how long it is shown, in seconds, as its file says; None where nothing does.
        pixel_aspect: width of a pixel divided by its height.

    Raises:
        CoPropError: an index below 0 or a time that is not finite.
        ShapeError: an image of another shape or type.
    """

    index: int
    time_s: float
    image: NDArray[np.uint8]
    pts: int | None = None
    time_base: Fraction | None = None
    duration_s: float | None = None
    pixel_aspect: Fraction = Fraction(1)

    def __post_init__(self) -> None:
        index("index", self.index)
        number("time_s", self.time_s, "a finite number of seconds")
        check_picture(self.image, self.index)


class VideoFile:
    """The frames of a video file, decoded while one iterates, one in memory at a time.

    Each iteration opens the file anew, so there may be several, also at once. Time zero is the
    first frame. Variable frame rates are kept, rotation metadata is applied. Times that are
    missing or out of order are mended; parts that were joined follow one another.

    Args:
        path: a video file in any format that FFmpeg reads.
        track: number of the video track, from 0; by default the film (see
            `coprop.media.streams.look_into`).
        audio_track: number of the audio track that goes with it, for whoever reads the sound.

    Raises:
        MediaError: no such file, not a media file, no video in it, or no frame that can be
            decoded. While iterating: the video breaks off or is damaged; the frames before that
            point have been yielded.

    Attributes:
        path: the file.
        contents: which of its streams are used, and how they begin.
        width: pixels of an upright frame.
        height: pixels of an upright frame.
        duration_s: seconds of video that the file states, None where it states nothing.
        num_frames: number of frames that the file states, None where it states nothing.
        frame_rate: average frames per second, None where it is not known.
        has_audio: whether there is an audio track.
    """

    def __init__(
        self, path: AnyPath, *, track: int | None = None, audio_track: int | None = None
    ) -> None:
        self.path = as_path("path", path, error=MediaError)
        self.contents = look_into(self.path, video_track=track, audio_track=audio_track)
        first = self.contents.first_picture()
        with open_media(self.path) as container:
            stream = self.contents.video_stream(container)
            duration = stated_duration(container, stream)
            self.duration_s = None if duration is None else float(duration)
            self.num_frames = stream.frames or None
            # Raw streams have no stamps to take an average of; their headers tell the rate.
            self.frame_rate = stream.average_rate if first.pts is not None else stream.guessed_rate
            self._pixel_aspect = stream.sample_aspect_ratio or Fraction(1)
        self.has_audio = self.contents.has_audio
        self._coded_size = first.width, first.height
        self.height, self.width = _upright(self._rgb(first, VideoReformatter()), first).shape[:2]

    def __repr__(self) -> str:
        told = [brief(self.path.name), f"{self.width} x {self.height}"]
        if self.duration_s is not None:
            told.append(f"{self.duration_s:.2f} s")
        if self.num_frames is not None:
            told.append(counted(self.num_frames, "frame"))
        if self.frame_rate is not None:
            told.append(f"{float(self.frame_rate):g} frames/s")
        told.append("with sound" if self.has_audio else "without sound")
        return f"VideoFile({', '.join(told)})"

    def __iter__(self) -> Iterator[Frame]:
        with open_media(self.path) as container:
            stream = self.contents.video_stream(container)
            time_base = stream.time_base or Fraction(1, av.time_base)
            step = max(round(1 / ((self.frame_rate or 25) * time_base)), 1)
            end_s = stated_end(container, stream)
            start = self.contents.start
            decoded = _decoded(container, stream, self.contents)
            shown = timed(decoded, start, step, stamp_of(container))
            converter, index = VideoReformatter(), -1
            for index, (frame, time, is_last) in enumerate(shown):
                lasts_s = (frame.duration or 0) * time_base
                if is_last and end_s is not None and end_s > time * time_base:
                    lasts_s = end_s - time * time_base
                known = 0 < lasts_s <= LONGEST_LAST_S
                yield Frame(
                    index,
                    float((time - start) * time_base),
                    _upright(self._rgb(frame, converter), frame),
                    time - start,
                    time_base,
                    float(lasts_s) if known else None,
                    1 / self._pixel_aspect if _is_turned(frame) else self._pixel_aspect,
                )
            if index < 0:  # it was another file when it was opened first
                raise MediaError(f"{self.path} is damaged: none of its frames can be decoded.")

    def _rgb(self, frame: av.VideoFrame, converter: VideoReformatter) -> NDArray[np.uint8]:
        """(H, W, 3) RGB; a stream that changes its size keeps that of its beginning.

        A converter of its own, with its threads, would cost a small frame more than decoding does.
        """
        width, height = self._coded_size
        picture = converter.reformat(frame, width, height, "rgb24", threads=1)
        return np.asarray(picture.to_ndarray(), dtype=np.uint8)


def _decoded(
    container: InputContainer, stream: VideoStream, contents: Contents
) -> Iterator[av.VideoFrame]:
    """Every frame, in the order shown; errors before the first one are skipped.

    A recording that starts in the middle of a group of pictures begins with packets that nothing
    can decode, and is sound otherwise.
    """
    count, time_s, end_s = 0, 0.0, Fraction(0)
    failure: av.FFmpegError | None = None
    at_end = True
    try:
        for packet in in_order(container, contents.streams(container)):
            if packet.stream.index != stream.index:
                continue
            if failure is not None and packet.size:
                at_end = False
                break
            if packet.pts is not None and packet.time_base is not None:
                end_s = max(end_s, (packet.pts + (packet.duration or 0)) * packet.time_base)
            try:
                frames = packet.decode()
            except av.FFmpegError as error:
                failure = error if count else None
                continue
            for frame in frames:
                count, time_s = count + 1, frame.time or 0.0
                yield frame
    except av.FFmpegError as error:
        failure = error
    where = f"after frame {count - 1} at {time_s:.3f} s" if count else "before the first frame"
    # The last packet of a file that was cut is cut as well; by chance, it decodes or does not.
    if count and at_end and is_cut_short(container, stream, end_s):
        raise MediaError(
            f"{contents.path} breaks off {where}; it announces more video than it holds. Get the "
            "whole file, or cut it there."
        ) from failure
    if failure is not None:
        raise MediaError(
            f"{contents.path} is damaged: {where} it cannot be decoded any further "
            f"({failure.strerror}). Repair it, or cut it there."
        ) from failure


def _display_matrix(frame: av.VideoFrame) -> tuple[int, int, int, int] | None:
    """The linear entries (a, b, c, d), None where the picture is shown as it is."""
    matrix = cast(Buffer | None, frame.side_data.get("DISPLAYMATRIX"))
    if matrix is None:
        return None
    a, b, _, c, d = (int(value) for value in np.frombuffer(bytes(matrix), dtype="=i4")[:5])
    return a, b, c, d


def _is_turned(frame: av.VideoFrame) -> bool:
    """Whether rows of the coded picture are columns of the upright one."""
    matrix = _display_matrix(frame)
    return matrix is not None and abs(matrix[1]) > abs(matrix[0])


def _upright(image: NDArray[np.uint8], frame: av.VideoFrame) -> NDArray[np.uint8]:
    """Applies the display matrix: a transposition and flips, as (H, W, 3)."""
    matrix = _display_matrix(frame)
    if matrix is None:
        return image
    a, b, c, d = matrix
    if _is_turned(frame):
        image, a, d = image.swapaxes(0, 1), c, b
    return np.ascontiguousarray(image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])
