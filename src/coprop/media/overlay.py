"""The overlay: the video with its masks painted in and its own sound, frame times kept."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from coprop.media.frames import MICROSECOND
from coprop.media.painting import Tints, paint
from coprop.media.reader import Frame
from coprop.media.sound import Sound, sound_packets
from coprop.media.timed_video import TimedVideo

ENCODERS = ("libx264", "mpeg4")
"""In order of preference; not every FFmpeg is built with the first."""

LONGEST_SIDE = 4096
"""Pixels; larger pictures are scaled down in the overlay, since few decoders take more."""

BT709, LIMITED_RANGE = 1, 1

_QUICKER = "partitions=i8x8,i4x4:subme=1"
"""To the preset veryfast: two thirds of its time, the same quality, files 2 to 7 % larger."""


class OverlayFile(TimedVideo):
    """An MP4 that is written frame by frame, with the sound interleaved as it goes.

    Args:
        path: the file to write.
        first: the first frame; its size and time base become the overlay's.
        sound: a file with an audio track, a track in memory, or None for a silent overlay.
        origin_s: the time that is the overlay's zero.
    """

    def __init__(
        self, path: Path, first: Frame, sound: Sound | None, origin_s: float = 0.0
    ) -> None:
        self._tints = Tints()
        self._converter = VideoReformatter()  # kept: making one costs more than a small frame
        super().__init__(first.time_base or MICROSECOND)
        self._origin = round(Fraction(origin_s) / self._time_base)
        self._container = av.open(f"file:{path}", "w", format="mp4")
        try:
            height, width, _ = first.image.shape
            self._open_video(height, width, first.pixel_aspect)
            self._sound = iter(())
            if sound is not None:
                self._sound = sound_packets(self._container, sound)
            self._next_sound = next(self._sound, None)
        except BaseException:
            self.abort()
            raise

    def _open_video(self, height: int, width: int, pixel_aspect: Fraction) -> None:
        scale = max(1.0, max(height, width) / LONGEST_SIDE)
        encoder = next(name for name in ENCODERS if name in av.codecs_available)
        self._video = cast(VideoStream, self._container.add_stream(encoder, rate=25))
        self._video.time_base = self._time_base
        self._video.width = _even(round(width / scale))
        self._video.height = _even(round(height / scale))
        self._video.pix_fmt = "yuv420p"
        context: VideoCodecContext = self._video.codec_context
        context.max_b_frames = 0
        context.sample_aspect_ratio = pixel_aspect
        context.colorspace = context.color_primaries = context.color_trc = BT709
        context.color_range = LIMITED_RANGE
        if encoder == "libx264":
            context.options = {"preset": "veryfast", "crf": "20", "x264-params": _QUICKER}
        else:
            context.bit_rate = max(self._video.width * self._video.height * 4, 64_000)

    def pts(self, frame: Frame) -> int:
        """The frame's time in units of the overlay's time base."""
        if frame.pts is not None and frame.time_base == self._time_base:
            return frame.pts - self._origin
        return round(Fraction(frame.time_s) / self._time_base) - self._origin

    def write(self, frame: Frame, labels: NDArray[np.uint8]) -> None:
        """Encodes a frame with its mask, and the sound up to it.

        Args:
            frame: (H, W, 3) picture, later than the last one.
            labels: (H, W) uint8 label map.
        """
        pts = self.pts(frame)
        painted = _padded(paint(frame.image, labels, self._tints))
        picture = av.VideoFrame.from_numpy_buffer(painted, format="rgb24")  # no copy
        picture = self._converter.reformat(
            picture,
            width=self._video.width,
            height=self._video.height,
            format="yuv420p",
            dst_colorspace=BT709,
            dst_color_range=LIMITED_RANGE,
            threads=1,
        )
        self._encode(picture, pts, sound_until=pts * self._time_base)

    def close(self, end_s: float | None = None) -> None:
        """Writes what is still held back, the rest of the sound and the index.

        Args:
            end_s: when the last frame ends; by default 1/25 s after it begins.
        """
        last = self._times[-1] if self._times else 0
        end = last + round(Fraction(1, 25) / self._time_base)
        if end_s is not None:
            end = round(Fraction(end_s) / self._time_base) - self._origin
        self._finish(max(end, last + 1))


def _even(length: int) -> int:
    return length + length % 2


def _padded(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Repeats the last row and column of odd sizes, which 4:2:0 video cannot have."""
    height, width = image.shape[:2]
    if height % 2 == width % 2 == 0:
        return image
    return np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
