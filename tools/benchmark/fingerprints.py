"""Fingerprints that tell a copy of a recording or picture from another one.

A copy may have been encoded anew, made louder or softer, brought to another sample rate or size,
brightened or mirrored. Both kinds work in two steps: a short summary that copies share finds the
candidates, and a correlation of what is heard or seen decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tools.benchmark.composed_audio import fourier_resample

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_DECIBELS_APART = 3.0
"""Largest distance, in decibels, between the profiles of two sounds that are compared further."""
LEAST_SOUND_CORRELATION = 0.6
"""From here on two sounds are one recording. Copies were seen to reach 0.88, others 0.44."""
MOST_BITS_APART = 0.12
"""Largest share of bits that differ between two pictures that are compared further."""
LEAST_PICTURE_CORRELATION = 0.93
"""From here on two pictures are one, or takes of one thing in one place."""

_RATE = 8_000  # what telephones and the poorest games keep
_FRAME, _HOP = 1024, 256  # 128 and 32 ms
_BANDS = 24
_ACTIVE_DB, _FLOOR_DB = 25.0, 35.0  # below the loudest; coding noise lies lower
_SIDE, _THUMBNAIL = 16, 32
_FLAT = 2  # grey levels; smaller steps are noise
_GREY = (128, 128, 128, 255)


@dataclass(frozen=True, eq=False)
class SoundPrint:
    """What tells a recording from others.

    Args:
        samples: (n,) float32 at 8 kHz, of energy one, or zeros.
        profile: (48,) mean and spread of the level in 24 bands, in decibels below the loudest.
    """

    samples: NDArray[np.float32]
    profile: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PicturePrint:
    """What tells a picture from others.

    Args:
        bits: (1024,) bool; where brightness rises and falls by place, in a 16 x 16 grid.
        thumbnail: (3072,) float32; 32 x 32 RGB without its mean, of length one, or zeros.
        mirrored: both for the picture as in a mirror; None in the mirror's.
    """

    bits: NDArray[np.bool_]
    thumbnail: NDArray[np.float32]
    mirrored: PicturePrint | None = None


def sound_print(samples: NDArray[np.floating], sample_rate: int) -> SoundPrint:
    """The fingerprint of (n,) mono samples."""
    low = fourier_resample(np.asarray(samples, dtype=np.float64), sample_rate, _RATE)
    energy = float(np.sqrt(np.sum(low**2)))
    if energy < 1e-6:
        return SoundPrint(np.zeros(len(low), np.float32), np.zeros(2 * _BANDS))
    return SoundPrint((low / energy).astype(np.float32), _profile(low / energy))


def sound_similarity(one: SoundPrint, other: SoundPrint) -> float:
    """Largest correlation of two sounds over all shifts, in [0, 1]."""
    size = 2 ** int(np.ceil(np.log2(max(2, len(one.samples) + len(other.samples)))))
    product = np.conj(np.fft.rfft(one.samples, size)) * np.fft.rfft(other.samples, size)
    # Twice as fine as the samples: a copy's may lie between them.
    return float(min(1.0, 2 * np.abs(np.fft.irfft(product, 2 * size)).max()))


def picture_print(picture: Image) -> PicturePrint:
    """The fingerprint of what a picture shows where it is not transparent."""
    from PIL import Image

    whole = picture.convert("RGBA")
    solid = whole.getchannel("A").point([255 if alpha >= 128 else 0 for alpha in range(256)])
    shown = whole.crop(solid.getbbox() or (0, 0, whole.width, whole.height))
    flat = Image.new("RGBA", shown.size, _GREY)
    flat.alpha_composite(shown)
    opaque = flat.convert("RGB")
    other = opaque.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    mirrored = PicturePrint(_bits(other), _thumbnail(other))
    return PicturePrint(_bits(opaque), _thumbnail(opaque), mirrored)


def picture_similarity(one: PicturePrint, other: PicturePrint) -> float:
    """Correlation of two pictures' thumbnails, or with the second mirrored, in [-1, 1]."""
    views = [other] if other.mirrored is None else [other, other.mirrored]
    return max(float(one.thumbnail @ view.thumbnail) for view in views)


def _profile(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    padded = np.pad(samples, (_FRAME // 2, _FRAME + _FRAME // 2))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FRAME)[::_HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(_FRAME))) ** 2
    levels = 10 * np.log10(power @ _filters() + 1e-12)
    loudest = levels.max(axis=1)
    active = levels[loudest > loudest.max() - _ACTIVE_DB] - loudest.max()
    active = np.maximum(active, -_FLOOR_DB)
    return np.concatenate([active.mean(axis=0), active.std(axis=0)])


@cache
def _filters() -> NDArray[np.float64]:
    """(513, 24) triangles, evenly spaced in the logarithm of frequency from 120 to 3300 Hz."""
    centres = np.geomspace(120.0, 3800.0, _BANDS + 1)
    step = np.log(centres[1] / centres[0])
    frequency = np.maximum(np.fft.rfftfreq(_FRAME, 1 / _RATE), 1.0)[:, None]
    away = np.abs(np.log(frequency / centres[:-1])) / step
    return np.asarray(np.clip(1 - away, 0, None))


def _bits(picture: Image) -> NDArray[np.bool_]:
    from PIL import Image

    grey = picture.convert("L")
    steps = []
    for axis, size in ((1, (_SIDE + 1, _SIDE)), (0, (_SIDE, _SIDE + 1))):
        small = np.asarray(grey.resize(size, Image.Resampling.BOX), dtype=np.int16)
        step = np.diff(small, axis=axis).ravel()
        steps += [step > _FLAT, step < -_FLAT]
    return np.concatenate(steps)


def _thumbnail(picture: Image) -> NDArray[np.float32]:
    from PIL import Image

    small = picture.resize((_THUMBNAIL, _THUMBNAIL), Image.Resampling.BOX)
    values = np.asarray(small, dtype=np.float32).ravel()
    values = values - values.mean()
    return np.asarray(values / max(float(np.linalg.norm(values)), 1e-6), dtype=np.float32)
