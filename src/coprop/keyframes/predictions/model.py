"""Predictions on disk in the place of a keyframe model."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from coprop.errors import PredictionError, ShapeError
from coprop.keyframes.model import Deaf, as_logits
from coprop.keyframes.predictions.sources import Pictures, Source, open_source
from coprop.keyframes.predictions.times import Every, check_fits, found_every, timing
from coprop.keyframes.predictions.values import Raw, Values, as_soft, find_values
from coprop.keyframes.timed import Moment
from coprop.utils.brief import brief, counted
from coprop.utils.checks import check_choice, number
from coprop.utils.paths import AnyPath

Missing = Literal["error", "empty", "skip"]
"""What is done at a keyframe where no prediction is near.

- "error": it is told.
- "empty": nothing is masked there, and until the next keyframe.
- "skip": there is no keyframe: the mask before is carried on. Where there is none, frames stay
  empty up to the first one with a prediction near.
"""

DISTANCE_S = 0.75  # of a second's middle: all of it, and what its neighbour has lost
_LOOKED_AT = 32  # predictions from which it is found out what values mean


class Predictions(Deaf):
    """Masks that a model has written, as the keyframe model of a pipeline.

    At a keyframe the prediction nearest in time is used, of two the later one. It is resized to
    the frame, bilinear: masks and label maps as a channel for each class, soft masks and logits as
    they are. Of the frame's own size, it is used to the bit (8-bit probabilities to 1/255).

    Args:
        source: a folder with a picture for each prediction; a file ``.npy``, ``.npz``,
            ``.safetensors`` or ``.json`` (COCO's run-length encoding); or an array or tensor.
            Arrays are (T, h, w) or (T, C, h, w).
        values: what they mean, see `Values`; found out where it is None.
        every: "second" or "frame", see `Every`.
        fps: so many predictions a second, the first at 0.
        times_s: (T,) when they are shown, in seconds, increasing; by default the array ``times_s``
            in the file of the predictions. Of ``every``, ``fps`` and ``times_s`` one at most is
            given; where there is none, the length of each clip tells.
        max_distance_s: how far a prediction may be from a keyframe, in seconds.
        missing: what is done where none is as near, see `Missing`.

    Where pictures are numbered, the number at the end of their names counts, with gaps: from 0, or
    from 1 where that is the lowest.

    Raises:
        PredictionError: nothing is there, it cannot be read, or it could mean several things; at a
            clip, predictions that do not fit it; at a keyframe, none that is near.
        ShapeError: predictions of several sizes.

    Example:
        >>> import numpy as np
        >>> Predictions(np.zeros((5, 224, 224), np.uint8), every="second")
        Predictions(5 of 224 x 224, mask, one a second)
    """

    def __init__(
        self,
        source: AnyPath | ArrayLike | Pictures,
        *,
        values: Values | None = None,
        every: Every | None = None,
        fps: float | None = None,
        times_s: ArrayLike | Sequence[float] | None = None,
        max_distance_s: float = DISTANCE_S,
        missing: Missing = "error",
    ) -> None:
        self._source = open_source(source)
        if every is None and fps is None and times_s is None:
            times_s = self._source.times_s
        self._timing = timing(self._source.slots, every=every, fps=fps, times_s=times_s)
        check_choice("missing", missing, get_args(Missing), error=PredictionError)
        self.missing: Missing = missing
        wanted = "a number of seconds, 0 or more"
        self.max_distance_s = number(
            "max_distance_s", max_distance_s, wanted, low=0, error=PredictionError
        )
        self.size = self._source[0].size
        self.values: Values = found_values([self._source]) if values is None else values
        check_choice("values", self.values, get_args(Values), error=PredictionError)

    def __len__(self) -> int:
        return len(self._source.slots)

    def __repr__(self) -> str:
        height, width = self.size
        name = self._source.name
        told = [brief(name)] if name else []
        told += [f"{len(self)} of {width} x {height}", self.values]
        told.append("as often as the clip tells" if self._timing is None else self._timing.told)
        return f"{type(self).__name__}({', '.join(told)})"

    def __getitem__(self, index: int) -> NDArray[np.float32]:
        """(C, h, w) logits, where values are logits, or else probabilities, of one prediction."""
        return np.asarray(as_soft(self._read(index), self.values)[0].numpy())

    @property
    def slots(self) -> NDArray[np.int64]:
        """(T,) of which second or frame each is, from 0, as far as files tell."""
        return self._source.slots

    def raw(self) -> Iterator[Raw]:
        """Each as it was written, in order."""
        return map(self._read, range(len(self)))

    def for_clip(self, num_frames: int | None, duration_s: float | None) -> Predictions:
        """The same predictions, whose times are those of a clip of this length.

        Raises:
            PredictionError: they do not fit it.
        """
        own = self._timing
        if own is None:
            slots = self._source.slots
            every = found_every(slots, num_frames, duration_s)
            own = timing(slots, every=every, fps=None, times_s=None)
        else:
            check_fits(own, num_frames, None if self._source.padded else duration_s)
        fitted = copy.copy(self)
        fitted._timing = own
        return fitted

    def at(self, moment: Moment) -> PredictedFrame | None:
        """What is predicted for a moment; None where missing predictions are skipped.

        Raises:
            PredictionError: no prediction is near, and that is an error.
        """
        if self._timing is None:
            return self.for_clip(None, None).at(moment)
        index, far_s = self._timing.nearest(moment)
        if far_s <= self.max_distance_s:
            return PredictedFrame(self, index)
        name = self._source.name
        if self.missing == "error":
            raise PredictionError(
                f"no prediction is near the keyframe at {moment.time_s:.3f} s: of "
                f"{counted(len(self), 'prediction')}{f' in {name}' if name else ''} the nearest is "
                f"{far_s:.3f} s away, and max_distance_s is {self.max_distance_s:g}. "
                'Give a larger one, or missing="empty" or "skip" (on the command line, '
                "--max-distance and --missing)."
            )
        return PredictedFrame(self, None) if self.missing == "empty" else None

    def __call__(self, frames: Tensor, audio: Tensor) -> Tensor:
        """Predictions answer for a moment alone, and frames do not tell it.

        Raises:
            PredictionError: always; `at` is asked.
        """
        raise PredictionError(
            "predictions are found by time, so they cannot be called with frames alone; call "
            "predictions.at(Moment(time_s, index))(frames, audio), or use them in a pipeline, "
            "CoProp.wrap(predictions)."
        )

    def _read(self, index: int) -> Raw:
        raw = self._source[index]
        if raw.size != self.size:
            (height, width), (first_height, first_width) = raw.size, self.size
            raise ShapeError(
                f"{raw.name} is {width} x {height}, the first of these predictions is "
                f"{first_width} x {first_height}; all of a clip must have one size."
            )
        return raw


@dataclass(frozen=True)
class PredictedFrame(Deaf):
    """A keyframe model with one answer.

    Args:
        predictions: what is answered from.
        index: of the one; None for an empty mask.
    """

    predictions: Predictions
    index: int | None

    def __call__(self, frames: Tensor, audio: Tensor) -> Tensor:
        """(1, C, H, W) logits at the frame's size.

        Args:
            frames: (1, 3, H, W).
            audio: not heard.
        """
        size = (frames.shape[-2], frames.shape[-1])
        if self.index is None:
            return as_logits(frames.new_zeros(1, 1, *size), "probabilities", "predictions")
        raw = self.predictions._read(self.index)
        soft = as_soft(raw, self.predictions.values).to(frames.device)
        if raw.size != size:
            soft = F.interpolate(soft, size, mode="bilinear", align_corners=False)
        if self.predictions.values == "logits":
            return soft
        return as_logits(soft, "probabilities", "predictions")


def found_values(sources: Sequence[Source]) -> Values:
    """What the values of sources of one origin mean, from 32 to 63 evenly among them.

    Raises:
        PredictionError: they could mean several things.
    """
    places = [(source, index) for source in sources for index in range(len(source.slots))]
    step = max(len(places) // _LOOKED_AT, 1)
    return find_values(source[index] for source, index in places[::step])
