"""J and F of classes, as AVSBench-Semantic scores them: frame by frame, then class by class."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from coprop.metrics.functional.counts import Classes, f_score, frame_class_counts, mean_over_classes
from coprop.utils.brief import Brief


@dataclass(frozen=True, eq=False, repr=False)
class SemanticSums(Brief):
    """Scores of each class summed over frames; sums over clips or processes add with ``+``.

    Args:
        jaccard: (C,) float64, summed over the frames in which the class is predicted or wanted.
        f_measure: (C,) float64, likewise.
        frames: (C,) int64, how many those are.
    """

    jaccard: Tensor
    f_measure: Tensor
    frames: Tensor

    def __add__(self, other: SemanticSums) -> SemanticSums:
        return SemanticSums(
            self.jaccard + other.jaccard,
            self.f_measure + other.f_measure,
            self.frames + other.frames,
        )

    @property
    def jaccard_per_class(self) -> Tensor:
        """(C,) float64 in [0, 1], mean over the class's frames; 0 for classes not seen."""
        return self.jaccard / self.frames.clamp(min=1)

    @property
    def f_measure_per_class(self) -> Tensor:
        """(C,) float64 in [0, 1], likewise."""
        return self.f_measure / self.frames.clamp(min=1)

    def mean_jaccard(self, *, classes: Classes = "all", include_unseen: bool = True) -> Tensor:
        """Mean over classes, float64 in [0, 1].

        Args:
            classes: "all" is the official figure and "last_dropped" the official one "without
                background"; see `Classes`.
            include_unseen: whether classes that are seen nowhere count as 0, as in the official
                figures. Without them: what the official scripts log on the way.
        """
        return mean_over_classes(self.jaccard_per_class, self.frames > 0, classes, include_unseen)

    def mean_f_measure(self, *, classes: Classes = "all", include_unseen: bool = True) -> Tensor:
        """Mean over classes, float64 in [0, 1]; as `mean_jaccard`."""
        return mean_over_classes(self.f_measure_per_class, self.frames > 0, classes, include_unseen)


def semantic_sums(labels: Tensor, target: Tensor, num_classes: int) -> SemanticSums:
    """J and F of each class, summed over the frames in which it is predicted or wanted.

    From `calc_color_miou_fscore` in AVSBench's ``avss/utils/compute_color_metrics.py``. One pixel
    of a class that is not there adds a frame of score 0 to that class. Frames that only fill up a
    clip must be left out by the caller; upstream they count as perfect background.

    Args:
        labels: (N, H, W) integer in [0, C), the predicted class of each pixel: the argmax.
        target: (N, H, W) integer in [0, C), 0 for background.
        num_classes: C, background included; 71 in AVSBench-Semantic.

    Raises:
        CoPropError: floats, labels out of range, other shapes, no pixels.

    Example:
        >>> import torch
        >>> semantic_sums(torch.tensor([[[0, 1]]]), torch.tensor([[[1, 1]]]), 2).jaccard
        tensor([0.0000, 0.5000], dtype=torch.float64)
    """
    return sums_of_counts(*frame_class_counts(labels, target, num_classes))


def sums_of_counts(intersection: Tensor, predicted: Tensor, target: Tensor) -> SemanticSums:
    """`semantic_sums` of frames whose pixels are counted already, by `frame_class_counts`.

    Args:
        intersection: (N, C) integer, pixels of each class predicted rightly.
        predicted: (N, C) integer.
        target: (N, C) integer.

    Example:
        >>> import torch
        >>> sums_of_counts(*torch.tensor([[[0, 1]], [[1, 1]], [[0, 2]]])).frames
        tensor([1, 1])
    """
    union = predicted + target - intersection
    return SemanticSums(
        (intersection.double() / union.clamp(min=1)).sum(0),
        f_score(intersection, predicted, target).nan_to_num().sum(0),
        (union > 0).sum(0),
    )
