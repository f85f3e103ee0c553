"""When masks change, and where control points lie, against when the sound changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from coprop.metrics.base import SummedMetric
from coprop.metrics.functional import (
    ControlPointCounts,
    EventKind,
    control_point_counts,
    event_errors,
)
from coprop.metrics.functional.checks import BoolSeries
from coprop.metrics.functional.timing import check_seconds


class ControlPointScore(SummedMetric):
    """Precision, recall and F1 of the control points of all clips together.

    Args:
        tolerance_s: seconds that the two of a pair may be apart, at least 0.

    Raises:
        CoPropError: a negative tolerance; from updates, times that are not finite.
    """

    plot_upper_bound = 1.0
    matched: Tensor
    predicted: Tensor
    true: Tensor

    def __init__(self, tolerance_s: float = 0.25, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_seconds(tolerance_s, "tolerance_s")
        self.tolerance_s = tolerance_s
        self._tell_apart(tolerance_s)
        for name in ControlPointCounts._fields:
            self._add_sum(name, dtype=torch.int64)

    def update(self, predicted_times: Sequence[float], true_times: Sequence[float]) -> None:
        """Adds a clip: seconds, in any order, without the beginning, which is no change."""
        counts = control_point_counts(predicted_times, true_times, self.tolerance_s)
        self.matched = self.matched + counts.matched
        self.predicted = self.predicted + counts.predicted
        self.true = self.true + counts.true

    def compute(self) -> dict[str, Tensor]:
        """control_point_precision, control_point_recall and control_point_f1, float64 in [0, 1]."""
        counts = ControlPointCounts(int(self.matched), int(self.predicted), int(self.true))
        return {
            f"control_point_{name}": torch.tensor(value, dtype=torch.float64)
            for name, value in counts.scores()._asdict().items()
        }


class _EventError(SummedMetric):
    """Onsets or offsets of all clips together; see `event_errors`.

    Args:
        limit_s: seconds that the two of a pair may be apart, at least 0.

    Raises:
        CoPropError: a negative limit; from updates, what `event_errors` rejects.
    """

    higher_is_better = False
    kind: EventKind
    error_sum_s: Tensor
    pairs: Tensor
    missed: Tensor
    false: Tensor

    def __init__(self, limit_s: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_seconds(limit_s, "limit_s")
        self.limit_s = limit_s
        self._tell_apart(limit_s)
        self._add_sum("error_sum_s")
        for name in ("pairs", "missed", "false"):
            self._add_sum(name, dtype=torch.int64)

    def update(
        self,
        predicted: BoolSeries,
        true: BoolSeries,
        times_s: Sequence[float] | NDArray[np.float64] | Tensor,
    ) -> None:
        """Adds a clip, or one object of it.

        Args:
            predicted: (T,) bool, whether something is masked in each frame.
            true: (T,) bool, whether something sounds.
            times_s: (T,) increasing seconds, when the frames are shown.
        """
        events = event_errors(predicted, true, times_s, kind=self.kind, limit_s=self.limit_s)
        self.error_sum_s = self.error_sum_s + sum(events.errors_s)
        self.pairs = self.pairs + len(events.errors_s)
        self.missed = self.missed + events.missed
        self.false = self.false + events.false

    def compute(self) -> dict[str, Tensor]:
        """With "onset" or "offset" for the kind, float64 each, NaN where there is nothing to count:

        - ``{kind}_error_s``: mean error of the pairs, in seconds;
        - ``{kind}s_missed``: share of the true events without a partner;
        - ``{kind}s_false``: share of the predicted events without a partner.
        """
        return {
            f"{self.kind}_error_s": self.error_sum_s / self.pairs,
            f"{self.kind}s_missed": self.missed.double() / (self.missed + self.pairs),
            f"{self.kind}s_false": self.false.double() / (self.false + self.pairs),
        }


class OnsetError(_EventError):
    """How late or early masks appear against the sounds they belong to.

    Args:
        limit_s: seconds that the two of a pair may be apart, at least 0.

    Raises:
        CoPropError: a negative limit; from updates, what `event_errors` rejects.
    """

    kind = "onset"


class OffsetError(_EventError):
    """How late or early masks disappear against the sounds they belong to; args of `OnsetError`."""

    kind = "offset"
