"""J and F of classes, by the protocols of AVSBench-Semantic and of whole datasets."""

from __future__ import annotations

from typing import Any, get_args

import torch
from torch import Tensor

from coprop.metrics.base import FrameMetric, FrameSelection
from coprop.metrics.functional import (
    ClassCounts,
    Classes,
    FProtocol,
    SemanticSums,
    class_counts,
    semantic_sums,
)
from coprop.metrics.functional.checks import BoolSeries
from coprop.metrics.functional.counts import checked_num_classes
from coprop.utils.checks import check_choice


class _SemanticMetric(FrameMetric):
    """The sums of J and F of classes; `SemanticJaccard` says what the arguments are."""

    jaccard_sum: Tensor
    f_measure_sum: Tensor
    class_frames: Tensor

    def __init__(
        self,
        num_classes: int,
        protocol: FProtocol = "avsbench",
        *,
        classes: Classes = "all",
        include_unseen: bool | None = None,
        selection: FrameSelection = "all",
        **kwargs: Any,
    ) -> None:
        super().__init__(selection=selection, **kwargs)
        check_choice("protocol", protocol, get_args(FProtocol))
        check_choice("classes", classes, get_args(Classes))
        num_classes = checked_num_classes(num_classes)
        self.num_classes, self.protocol = num_classes, protocol
        self._tell_apart(num_classes, protocol, selection)
        self._options: dict[str, Any] = {"classes": classes}
        if include_unseen is not None:
            self._options["include_unseen"] = include_unseen
        if protocol == "dataset":
            self._add_count_states(num_classes)
            return
        self._add_sum("jaccard_sum", num_classes)
        self._add_sum("f_measure_sum", num_classes)
        self._add_sum("class_frames", num_classes, dtype=torch.int64)

    def update(self, labels: Tensor, target: Tensor, key_frames: BoolSeries | None = None) -> None:
        """Adds frames.

        Args:
            labels: (N, H, W) integer in [0, C), predicted.
            target: (N, H, W) integer in [0, C).
            key_frames: (N,) bool, for selections of frames.
        """
        labels, target = self._selected(key_frames, labels, target)
        if self._none_of(labels):
            return
        if self.protocol == "dataset":
            self._add_counts(class_counts(labels, target, self.num_classes))
            return
        sums = semantic_sums(labels, target, self.num_classes)
        self.jaccard_sum = self.jaccard_sum + sums.jaccard
        self.f_measure_sum = self.f_measure_sum + sums.f_measure
        self.class_frames = self.class_frames + sums.frames

    def _sums(self) -> SemanticSums | ClassCounts:
        if self.protocol == "dataset":
            return self._counts()
        return SemanticSums(self.jaccard_sum, self.f_measure_sum, self.class_frames)


class SemanticJaccard(_SemanticMetric):
    """Mean J over classes, or over those that ``classes`` and ``include_unseen`` leave.

    Args:
        num_classes: C, background included; 71 in AVSBench-Semantic.
        protocol: "avsbench", frame by frame (`semantic_sums`), or "dataset", as CAVP does
            (`class_counts`).
        classes: which classes the mean is taken over; see `Classes`.
        include_unseen: whether classes seen nowhere count as 0; None as the protocol has it: they
            do, except for F in "dataset".
        selection: which frames count.

    Raises:
        CoPropError: an unknown protocol, selection of classes or frames, or no number of classes;
            from updates, what `semantic_sums` rejects.
    """

    def compute(self) -> Tensor:
        """Scalar float64 in [0, 1]; NaN where there is no class to average."""
        return self._sums().mean_jaccard(**self._options)


class SemanticFMeasure(_SemanticMetric):
    """Mean F over classes with beta squared 0.3; args and errors are those of `SemanticJaccard`."""

    def compute(self) -> Tensor:
        """Scalar float64 in [0, 1]; NaN where there is no class to average."""
        return self._sums().mean_f_measure(**self._options)
