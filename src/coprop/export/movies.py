"""Writing the videos of exports: frame times kept, sound interleaved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.plane import VideoPlane
from av.video.stream import VideoStream
from numpy.typing import NDArray

from coprop.errors import OutputError
from coprop.media.overlay import BT709, ENCODERS, LIMITED_RANGE
from coprop.media.sound import AAC_RATES
from coprop.media.timed_video import TimedVideo

FULL_RANGE = 2  # FFmpeg's number for levels from 0 to 255
MATROSKA_TIME_BASE = Fraction(1, 1000)
"""Matroska, WebM too, counts in milliseconds."""


@dataclass(frozen=True)
class Format:
    """How a video is written.

    Args:
        container: FFmpeg's name of the container.
        encoders: FFmpeg's names; the first that there is is taken.
        pixels: FFmpeg's name of the pixels' format.
        options: of the encoder.
        sound: the encoder of the sound, "" for none.
        even: whether sides have to be even.
    """

    container: str
    encoders: tuple[str, ...]
    pixels: str
    options: dict[str, str] = field(default_factory=dict)
    sound: str = ""
    even: bool = False


VP9 = Format(
    "webm",
    ("libvpx-vp9",),
    "yuva420p",
    # The quality of near transparency. Alternate reference frames know no alpha.
    {"crf": "18", "b": "0", "deadline": "good", "cpu-used": "5", "auto-alt-ref": "0"},
    "libopus",
)
PRORES = Format(
    "mov", ("prores_ks",), "yuva444p10le", {"profile": "4444", "alpha_bits": "16"}, "pcm_s16le"
)
H264 = Format("mp4", ENCODERS, "yuv420p", {"preset": "veryfast", "crf": "18"}, "aac", even=True)
FFV1 = Format("matroska", ("ffv1",), "gray", {"level": "3", "slicecrc": "1"})


@dataclass(frozen=True)
class MovieSound:
    """Sound to go with a movie.

    Args:
        blocks: (channels, n) float32 each, one after another from time zero.
        rate: samples per second, in Hz.
        layout: "mono" or "stereo".
    """

    blocks: Iterable[NDArray[np.float32]]
    rate: int
    layout: str


class Movie(TimedVideo):
    """A video file that is written frame by frame.

    Args:
        path: the file.
        form: how it is written.
        size: height and width, in pixels.
        time_base: seconds that times are whole multiples of; Matroska has its own.
        pixel_aspect: width of a pixel divided by its height.
        sound: what is heard; None for nothing.

    Raises:
        OutputError: FFmpeg lacks the encoder, or does not take such a size.
    """

    def __init__(
        self,
        path: Path,
        form: Format,
        size: tuple[int, int],
        *,
        time_base: Fraction,
        pixel_aspect: Fraction = Fraction(1),
        sound: MovieSound | None = None,
    ) -> None:
        self._form = form
        coarse = form.container in ("webm", "matroska")
        super().__init__(MATROSKA_TIME_BASE if coarse else time_base)
        self._last = -1
        encoder = _encoder(form)
        self._container = av.open(f"file:{path}", "w", format=form.container)
        try:
            self._open_video(encoder, size, pixel_aspect)
            self._sound = iter(())
            if sound is not None and form.sound:
                self._sound = _sound_packets(self._container, form.sound, sound)
            self._next_sound = next(self._sound, None)
        except BaseException:
            self.abort()
            raise

    def _open_video(self, encoder: str, size: tuple[int, int], pixel_aspect: Fraction) -> None:
        height, width = size
        if self._form.even:
            height, width = height + height % 2, width + width % 2
        self._video = cast(VideoStream, self._container.add_stream(encoder, rate=25))
        self._video.time_base = self._time_base
        self._video.width, self._video.height = width, height
        self._video.pix_fmt = self._form.pixels
        context: VideoCodecContext = self._video.codec_context
        context.max_b_frames = 0
        context.sample_aspect_ratio = pixel_aspect
        if self._form.pixels == "gray":
            context.color_range = FULL_RANGE
        else:
            context.colorspace = context.color_primaries = context.color_trc = BT709
            context.color_range = LIMITED_RANGE
        if encoder == "mpeg4":  # which knows no crf
            context.bit_rate = max(width * height * 8, 64_000)
        else:
            context.options = dict(self._form.options)

    def write(self, picture: av.VideoFrame, time: Fraction) -> None:
        """Encodes a picture, and the sound up to it.

        Args:
            picture: in the format's pixels.
            time: when it is shown, in seconds, later than the last one.
        """
        # Two frames may come to lie in one of Matroska's milliseconds.
        self._last = max(round(time / self._time_base), self._last + 1)
        self._encode(picture, self._last, sound_until=time)

    def close(self, end_s: float) -> None:
        """Writes what is still held back, the rest of the sound and the index.

        Args:
            end_s: when the last frame ends.
        """
        end = round(Fraction(end_s) / self._time_base)
        self._finish(max(end, self._last + 1))


def _encoder(form: Format) -> str:
    found = [name for name in form.encoders if name in av.codecs_available]
    if not found:
        raise OutputError(
            f"this FFmpeg has no encoder {' or '.join(form.encoders)}, which the export needs; "
            "PyAV's own wheels have it: pip install --force-reinstall av."
        )
    return found[0]


def _sound_packets(
    output: OutputContainer, encoder: str, sound: MovieSound
) -> Iterator[Packet[Any]]:
    rate = sound.rate
    if encoder == "libopus" or (encoder == "aac" and rate not in AAC_RATES):
        rate = 48_000
    stream = cast(AudioStream, output.add_stream(encoder, rate=rate))
    stream.layout = sound.layout
    if encoder != "pcm_s16le":
        stream.codec_context.bit_rate = 96_000 * stream.layout.nb_channels

    def packets() -> Iterator[Packet[Any]]:
        position = 0
        for block in sound.blocks:
            clipped = np.ascontiguousarray(np.clip(block, -1, 1), dtype=np.float32)
            frame = av.AudioFrame.from_ndarray(clipped, format="fltp", layout=sound.layout)
            frame.sample_rate, frame.pts = sound.rate, position
            frame.time_base = Fraction(1, sound.rate)
            position += clipped.shape[1]
            yield from stream.encode(frame)
        if position:
            yield from stream.encode(None)

    return packets()


def grey_picture(labels: NDArray[np.uint8]) -> av.VideoFrame:
    """(H, W) uint8 values as a picture that holds the very same."""
    height, width = labels.shape
    picture = av.VideoFrame(width, height, "gray")
    _fill(picture.planes[0], labels)
    picture.color_range = FULL_RANGE
    return picture


def colour_picture(
    image: NDArray[np.uint8], form: Format, opaque: NDArray[np.bool_] | None = None
) -> av.VideoFrame:
    """A picture in a format's pixels.

    Args:
        image: (H, W, 3) uint8 RGB.
        form: the format.
        opaque: (H, W) what can be seen, for pixels with alpha. FFmpeg's own conversion changes
            single values of it; here they are as they were.
    """
    if form.even:
        height, width = image.shape[:2]
        image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    source = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
    plain = source.reformat(
        format=form.pixels.replace("yuva", "yuv"),
        dst_colorspace=BT709,
        dst_color_range=LIMITED_RANGE,
    )
    if opaque is None:
        return plain
    kind, most = (np.uint16, 1023) if "10" in form.pixels else (np.uint8, 255)
    picture = av.VideoFrame(source.width, source.height, form.pixels)
    for own, other in zip(picture.planes, plain.planes, strict=False):
        _fill(own, _values(other, kind))
    _fill(picture.planes[3], np.where(opaque, most, 0).astype(kind))
    picture.colorspace, picture.color_range = BT709, LIMITED_RANGE
    return picture


def _values(plane: VideoPlane, kind: type[np.generic]) -> NDArray[Any]:
    """A plane's values (H, W), without what its rows are filled up with."""
    values: NDArray[Any] = np.frombuffer(cast(Any, plane), dtype=kind)
    return values.reshape(plane.height, -1)[:, : plane.width]


def _fill(plane: VideoPlane, values: NDArray[Any]) -> None:
    """Puts (H, W) values into a plane, whose rows may be longer in memory."""
    rows = np.zeros((plane.height, plane.line_size // values.itemsize), dtype=values.dtype)
    rows[:, : values.shape[1]] = values
    plane.update(rows.tobytes())
