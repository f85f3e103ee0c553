"""How well masks of what sounds cover it: the Jaccard index J, in protocols that have names."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from coprop.metrics.functional.checks import as_tensor, check_pair
from coprop.metrics.functional.counts import ClassCounts
from coprop.utils.checks import check_choice

EmptyRule = Literal["avsbench", "strict"]
"""How a frame without target is scored.

"avsbench"
    the share of pixels left to the background.
"strict"
    1 if nothing is predicted, else 0, as in video object segmentation (DAVIS).
"""

JaccardProtocol = Literal["avsbench", "dataset", "strict"]
"""What J is.

"avsbench"
    mean of the official score of each frame (`EmptyRule` "avsbench").
"dataset"
    intersections and unions summed over all frames, background and foreground apart, and the mean
    of the two ratios; what CAVP calls per-dataset.
"strict"
    mean of the frames' scores by the rule of DAVIS.
"""

EPSILON = 1e-7
"""Pixels that AVSBench's `mask_iou` adds to unions, against a division by zero."""

FOREGROUND_ABOVE = 0.5
"""The probability above which a pixel is masked: sounding is likelier than not, as upstream."""


class RegionCounts(NamedTuple):
    """Pixels of the foreground in each frame, (N,) int64 each."""

    intersection: Tensor
    union: Tensor
    predicted: Tensor
    target: Tensor


def region_counts(probabilities: Tensor, target: Tensor) -> RegionCounts:
    """Pixels predicted (probability above 0.5), wanted, both and either.

    Summed over frames they give the protocol "dataset", as `binary_class_counts` does.

    Args:
        probabilities: (N, H, W) float in [0, 1], of sounding.
        target: (N, H, W) bool or integer; whatever is not 0 sounds.

    Raises:
        CoPropError: logits, NaN or integers for probabilities, a float target, other shapes, no
            pixels.

    Example:
        >>> region_counts(torch.tensor([[[0.9, 0.1]]]), torch.tensor([[[1, 1]]])).union
        tensor([2])
    """
    probabilities, wanted = check_pair(probabilities, target)
    predicted = probabilities > FOREGROUND_ABOVE
    return RegionCounts(
        (predicted & wanted).sum((1, 2)),
        (predicted | wanted).sum((1, 2)),
        predicted.sum((1, 2)),
        wanted.sum((1, 2)),
    )


def frame_jaccard(
    probabilities: Tensor, target: Tensor, *, empty: EmptyRule = "avsbench"
) -> Tensor:
    """Intersection over union of the foreground in each frame.

    The rule "avsbench" is that of `mask_iou` in AVSBench's ``utils/utility.py``, which averages
    this over frames. A mask that covers a tenth of a frame in which nothing sounds still scores
    0.9 by it; see `silent_area` for what it covers.

    Args:
        probabilities: (N, H, W) float in [0, 1]; above 0.5 is foreground.
        target: (N, H, W) bool or integer; whatever is not 0 is foreground.
        empty: how a frame without target is scored.

    Returns:
        (N,) float64 in [0, 1].

    Raises:
        CoPropError: what `region_counts` rejects, or an unknown rule.

    Example:
        >>> frame_jaccard(torch.tensor([[[0.9, 0.1]]]), torch.tensor([[[1, 1]]]))
        tensor([0.5000], dtype=torch.float64)
    """
    check_choice("empty", empty, get_args(EmptyRule))
    counts = region_counts(probabilities, target)
    silent = counts.target == 0
    if empty == "strict":
        ratio = counts.intersection.double() / counts.union.clamp(min=1)
        return torch.where(silent, (counts.predicted == 0).double(), ratio)
    pixels = as_tensor(probabilities, "probabilities")[0].numel()
    kept = torch.where(silent, pixels - counts.predicted, counts.intersection)
    return kept.double() / (torch.where(silent, pixels, counts.union).double() + EPSILON)


def jaccard(
    probabilities: Tensor, target: Tensor, *, protocol: JaccardProtocol = "avsbench"
) -> Tensor:
    """J of frames, by a named protocol: AVSBench's own, where none is given.

    Values of different protocols cannot be compared; tell which with every figure.

    Sources: AVSBench's ``utils/utility.py`` (`mask_iou`; its scripts average batches, so a smaller
    last batch weighs more there) and CAVP's ``utils/eval_utils.py`` (`MIoU` with two classes).

    Args:
        probabilities: (N, H, W) float in [0, 1]; above 0.5 is foreground.
        target: (N, H, W) bool or integer; whatever is not 0 is foreground.
        protocol: see `JaccardProtocol`. In "dataset" a foreground that is neither predicted nor
            wanted in any frame counts as 0.

    Returns:
        Scalar float64 in [0, 1].

    Raises:
        CoPropError: what `region_counts` rejects, or an unknown protocol.

    Example:
        >>> jaccard(torch.tensor([[[0.9, 0.1]]]), torch.tensor([[[1, 1]]]), protocol="strict")
        tensor(0.5000, dtype=torch.float64)
    """
    check_choice("protocol", protocol, get_args(JaccardProtocol))
    if protocol == "dataset":
        return binary_class_counts(probabilities, target).mean_jaccard()
    return frame_jaccard(probabilities, target, empty=protocol).mean()


def binary_class_counts(probabilities: Tensor, target: Tensor) -> ClassCounts:
    """Pixels of background and foreground over all frames: the sums of the protocol "dataset".

    Args and errors are those of `region_counts`. ``jaccard_per_class[1]`` of the result is the
    foreground's alone.

    Example:
        >>> counts = binary_class_counts(torch.tensor([[[0.9, 0.1]]]), torch.tensor([[[1, 1]]]))
        >>> counts.jaccard_per_class
        tensor([0.0000, 0.5000], dtype=torch.float64)
    """
    counts = region_counts(probabilities, target)
    both, either, predicted, wanted = (count.sum() for count in counts)
    pixels = as_tensor(probabilities, "probabilities").numel()
    return ClassCounts(
        torch.stack([pixels - either, both]),
        torch.stack([pixels - predicted, predicted]),
        torch.stack([pixels - wanted, wanted]),
    )
