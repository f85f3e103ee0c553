"""Videos of a result: cut-outs of what sounds, muted sound, label maps without loss."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from coprop.export.gate import gated, seen_spans
from coprop.export.movies import (
    FFV1,
    H264,
    MATROSKA_TIME_BASE,
    PRORES,
    VP9,
    Format,
    Movie,
    MovieSound,
    colour_picture,
    grey_picture,
)
from coprop.export.recording import Recording, exact_time
from coprop.media.clip import Clip
from coprop.media.frames import MICROSECOND
from coprop.media.sound import blocks_of
from coprop.media.sound_blocks import SoundBlocks
from coprop.media.streams import Contents
from coprop.storage.files import replacing

GREEN = (0, 255, 0)
"""RGB of the background that is to be keyed out."""

_RIM = 4  # pixels of the picture kept around a cut-out, which halved colours mix into its edge

Painting = Callable[[NDArray[np.uint8], NDArray[np.bool_]], av.VideoFrame]
"""Makes a picture (in a format's pixels) of a frame (H, W, 3) and of what sounds in it (H, W)."""


def write_labels(recording: Recording, path: Path) -> None:
    """The label maps as grey FFV1 in Matroska: each value is the label."""
    with replacing(path, av.FFmpegError) as part:
        movie = Movie(part, FFV1, recording.size, time_base=MATROSKA_TIME_BASE)
        try:
            for mask in recording.masks():
                movie.write(grey_picture(mask.labels), Fraction(mask.time_s))
        except BaseException:
            movie.abort()
            raise
        movie.close(recording.end_s)


def write_cutout_webm(recording: Recording, path: Path) -> None:
    """What sounds, on nothing: VP9 with alpha and Opus in WebM."""
    _write(recording, path, VP9, lambda image, seen: colour_picture(_cut(image, seen), VP9, seen))


def write_cutout_prores(recording: Recording, path: Path) -> None:
    """What sounds, on nothing: ProRes 4444 and PCM in QuickTime."""
    _write(
        recording, path, PRORES, lambda image, seen: colour_picture(_cut(image, seen), PRORES, seen)
    )


def write_green(recording: Recording, path: Path) -> None:
    """What sounds, on green: H.264 and AAC in MP4."""

    def paint(image: NDArray[np.uint8], seen: NDArray[np.bool_]) -> av.VideoFrame:
        green = np.where(seen[..., None], image, np.array(GREEN, dtype=np.uint8))
        return colour_picture(green, H264)

    _write(recording, path, H264, paint)


def write_muted(recording: Recording, path: Path) -> None:
    """The video as it is, silent where nothing visible sounds: H.264 and AAC in MP4."""
    _write(recording, path, H264, lambda image, seen: colour_picture(image, H264))


def _write(recording: Recording, path: Path, form: Format, paint: Painting) -> None:
    """Frames as they are painted, with the sound of what is seen sounding; a part begins at 0."""
    with recording.result.clip() as clip, replacing(path, av.FFmpegError) as part:
        movie, last_s, lasts_s = None, 0.0, None
        try:
            for frame, mask in recording.pairs(clip):
                if movie is None:
                    movie = Movie(
                        part,
                        form,
                        recording.size,
                        time_base=frame.time_base or MICROSECOND,
                        pixel_aspect=frame.pixel_aspect,
                        sound=_sound(recording, clip),
                    )
                painted = paint(frame.image, mask.labels > 0)
                movie.write(painted, exact_time(frame) - Fraction(clip.origin_s))
                last_s, lasts_s = frame.time_s, frame.duration_s
        except BaseException:
            if movie is not None:
                movie.abort()
            raise
        if movie is not None:
            end_s = recording.end_s if lasts_s is None else last_s + lasts_s
            movie.close(end_s - clip.origin_s)


def _sound(recording: Recording, clip: Clip) -> MovieSound:
    sound = SoundBlocks(clip.sound) if isinstance(clip.sound, Contents) else clip.sound
    blocks, rate, layout = blocks_of(sound)
    seen = seen_spans(recording.heads, recording.end_s)
    spans = [(start_s - clip.origin_s, end_s - clip.origin_s) for start_s, end_s in seen]
    return MovieSound(gated(blocks, rate, spans), rate, layout)


def _cut(image: NDArray[np.uint8], seen: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The picture where something sounds and a few pixels around it, black elsewhere."""
    near = seen.copy()
    for axis in (0, 1):
        wide = near.copy()
        for shift in range(1, _RIM + 1):
            before = np.moveaxis(near, axis, 0)
            after = np.moveaxis(wide, axis, 0)
            after[shift:] |= before[:-shift]
            after[:-shift] |= before[shift:]
        near = wide
    return np.where(near[..., None], image, np.uint8(0))
