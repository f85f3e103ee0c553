"""Small real media files, written with PyAV, for the tests of coprop.media."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray


def picture(index: int, width: int, height: int) -> NDArray[np.uint8]:
    """Grey that tells the frame's number, with a white upper left quarter."""
    image = np.full((height, width, 3), 20 + 5 * (index % 40), dtype=np.uint8)
    image[: height // 2, : width // 2] = 255
    return image


def tone(
    sample_rate: int, seconds: float, channels: int = 1, click_s: float = 0.5
) -> NDArray[np.float32]:
    """(channels, n): quiet noise with a loud click of 5 ms, by which times can be told."""
    rng = np.random.default_rng(0)
    samples = 0.005 * rng.standard_normal((channels, round(sample_rate * seconds)))
    start = round(click_s * sample_rate)
    samples[:, start : start + sample_rate // 200] = 0.8
    return samples.astype(np.float32)


def click_time(samples: NDArray[np.float32], sample_rate: int) -> float:
    """When the click of `tone` begins, in seconds."""
    return float(np.argmax(np.abs(samples) > 0.4) / sample_rate)


def write_video(
    path: Path,
    *,
    pts: Sequence[int] = tuple(range(0, 400, 40)),
    time_base: Fraction = Fraction(1, 1000),
    size: tuple[int, int] = (64, 48),
    codec: str = "libx264",
    sound: NDArray[np.float32] | None = None,
    sound_rate: int = 44_100,
    sound_codec: str = "aac",
    sound_start_s: float = 0.0,
    options: dict[str, str] | None = None,
    noise: bool = False,
) -> Path:
    """Writes frames at the given times, and (channels, n) sound that starts where told."""
    rng = np.random.default_rng(1)
    with av.open(str(path), "w", options=options or {}) as container:
        video = container.add_stream(codec, rate=25)
        video.width, video.height = size
        odd = size[0] % 2 or size[1] % 2
        video.pix_fmt = "rgb24" if codec == "png" else "yuv444p" if odd else "yuv420p"
        video.codec_context.time_base = time_base
        if sound is not None:
            audio = container.add_stream(sound_codec, rate=sound_rate)
            audio.layout = layout_of(sound)
        for index, time in enumerate(pts):
            image = picture(index, *size)
            if noise:
                image = rng.integers(0, 255, image.shape, dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = time, time_base
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if sound is not None:
            start = round(sound_start_s * sound_rate)
            for frame in sound_frames(sound, sound_rate, start):
                container.mux(audio.encode(frame))
            container.mux(audio.encode(None))
    return path


def layout_of(sound: NDArray[np.float32]) -> str:
    return {1: "mono", 2: "stereo", 6: "5.1"}[len(sound)]


def sound_frames(
    sound: NDArray[np.float32], sample_rate: int, start: int = 0
) -> list[av.AudioFrame]:
    frames = []
    for first in range(0, sound.shape[1], 4096):
        block = np.ascontiguousarray(sound[:, first : first + 4096])
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=layout_of(sound))
        frame.sample_rate = sample_rate
        frame.pts, frame.time_base = start + first, Fraction(1, sample_rate)
        frames.append(frame)
    return frames


def write_wav(
    path: Path, sound: NDArray[np.float32], sample_rate: int, codec: str = "pcm_f32le"
) -> Path:
    with av.open(str(path), "w") as container:
        audio = container.add_stream(codec, rate=sample_rate)
        audio.layout = layout_of(sound)
        for frame in sound_frames(sound, sample_rate):
            container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
    return path


def set_display_matrix(path: Path, matrix: tuple[int, int, int, int]) -> None:
    """Puts the four linear entries (a, b, c, d) into the first track header of an MP4."""
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4 + 40  # a version 0 header's matrix comes after 40 bytes
    a, b, c, d = (value << 16 for value in matrix)
    data[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


def cut(path: Path, part: float) -> Path:
    """A copy of the file that ends early."""
    data = path.read_bytes()
    short = path.with_name(f"cut_{path.name}")
    short.write_bytes(data[: int(len(data) * part)])
    return short
