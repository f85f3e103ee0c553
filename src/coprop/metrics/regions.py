"""J and F of masks of what sounds, by protocols that have names."""

from __future__ import annotations

import sys
from typing import Any, get_args

import torch
from torch import Tensor

from coprop.errors import CoPropError
from coprop.metrics.base import FrameMetric, FrameSelection
from coprop.metrics.functional import (
    NUM_THRESHOLDS,
    FProtocol,
    JaccardProtocol,
    batch_f_measures,
    binary_class_counts,
    f_curves,
    frame_jaccard,
    near_changes,
)
from coprop.metrics.functional.checks import BoolSeries, as_tensor
from coprop.metrics.functional.thresholds import check_frames_per_batch, check_no_batches
from coprop.utils.checks import check_choice, whole


class _JaccardSums(FrameMetric):
    """The sums of J, whatever protocol it follows."""

    def __init__(self, protocol: JaccardProtocol, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_choice("protocol", protocol, get_args(JaccardProtocol))
        self.protocol = protocol
        if protocol == "dataset":
            self._add_count_states(2)
        else:
            self._add_mean_state()

    def _add_frames(self, probabilities: Tensor, target: Tensor) -> None:
        if self.protocol == "dataset":
            self._add_counts(binary_class_counts(probabilities, target))
        else:
            self._add_values(frame_jaccard(probabilities, target, empty=self.protocol))

    def compute(self) -> Tensor:
        """J over all frames that counted; scalar float64 in [0, 1], NaN where there were none."""
        return self._counts().mean_jaccard() if self.protocol == "dataset" else self._mean()


class Jaccard(_JaccardSums):
    """J by a named protocol: `coprop.metrics.functional.jaccard` clip by clip.

    Args:
        protocol: "avsbench", "dataset" or "strict".
        selection: which frames count.

    Raises:
        CoPropError: an unknown protocol or selection; from updates, what `jaccard` rejects.
    """

    def __init__(
        self,
        protocol: JaccardProtocol = "avsbench",
        *,
        selection: FrameSelection = "all",
        **kwargs: Any,
    ) -> None:
        super().__init__(protocol, selection=selection, **kwargs)
        self._tell_apart(protocol, selection)

    def update(
        self, probabilities: Tensor, target: Tensor, key_frames: BoolSeries | None = None
    ) -> None:
        """Adds frames.

        Args:
            probabilities: (N, H, W) float in [0, 1].
            target: (N, H, W) bool or integer.
            key_frames: (N,) bool, for selections of frames.
        """
        probabilities, target = self._selected(key_frames, probabilities, target)
        if not self._none_of(probabilities):
            self._add_frames(probabilities, target)


class JaccardNearChanges(_JaccardSums):
    """J of the frames just before and after what sounds changes, where being late shows.

    Args:
        frames: k; of a change at frame t, frames t - k to t + k - 1 count. See `near_changes`.
        protocol: "avsbench", "dataset" or "strict".

    Raises:
        CoPropError: fewer than one frame, an unknown protocol; from updates, what `jaccard`
            rejects.
    """

    def __init__(self, frames: int, protocol: JaccardProtocol = "avsbench", **kwargs: Any) -> None:
        super().__init__(protocol, selection="all", **kwargs)
        wanted = "1 or more on each side of a change, a whole number"
        frames = self.near = whole("frames", frames, wanted, low=1, high=sys.maxsize)
        self._tell_apart(protocol, frames)

    def update(self, probabilities: Tensor, target: Tensor, is_change: BoolSeries) -> None:
        """Adds the frames of one clip.

        Args:
            probabilities: (T, H, W) float in [0, 1].
            target: (T, H, W) bool or integer.
            is_change: (T,) bool, True for the first frame of what is new.
        """
        near = near_changes(is_change, self.near)
        probabilities = as_tensor(probabilities, "probabilities")
        target = as_tensor(target, "target")
        if not len(near) == len(probabilities) == len(target):
            raise CoPropError(
                f"is_change must have one bool for each frame, got {len(near)} for "
                f"{len(probabilities)} probabilities and {len(target)} targets."
            )
        if near.any():
            near = near.to(probabilities.device)
            self._add_frames(probabilities[near], target[near.to(target.device)])


class FMeasure(FrameMetric):
    """F by a named protocol: `coprop.metrics.functional.f_measure` clip by clip.

    Args:
        protocol: "avsbench" or "dataset".
        frames_per_batch: of "avsbench". A batch does not reach beyond one update, so that it does
            not matter which process sees which clips; to score as scripts do whose batches hold
            several clips, give these clips in one update. None takes all frames, of all updates,
            as one batch.
        selection: which frames count.

    Raises:
        CoPropError: an unknown protocol or selection, or batches that `f_measure` refuses; from
            updates, what it rejects.
    """

    curve_sum: Tensor
    curves: Tensor

    def __init__(
        self,
        protocol: FProtocol = "avsbench",
        *,
        frames_per_batch: int | None = 1,
        selection: FrameSelection = "all",
        **kwargs: Any,
    ) -> None:
        super().__init__(selection=selection, **kwargs)
        check_choice("protocol", protocol, get_args(FProtocol))
        check_frames_per_batch(frames_per_batch)
        self.protocol, self.frames_per_batch = protocol, frames_per_batch
        self._tell_apart(protocol, frames_per_batch, selection)
        if protocol == "dataset":
            check_no_batches(frames_per_batch)
            self._add_count_states(2)
        elif frames_per_batch is None:
            self._add_sum("curve_sum", NUM_THRESHOLDS)
            self._add_sum("curves", dtype=torch.int64)
            self._add_sum("frames", dtype=torch.int64)
        else:
            self._add_mean_state()

    def update(
        self, probabilities: Tensor, target: Tensor, key_frames: BoolSeries | None = None
    ) -> None:
        """Adds frames.

        Args:
            probabilities: (N, H, W) float in [0, 1].
            target: (N, H, W) bool or integer.
            key_frames: (N,) bool, for selections of frames.
        """
        probabilities, target = self._selected(key_frames, probabilities, target)
        if self._none_of(probabilities):
            return
        if self.protocol == "dataset":
            self._add_counts(binary_class_counts(probabilities, target))
            return
        curves = f_curves(probabilities, target)
        if self.frames_per_batch is not None:
            self._add_values(batch_f_measures(curves, frames_per_batch=self.frames_per_batch))
            return
        self.curve_sum = self.curve_sum + curves.nansum(0)
        self.curves = self.curves + (~curves[:, 0].isnan()).sum()
        self.frames = self.frames + len(curves)

    def compute(self) -> Tensor:
        """F over all frames that counted; scalar float64 in [0, 1], NaN where there were none."""
        if self.protocol == "dataset":
            return self._counts().mean_f_measure()
        if self.frames_per_batch is not None:
            return self._mean()
        best = self.curve_sum.max() / self.curves.clamp(min=1)
        return torch.where(self.frames > 0, best, torch.nan)
