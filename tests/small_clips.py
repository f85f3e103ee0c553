"""A small video with sound, for the tests of whole commands."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

SAMPLE_RATE = 16_000


def write_clip(
    path: Path,
    *,
    frames: int = 5,
    size: tuple[int, int] = (64, 48),
    fps: int = 5,
    sound: bool = True,
) -> Path:
    """A red square on grey; in the second half of the sound, noise follows a tone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=fps)
        video.width, video.height = size
        video.pix_fmt = "yuv420p"
        audio = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono") if sound else None
        for index in range(frames):
            picture = av.VideoFrame.from_ndarray(_picture(index, *size), format="rgb24")
            picture.pts, picture.time_base = index, Fraction(1, fps)
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        if audio is not None:
            frame = av.AudioFrame.from_ndarray(_sound(frames / fps)[None], "fltp", "mono")
            frame.sample_rate, frame.pts = SAMPLE_RATE, 0
            container.mux(audio.encode(frame))
            container.mux(audio.encode(None))
    return path


def _picture(index: int, width: int, height: int) -> np.ndarray:
    image = np.full((height, width, 3), 90, dtype=np.uint8)
    left = min(4 + 2 * index, width // 2)
    image[height // 4 : height * 3 // 4, left : left + width // 3] = (200, 30, 30)
    return image


def _sound(seconds: float) -> np.ndarray:
    times = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    tone = 0.5 * np.sin(2 * np.pi * 440 * times)
    noise = 0.5 * np.random.default_rng(0).uniform(-1, 1, len(times))
    return np.where(times < seconds / 2, tone, noise).astype(np.float32)
