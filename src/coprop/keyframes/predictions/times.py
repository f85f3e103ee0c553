"""When predictions are shown: one a second, one a frame, so many a second, or at given times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coprop.errors import PredictionError
from coprop.keyframes.timed import Moment
from coprop.types import SAME_S
from coprop.utils.brief import counted
from coprop.utils.checks import array_of, check_choice, number

Every = Literal["second", "frame"]
"""How often there is a prediction.

- "second": prediction n stands for second n, as AVSBench's do, and so for its middle, n + 0.5 s.
- "frame": prediction n is of frame n of the clip.
"""

_FRAME_S = 1 / 25  # how long a frame lasts before a second one is seen
_SLACK_S = 1.0  # so far may the last prediction lie beyond the clip's end
_HOW = (
    'every="second", every="frame", fps= or times_s= (on the command line, --every or --per-second)'
)


@dataclass(frozen=True)
class Timing:
    """The places of predictions in their clip.

    Args:
        places: (T,) increasing: seconds, or with ``by_frame`` numbers of frames.
        by_frame: see there.
        told: how they came about, for people.
    """

    places: NDArray[np.float64]
    by_frame: bool
    told: str

    def nearest(self, moment: Moment) -> tuple[int, float]:
        """The prediction that is nearest to a moment, of two the later one; and how far it is.

        The distance is in seconds. That between frames is how long they have lasted so far.
        """
        place = moment.index if self.by_frame else moment.time_s
        later = int(np.searchsorted(self.places, place - SAME_S))
        chosen = min(later, len(self.places) - 1)
        if 0 < later < len(self.places):
            before, after = place - self.places[later - 1], self.places[later] - place
            chosen = later - 1 if before < after - SAME_S else later
        far = abs(float(self.places[chosen]) - place)
        if not self.by_frame:
            return chosen, far
        return chosen, far * (moment.time_s / moment.index if moment.index else _FRAME_S)


def timing(
    slots: NDArray[np.int64],
    *,
    every: Every | None,
    fps: float | None,
    times_s: ArrayLike | Sequence[float] | None,
) -> Timing | None:
    """When predictions are shown; None where nothing is said, so that the clip must tell.

    Args:
        slots: (T,) increasing, of which second or frame each is, from 0.
        every, fps, times_s: what is said, one of them at most.

    Raises:
        PredictionError: several are said, or values that cannot be.
    """
    said = {"every": every, "fps": fps, "times_s": times_s}
    given = [name for name, value in said.items() if value is not None]
    if len(given) > 1:
        raise PredictionError(f"{' and '.join(given)} both say when predictions are; give one.")
    if times_s is not None:
        return Timing(_checked_times(times_s, len(slots)), False, "at times of their own")
    places = slots.astype(np.float64)
    if fps is not None:
        fps = number("fps", fps, "a number above 0", above=0, error=PredictionError)
        return Timing(places / fps, False, f"{fps:g} a second")
    if every is None:
        return None
    check_choice("every", every, get_args(Every), error=PredictionError)
    if every == "second":
        return Timing(places + 0.5, False, "one a second")
    return Timing(places, True, "one a frame")


def slots_of(numbers: tuple[int, ...], first: int | None = None) -> NDArray[np.int64]:
    """(T,) the seconds or frames, from 0, that files of these increasing numbers are of.

    Args:
        numbers: of the files.
        first: what the clip's first one is numbered with; None for 0, or for 1 where that is the
            lowest.
    """
    if first is None:
        first = 1 if numbers[0] == 1 else 0
    return np.array(numbers, dtype=np.int64) - first


def found_every(
    slots: NDArray[np.int64], num_frames: int | None, duration_s: float | None
) -> Every:
    """How often there is a prediction, by what fits the clip.

    Raises:
        PredictionError: neither fits, or nothing is known of the clip.
    """
    last = int(slots[-1]) + 1
    if num_frames is not None and last == num_frames:
        return "frame"
    if duration_s is not None and abs(last - duration_s) < _SLACK_S:
        return "second"
    told = counted(len(slots), "prediction")
    if last != len(slots):
        told += f", the last of which has the number {last} (from 1),"
    if num_frames is None and duration_s is None:
        raise PredictionError(
            f"when {told} are shown cannot be told from a clip whose length is not known; give "
            f"{_HOW}."
        )
    clip = [] if num_frames is None else [counted(num_frames, "frame")]
    clip += [] if duration_s is None else [f"{duration_s:.2f} s"]
    raise PredictionError(
        f"{told} fit the clip of {' and '.join(clip)} neither as one a frame nor as one a second; "
        f"give {_HOW}."
    )


def check_fits(own: Timing, num_frames: int | None, duration_s: float | None) -> None:
    """Refuses predictions beyond the end of the clip: they are another's, or of another rate.

    Raises:
        PredictionError: they are.
    """
    last = float(own.places[-1])
    if own.by_frame:
        if num_frames is not None and last > num_frames:
            raise PredictionError(
                f"the last prediction is of frame {last:.0f} (from 0), but the clip has "
                f"{num_frames} frames; these are not its predictions, or not one a frame: give "
                f"{_HOW}."
            )
    elif duration_s is not None and last > duration_s + _SLACK_S:
        raise PredictionError(
            f"the last of {counted(len(own.places), 'prediction')} ({own.told}) is at {last:.2f} "
            f"s, but the clip ends at {duration_s:.2f} s; these are not its predictions, or are "
            f"shown at other times: give {_HOW}."
        )


def _checked_times(times_s: ArrayLike, count: int) -> NDArray[np.float64]:
    times = array_of("times_s", times_s, error=PredictionError).astype(np.float64)
    if times.shape != (count,):
        raise PredictionError(
            f"times_s must hold a time for each of {counted(count, 'prediction')}, got "
            f"{times.size if times.ndim == 1 else times.shape}."
        )
    if not np.isfinite(times).all() or (np.diff(times) <= 0).any() or times[0] < 0:
        raise PredictionError("times_s must be seconds from 0 on, finite and increasing.")
    return times
