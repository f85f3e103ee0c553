"""Pixels counted per class: what every score of regions is made of, and adds up exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from coprop.errors import CoPropError
from coprop.metrics.functional.checks import as_tensor, check_frames, check_same_shape
from coprop.utils.brief import Brief
from coprop.utils.checks import check_choice, whole

_MOST_CLASSES = 65_536  # as many as 16-bit labels tell; counts are kept of each in each frame
Classes = Literal["all", "last_dropped", "true_no_background"]
"""Which classes a mean is taken over.

"all"
    every class, background included.
"last_dropped"
    all but the last. AVSBench calls this "no background", but its background is class 0.
"true_no_background"
    all but class 0.
"""


def f_score(intersection: Tensor, predicted: Tensor, target: Tensor) -> Tensor:
    """F of counted pixels, float64 in [0, 1]; NaN where neither predicted nor wanted.

    With beta squared b = 0.3, as every protocol in the field has it, precision I / P and recall
    I / T, F is (1 + b) * precision * recall / (b * precision + recall) = (1 + b) * I / (b * T + P).
    In tenths all of it are whole numbers, so it is rounded once, and never beyond 1.
    """
    return (13 * intersection).double() / (3 * target + 10 * predicted)


@dataclass(frozen=True, eq=False, repr=False)
class ClassCounts(Brief):
    """Pixels of every class, summed over frames; sums over clips or processes add with ``+``.

    The scores are those of semantic segmentation, and of CAVP's ``utils/eval_utils.py`` (`MIoU`
    and `ForegroundDetect`): ratios of counts over a whole dataset, large regions weighing more.

    Args:
        intersection: (C,) int64, predicted rightly.
        predicted: (C,) int64.
        target: (C,) int64.
    """

    intersection: Tensor
    predicted: Tensor
    target: Tensor

    def __add__(self, other: ClassCounts) -> ClassCounts:
        return ClassCounts(
            self.intersection + other.intersection,
            self.predicted + other.predicted,
            self.target + other.target,
        )

    @property
    def seen(self) -> Tensor:
        """(C,) bool, classes predicted or wanted anywhere."""
        return self.predicted + self.target > 0

    @property
    def jaccard_per_class(self) -> Tensor:
        """(C,) float64 in [0, 1], intersection over union; 0 for classes not seen."""
        union = self.predicted + self.target - self.intersection
        return self.intersection.double() / union.clamp(min=1)

    @property
    def f_measure_per_class(self) -> Tensor:
        """(C,) float64 in [0, 1] with beta squared 0.3; 0 for classes not seen."""
        return f_score(self.intersection, self.predicted, self.target).nan_to_num()

    def mean_jaccard(self, *, classes: Classes = "all", include_unseen: bool = True) -> Tensor:
        """Mean over classes, float64; by default as CAVP does, classes not seen counting as 0."""
        return mean_over_classes(self.jaccard_per_class, self.seen, classes, include_unseen)

    def mean_f_measure(self, *, classes: Classes = "all", include_unseen: bool = False) -> Tensor:
        """Mean over classes, float64; by default as CAVP does, classes not seen left out."""
        return mean_over_classes(self.f_measure_per_class, self.seen, classes, include_unseen)


def class_counts(labels: Tensor, target: Tensor, num_classes: int) -> ClassCounts:
    """Pixels of every class over all frames.

    Args:
        labels: (N, H, W) integer in [0, C), predicted.
        target: (N, H, W) integer in [0, C).
        num_classes: C, background included.

    Raises:
        CoPropError: floats, labels out of range, other shapes, no pixels.

    Example:
        >>> class_counts(torch.tensor([[[0, 1]]]), torch.tensor([[[1, 1]]]), 2).jaccard_per_class
        tensor([0.0000, 0.5000], dtype=torch.float64)
    """
    return ClassCounts(*(count.sum(0) for count in frame_class_counts(labels, target, num_classes)))


def frame_class_counts(
    labels: Tensor, target: Tensor, num_classes: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Intersection, predicted and target, (N, C) int64 each: `class_counts` frame by frame.

    Example:
        >>> frame_class_counts(torch.tensor([[[0, 1]]]), torch.tensor([[[1, 1]]]), 2)
        (tensor([[0, 1]]), tensor([[1, 1]]), tensor([[0, 2]]))
    """
    num_classes = checked_num_classes(num_classes)
    labels = _checked_labels(labels, "labels", num_classes)
    target = _checked_labels(target, "target", num_classes)
    check_same_shape(labels, target, "labels and target")
    right = torch.where(labels == target, labels, num_classes)
    return (
        _histogram(right, num_classes + 1)[:, :-1],
        _histogram(labels, num_classes),
        _histogram(target, num_classes),
    )


def mean_over_classes(
    per_class: Tensor, seen: Tensor, classes: Classes = "all", include_unseen: bool = True
) -> Tensor:
    """Mean of the scores of classes, float64; NaN where there is none to average.

    Args:
        per_class: (C,) float, 0 for classes not seen.
        seen: (C,) bool.
        classes: see `Classes`.
        include_unseen: whether classes not seen count, as 0. Where none is seen at all, no frame
            was counted, and there is nothing to average.

    Raises:
        CoPropError: an unknown selection of classes.

    Example:
        >>> scores, seen = torch.tensor([0.5, 1.0, 0.0]), torch.tensor([True, True, False])
        >>> mean_over_classes(scores, seen, include_unseen=False)
        tensor(0.7500, dtype=torch.float64)
    """
    check_choice("classes", classes, get_args(Classes))
    kept = torch.ones_like(seen)
    if classes != "all":
        kept[-1 if classes == "last_dropped" else 0] = False
    if not include_unseen or not seen.any():
        kept &= seen
    return per_class[kept].double().mean()


def checked_num_classes(num_classes: int) -> int:
    """At least one class."""
    wanted = f"a whole number from 1 to {_MOST_CLASSES}, background included"
    return whole("num_classes", num_classes, wanted, low=1, high=_MOST_CLASSES)


def _checked_labels(labels: Tensor, name: str, num_classes: int) -> Tensor:
    """(N, H, W) int64: two types without a sign cannot be compared with each other."""
    labels = as_tensor(labels, name)
    if labels.is_floating_point() or labels.is_complex():
        raise CoPropError(
            f"{name} must be integers, got {labels.dtype}; take the argmax of scores first."
        )
    check_frames(labels, name)
    labels = labels.long()
    low, high = (int(value) for value in labels.aminmax())
    if low < 0 or high >= num_classes:
        raise CoPropError(
            f"{name} must lie in 0 to {num_classes - 1}, got {low} to {high}; give the right "
            "num_classes, or set labels that are to be ignored to background."
        )
    return labels


def _histogram(labels: Tensor, size: int) -> Tensor:
    return torch.stack([torch.bincount(frame.flatten(), minlength=size) for frame in labels])
