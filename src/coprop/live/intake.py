"""Frames and blocks of sound as they are pushed: checked, counted, on one clock."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from coprop.errors import AudioError, MediaError, ShapeError
from coprop.media.frames import as_image, kept
from coprop.media.reader import Frame
from coprop.types import SAME_S, Audio
from coprop.utils.checks import array_of, index, number, shown, whole
from coprop.values.audio import HIGHEST_RATE
from coprop.values.mixdown import Mixdown

HIGHEST_FRAME_RATE = 1000.0
"""Frames a second; no camera that is looked at live shows more."""

_MOST_CHANNELS = 32  # an axis that is longer holds samples


class FrameIntake:
    """Numbers frames, gives them times, and counts those that never came.

    Args:
        frame_rate: frames a second of a stream in which none is missing.
    """

    def __init__(self, frame_rate: Any) -> None:
        wanted = f"a positive number of frames a second, {HIGHEST_FRAME_RATE:g} at most"
        self.rate = number(
            "frame_rate", frame_rate, wanted, above=0, high=HIGHEST_FRAME_RATE, error=MediaError
        )
        self.missing = 0
        self._next = 0
        self._last: Frame | None = None

    def number_at(self, time_s: float) -> int:
        """The number of a frame that is shown at a time, after those before it."""
        return max(self._next, round(time_s * self.rate))

    def frame(self, picture: ArrayLike | torch.Tensor, time_s: Any, at: Any) -> Frame:
        """The picture as a frame; nothing is counted until it is `taken`.

        Raises:
            ShapeError: no picture, or one of another size than those before it.
            MediaError: a time or number that does not come after the last one.
        """
        given = None if at is None else index("number", at)
        if time_s is not None:
            wanted = "a finite number of seconds, 0 or more, since the stream began"
            time_s = number("time_s", time_s, wanted, low=0, error=MediaError)
        place = given
        if place is None:
            place = self._next if time_s is None else self.number_at(time_s)
        time_s = place / self.rate if time_s is None else time_s
        last = self._last
        if last is not None and (place <= last.index or time_s <= last.time_s + SAME_S):
            raise MediaError(
                f"frame {place} at {time_s:g} s comes after frame {last.index} at "
                f"{last.time_s:g} s; push frames in order, each later than the one before."
            )
        image = as_image(kept(picture), place)
        if last is not None and image.shape != last.image.shape:
            (height, width), (h, w) = image.shape[:2], last.image.shape[:2]
            raise ShapeError(
                f"frame {place} is {width}x{height}, the frames before it {w}x{h}; resize it, or "
                "begin another session."
            )
        return Frame(place, time_s, image)

    def taken(self, frame: Frame) -> None:
        """Counts a frame, and those that should have come between it and the last one."""
        self.missing += frame.index - self._next
        self._next, self._last = frame.index + 1, frame


class SoundIntake:
    """Blocks of sound, of any length, as mono samples.

    Args:
        sample_rate: of all blocks, in Hz.
    """

    def __init__(self, sample_rate: Any) -> None:
        wanted = "a whole number of samples per second, from 1 to 10,000,000"
        self.rate = whole(
            "sample_rate", sample_rate, wanted, low=1, high=HIGHEST_RATE, error=AudioError
        )
        self._mixdown = Mixdown(self.rate)
        self._channels: int | None = None

    def mono(self, samples: Any) -> NDArray[np.float32]:
        """(n,), (n, channels) or (channels, n) float or integer samples -> those that are ready.

        Raises:
            AudioError: another shape or type, other channels than before, or values that are none.
        """
        array = array_of("samples", samples, error=AudioError)
        if array.ndim == 1:
            array = array[None]
        elif array.ndim == 2:
            array = self._channels_first(array)
        else:
            raise AudioError(
                f"samples must be (n,), (n, channels) or (channels, n), got {shown(samples)}."
            )
        if self._channels not in (None, len(array)):
            raise AudioError(
                f"this block of samples has {len(array)} channels, those before it "
                f"{self._channels}; push blocks of one kind."
            )
        if array.dtype.kind not in "fi":
            raise AudioError(f"samples must be float or signed integer, got {array.dtype}.")
        blocks = [Audio.from_array(channel, self.rate).samples for channel in array]
        self._channels = len(array)
        return self._mixdown.feed(np.stack(blocks))

    def rest(self) -> NDArray[np.float32]:
        """What is still inside; nothing may follow."""
        return self._mixdown.flush()

    def _channels_first(self, array: NDArray[Any]) -> NDArray[Any]:
        """As soundcard and camera libraries give them: channels are the axis that has few places.

        Where both axes could be, it is the last, unless blocks before it tell.
        """
        known = self._channels
        if known is not None and array.shape.count(known) == 1:
            axis = array.shape.index(known)
        else:
            axis = 1 if array.shape[1] <= _MOST_CHANNELS else 0
        if not 0 < array.shape[axis] <= _MOST_CHANNELS:
            raise AudioError(
                f"samples of shape {array.shape} have no axis of 1 to {_MOST_CHANNELS} channels; "
                "push (n,) or (n, channels)."
            )
        return np.moveaxis(array, axis, 0)
