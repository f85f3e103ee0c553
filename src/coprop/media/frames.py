"""Frames that are already in memory, or come from an iterator, as `Frame` values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from coprop.errors import MediaError, ShapeError
from coprop.media.reader import Frame
from coprop.utils.checks import array_of, as_number, number, shown
from coprop.utils.paths import is_opened, is_path

MICROSECOND = Fraction(1, 1_000_000)
_HIGHEST_FPS = 1_000_000  # the times of frames are told apart to a microsecond
_NO_TIMES = (
    "frames without a file need their times: give either fps (frames per second) or, where they "
    "are not evenly spaced, Frame values of coprop.media.reader, each with its own time."
)
_ROUNDING = 0.01
"""Floats this far beyond [0, 1] are clipped: resizing and half precision overshoot."""


def frames_from(
    source: ArrayLike | torch.Tensor | Iterable[ArrayLike | torch.Tensor | Frame],
    fps: float | Fraction | None = None,
) -> Iterable[Frame]:
    """Pictures as frames with times; pictures from an iterator stay lazy.

    Args:
        source: an array (T, H, W, 3), a tensor (T, 3, H, W), or an iterable of pictures: arrays
            (H, W, 3), tensors (3, H, W) or PIL images. uint8, or float in [0, 1], of which 0.01
            beyond is clipped; or what has ``len()`` and gives picture i as ``source[i]``. An
            iterable of `Frame` has its times already.
        fps: frames per second, of pictures.

    Returns:
        An iterable, as often as ``source`` is one.

    Raises:
        ShapeError: another shape or dtype, values outside [0, 1], NaN, no picture, or pictures of
            several sizes. For single pictures this comes when the picture does.
        MediaError: pictures without fps, an fps that is not positive, frames out of order, or an
            opened file.
    """
    if is_opened(source):
        raise MediaError(
            f"frames are {shown(source)}, an opened file or its bytes; give the file's path."
        )
    if isinstance(source, (np.ndarray, torch.Tensor)):
        _check_video(source)
    elif not isinstance(source, Iterable) and _is_reader(source):
        source = _Reader(source)
    elif isinstance(source, (str, bytes)) or not isinstance(source, Iterable):
        raise ShapeError(
            f"frames come as array, tensor or iterable of pictures, got {shown(source)}."
        )
    elif fps is None and not _begins_with_picture(source):
        return _TimedFrames(source)
    return _Pictures(source, _time_base(fps))


def kept(picture: Any) -> Any:
    """A picture that stays as it is, whatever comes after it.

    Who gives one after another may fill one array anew, or seek through a file with one image of
    PIL. A `Frame` is a value, and its image nobody's buffer.
    """
    if isinstance(picture, torch.Tensor):
        return picture.detach().clone()
    if isinstance(picture, np.ndarray):
        return picture.copy()
    return np.array(picture) if hasattr(picture, "__array_interface__") else picture


def _is_reader(source: object) -> bool:
    return hasattr(source, "__getitem__") and hasattr(source, "__len__")


@dataclass(frozen=True, eq=False)
class _Reader:
    """What is asked for picture after picture by number, as readers of video often are."""

    reader: Any

    def __iter__(self) -> Iterator[Any]:
        for i in range(len(self.reader)):
            yield self.reader[i]


@dataclass(frozen=True, eq=False)
class _TimedFrames:
    """`Frame` values as they are; only what is no frame, or goes back in time, is refused."""

    frames: Iterable[object]

    def __iter__(self) -> Iterator[Frame]:
        last: Frame | None = None
        for frame in self.frames:
            if not isinstance(frame, Frame):
                raise MediaError(_NO_TIMES)
            if last is not None and not (frame.index > last.index and frame.time_s > last.time_s):
                raise MediaError(
                    f"frame {frame.index} at {frame.time_s:g} s comes after frame {last.index} at "
                    f"{last.time_s:g} s; give frames in order, each later than the one before."
                )
            if last is not None:
                _check_size(frame.image.shape, last.image.shape, frame.index)
            last = frame
            yield frame
        if last is None:
            raise ShapeError("there is no frame; give at least one picture.")


def _check_size(shape: tuple[int, ...], size: tuple[int, ...], index: int) -> None:
    if shape != size:
        raise ShapeError(
            f"frame {index} is {shape[1]}x{shape[0]}, the frames before it {size[1]}x{size[0]}; "
            "resize them to one size."
        )


def _begins_with_picture(source: Iterable[object]) -> bool:
    return isinstance(source, Sequence) and len(source) > 0 and not isinstance(source[0], Frame)


@dataclass(frozen=True, eq=False)
class _Pictures:
    pictures: Iterable[Any]
    time_base: Fraction

    def __iter__(self) -> Iterator[Frame]:
        size: tuple[int, ...] | None = None
        index = -1
        in_memory = isinstance(self.pictures, (np.ndarray, torch.Tensor, list, tuple))
        for index, picture in enumerate(self.pictures if in_memory else map(kept, self.pictures)):
            image = as_image(picture, index)
            size = size or image.shape
            _check_size(image.shape, size, index)
            yield Frame(index, float(index * self.time_base), image, index, self.time_base)
        if index < 0:
            raise ShapeError("there is no frame; give at least one picture.")


def end_of(times_s: Sequence[float] | NDArray[np.float64]) -> float:
    """When the last of some frames ends, if it lasts as long as those before it usually do.

    Usual is their median; a single frame is taken to last 1/25 s.

    >>> end_of([0.0, 0.1, 0.2, 0.5])
    0.6
    """
    usual_s = float(np.median(np.diff(times_s))) if len(times_s) > 1 else 1 / 25
    return float(times_s[-1]) + usual_s


def as_image(picture: ArrayLike | torch.Tensor, index: int) -> NDArray[np.uint8]:
    """One picture as (H, W, 3) uint8 RGB.

    Args:
        picture: (H, W, 3) array, (3, H, W) tensor or PIL image; uint8, or float in [0, 1].
        index: its number, for the error.

    Raises:
        ShapeError: another shape or dtype, or values that are outside [0, 1] or not finite.
    """
    if isinstance(picture, torch.Tensor) and picture.ndim == 3 and picture.shape[0] == 3:
        picture = picture.movedim(0, -1)
    if is_path(picture):
        raise ShapeError(
            f"frame {index} must be an array of numbers, got the path {picture}; read pictures "
            "first, for instance by PIL.Image.open()."
        )
    image = array_of(f"frame {index}", picture, error=ShapeError)
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ShapeError(
            f"frame {index} has shape {image.shape}; frames are RGB, (H, W, 3) as arrays or "
            "(3, H, W) as tensors."
        )
    if np.issubdtype(image.dtype, np.floating):
        return _from_unit(image, index)
    if image.dtype != np.uint8:
        raise ShapeError(f"frame {index} is {image.dtype}; give uint8, or float in [0, 1].")
    return np.ascontiguousarray(image)


def _from_unit(image: NDArray[np.floating[Any]], index: int) -> NDArray[np.uint8]:
    low, high = float(image.min()), float(image.max())
    if not (low >= -_ROUNDING and high <= 1 + _ROUNDING):  # also true of NaN
        raise ShapeError(
            f"frame {index} is float with values from {low:g} to {high:g}; give float in [0, 1] "
            "without NaN, or uint8 in [0, 255]."
        )
    return np.asarray(np.rint(np.clip(image, 0, 1).astype(np.float32) * 255), dtype=np.uint8)


def _check_video(video: NDArray[np.generic] | torch.Tensor) -> None:
    axis, form = (1, "(T, 3, H, W)") if isinstance(video, torch.Tensor) else (3, "(T, H, W, 3)")
    if video.ndim != 4 or video.shape[axis] != 3 or 0 in video.shape:
        kind = type(video).__name__
        raise ShapeError(
            f"a video given as {kind} has shape {form}, RGB, with T >= 1; got {tuple(video.shape)}."
        )


def _time_base(fps: float | Fraction | None) -> Fraction:
    """How long each of evenly spaced frames lasts, in seconds."""
    if fps is None:
        raise MediaError(_NO_TIMES)
    rate_wanted = "a positive number of frames per second, at most 1,000,000"
    number("fps", fps, rate_wanted, above=0, high=_HIGHEST_FPS, error=MediaError)
    # A float stands for a fraction with a small denominator: 29.97002997... for 30000/1001.
    rate = Fraction(as_number(fps) or 0).limit_denominator(100_000)
    return 1 / max(rate, Fraction(1, 100_000))
