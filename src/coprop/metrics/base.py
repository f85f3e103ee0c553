"""What the metrics that see clips one after another have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from coprop.errors import CoPropError
from coprop.metrics.functional import ClassCounts
from coprop.metrics.functional.checks import BoolSeries, as_tensor, series_of
from coprop.utils.checks import check_choice
from coprop.utils.extras import needs

with needs("torchmetrics", "coprop[eval]", "coprop.metrics"):
    from torchmetrics import Metric

FrameSelection = Literal["all", "key", "normal"]
"""Which frames count: all, key frames only, or the others only (paper A.3)."""


class SummedMetric(Metric):
    """A metric whose states are sums: in float64 or of integers, so that they may be split.

    Processes that have each seen some of the clips, and metrics joined by ``merge_state``, give the
    value of one that has seen all.
    """

    full_state_update = False
    is_differentiable = False
    higher_is_better: bool | None = True
    plot_lower_bound = 0.0

    def plot(self, val: Any = None, ax: Any = None) -> Any:
        """Draws the value, or given values, with matplotlib; returns the figure and its axes."""
        return self._plot(val, ax)

    def _tell_apart(self, *settings: object) -> None:
        """Puts the settings that change what is summed into the name of a state of its own.

        A `torchmetrics.MetricCollection` goes on updating only one of several metrics whose states
        have the same names and happen to be equal after the first clip.
        """
        self._add_sum(f"{type(self).__name__}{settings}", dtype=torch.int64)

    def _add_sum(self, name: str, *shape: int, dtype: torch.dtype = torch.float64) -> None:
        self.add_state(name, torch.zeros(shape, dtype=dtype), dist_reduce_fx="sum")


class FrameMetric(SummedMetric):
    """A metric of frames, all of them or some.

    Args:
        selection: which frames count; other than "all", every update needs ``key_frames``.
        kwargs: of `torchmetrics.Metric`.

    Raises:
        CoPropError: an unknown selection; from updates, what the functional form rejects.
    """

    plot_upper_bound = 1.0
    total: Tensor
    frames: Tensor
    intersection: Tensor
    predicted: Tensor
    target: Tensor

    def __init__(self, *, selection: FrameSelection = "all", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_choice("selection", selection, get_args(FrameSelection))
        self.selection = selection

    def _selected(self, key_frames: BoolSeries | None, *values: Tensor) -> tuple[Tensor, ...]:
        """The values of the frames that count, as tensors; empty ones where no frame does."""
        values = tuple(as_tensor(value, "what a metric is given") for value in values)
        if self.selection == "all":
            return values
        if key_frames is None:
            raise CoPropError(
                f"a metric of {self.selection} frames needs key_frames, one bool for each frame."
            )
        flags = series_of(key_frames, "key_frames")
        if not all(value.ndim for value in values):
            raise CoPropError("a metric of some frames takes (N, H, W) tensors, got a number.")
        if {len(flags)} != {len(value) for value in values}:
            raise CoPropError(
                f"key_frames must have one bool for each frame, got {len(flags)} for "
                f"{', '.join(str(len(value)) for value in values)}."
            )
        kept = flags if self.selection == "key" else ~flags
        return tuple(value[kept.to(value.device)] for value in values)

    def _none_of(self, values: Tensor) -> bool:
        """Whether the selection has left nothing; an empty clip is an error in any other case."""
        return self.selection != "all" and len(values) == 0

    def _add_mean_state(self) -> None:
        self._add_sum("total")
        self._add_sum("frames", dtype=torch.int64)

    def _add_values(self, values: Tensor) -> None:
        self.total = self.total + values.double().sum()
        self.frames = self.frames + len(values)

    def _mean(self) -> Tensor:
        """NaN where nothing was counted."""
        return self.total / self.frames

    def _add_count_states(self, num_classes: int) -> None:
        for name in ("intersection", "predicted", "target"):
            self._add_sum(name, num_classes, dtype=torch.int64)

    def _add_counts(self, counts: ClassCounts) -> None:
        self.intersection = self.intersection + counts.intersection
        self.predicted = self.predicted + counts.predicted
        self.target = self.target + counts.target

    def _counts(self) -> ClassCounts:
        return ClassCounts(self.intersection, self.predicted, self.target)


class FrameMean(FrameMetric):
    """The mean of one number of each frame that counts.

    Args:
        selection: which frames count.
        kwargs: of `torchmetrics.Metric`.
    """

    def __init__(self, *, selection: FrameSelection = "all", **kwargs: Any) -> None:
        super().__init__(selection=selection, **kwargs)
        self._tell_apart(selection)
        self._add_mean_state()

    def _add_frames(
        self, numbers: Callable[..., Tensor], key_frames: BoolSeries | None, *values: Tensor
    ) -> None:
        """Adds what a function makes of the frames that count."""
        values = self._selected(key_frames, *values)
        if not self._none_of(values[0]):
            self._add_values(numbers(*values))

    def compute(self) -> Tensor:
        """The mean over the frames that counted; scalar float64, NaN where there were none."""
        return self._mean()
