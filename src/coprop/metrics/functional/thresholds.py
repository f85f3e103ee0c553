"""F of masks of what sounds: precision against recall, in protocols that have names."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from coprop.errors import CoPropError
from coprop.metrics.functional.checks import as_tensor, check_pair
from coprop.metrics.functional.counts import f_score
from coprop.metrics.functional.regions import binary_class_counts
from coprop.utils.checks import check_choice, whole

_MOST_FRAMES = 1_000_000_000  # more than any dataset has; sizes of tensors stay far from overflow

FProtocol = Literal["avsbench", "dataset"]
"""What F is, with beta squared 0.3.

"avsbench"
    the largest value over 255 thresholds of a batch's mean curve, averaged over batches.
"dataset"
    precision and recall of pixels counted over all frames at the threshold 0.5, background and
    foreground apart, and the mean of the two; what CAVP calls per-dataset.
"""

NUM_THRESHOLDS = 255
"""Thresholds of AVSBench's F, evenly spaced from 0 to 1."""


class ThresholdCounts(NamedTuple):
    """Pixels of the foreground in each frame at AVSBench's 255 thresholds, int64."""

    intersection: Tensor
    """(N, 255), predicted and wanted."""
    predicted: Tensor
    """(N, 255), at or above the threshold."""
    target: Tensor
    """(N,)"""


def threshold_counts(probabilities: Tensor, target: Tensor) -> ThresholdCounts:
    """Pixels at or above each of 255 thresholds from 0 to 1, in float32 as upstream.

    Each pixel is sorted into the interval between two thresholds that it lies in, once, and the
    intervals are added up from above. Args and errors are those of `region_counts`.

    Example:
        >>> counts = threshold_counts(torch.tensor([[[1.0, 0.5]]]), torch.tensor([[[1, 0]]]))
        >>> counts.predicted[0, [0, -1]]  # at the lowest threshold and at the highest
        tensor([2, 1])
    """
    probabilities, wanted = check_pair(probabilities, target)
    # 1 - 1e-10 is 1 in float32, so the last threshold only keeps pixels of probability 1.
    thresholds = torch.linspace(0, 1 - 1e-10, NUM_THRESHOLDS, dtype=torch.float32, device="cpu")
    thresholds = thresholds.to(probabilities.device)
    size = NUM_THRESHOLDS + 1
    rows = []
    for frame, mask in zip(probabilities.detach().float(), wanted, strict=True):
        reached = torch.bucketize(frame, thresholds, right=True)
        rows.append(torch.bincount((reached + size * mask).flatten(), minlength=2 * size))
    histogram = torch.stack(rows).reshape(-1, 2, size)
    at_least = histogram.flip(2).cumsum(2).flip(2)[:, :, 1:]
    return ThresholdCounts(at_least[:, 1], at_least.sum(1), wanted.sum((1, 2)))


def f_curves(probabilities: Tensor, target: Tensor) -> Tensor:
    """F of each frame at each of AVSBench's 255 thresholds, from `_eval_pr` and `Eval_Fmeasure`.

    Curves of several clips can be joined with `torch.cat` and scored by `f_measure_of_curves`.

    Args:
        probabilities: (N, H, W) float in [0, 1].
        target: (N, H, W) bool or integer; whatever is not 0 is foreground.

    Returns:
        (N, 255) float64 in [0, 1]; NaN for frames without target, which have no F.

    Raises:
        CoPropError: what `region_counts` rejects.

    Example:
        >>> f_curves(torch.tensor([[[0.9, 0.1]]]), torch.tensor([[[1, 0]]])).shape
        torch.Size([1, 255])
    """
    counts = threshold_counts(probabilities, target)
    wanted = counts.target[:, None]
    curves = f_score(counts.intersection, counts.predicted, wanted)
    return curves.masked_fill(wanted == 0, torch.nan)


def frame_f_measure(probabilities: Tensor, target: Tensor) -> Tensor:
    """The largest F of each frame over the thresholds; 0, as upstream, for frames without target.

    Args, and what is raised, are those of `f_curves`.

    Returns:
        (N,) float64 in [0, 1].

    Example:
        >>> frame_f_measure(torch.tensor([[[0.9, 0.1]]]), torch.tensor([[[1, 0]]]))
        tensor([1.], dtype=torch.float64)
    """
    return f_curves(probabilities, target).amax(1).nan_to_num()


def batch_f_measures(curves: Tensor, *, frames_per_batch: int | None = 1) -> Tensor:
    """AVSBench's F of each batch of frames, whose curves are given in order.

    Frames without target are left out of their batch's mean curve, of which the largest value
    counts. A batch without any target counts as 0.

    Args:
        curves: (N, 255) float, NaN rows for frames without target: from `f_curves`.
        frames_per_batch: 1 or more; None takes all as one batch.

    Returns:
        (B,) float64 in [0, 1]; the last batch may be smaller.

    Raises:
        CoPropError: no frames, or batches of fewer than one.

    Example:
        >>> batch_f_measures(torch.tensor([[0.25, 0.75], [0.5, 0.25]]))
        tensor([0.7500, 0.5000], dtype=torch.float64)
    """
    curves = as_tensor(curves, "curves")
    if curves.ndim != 2 or len(curves) == 0 or not curves.is_floating_point():
        raise CoPropError(
            f"curves must have the shape (N, 255) with N >= 1 and be float, got {curves.dtype} "
            f"of shape {tuple(curves.shape)}."
        )
    check_frames_per_batch(frames_per_batch)
    batches = torch.split(curves.double(), int(frames_per_batch or len(curves)))
    return torch.stack([batch.nanmean(0).nan_to_num().max() for batch in batches])


def f_measure_of_curves(curves: Tensor, *, frames_per_batch: int | None = 1) -> Tensor:
    """AVSBench's F of the curves of frames in order: the mean of `batch_f_measures`.

    A last batch that is smaller weighs as much as the others. The value depends on the size of the
    batches: frames of one batch share a threshold, which lowers it, but a frame without target
    counts as 0 only where its whole batch has none, which raises it.

    Args, and what is raised, are those of `batch_f_measures`.

    Returns:
        Scalar float64 in [0, 1].

    Example:
        >>> f_measure_of_curves(torch.tensor([[0.25, 0.75], [0.5, 0.25]]), frames_per_batch=2)
        tensor(0.5000, dtype=torch.float64)
    """
    return batch_f_measures(curves, frames_per_batch=frames_per_batch).mean()


def check_frames_per_batch(frames_per_batch: int | None) -> None:
    """At least one frame, or None."""
    if frames_per_batch is not None:
        wanted = "1 or more, a whole number, or None for one batch"
        whole("frames_per_batch", frames_per_batch, wanted, low=1, high=_MOST_FRAMES)


def f_measure(
    probabilities: Tensor,
    target: Tensor,
    *,
    protocol: FProtocol = "avsbench",
    frames_per_batch: int | None = 1,
) -> Tensor:
    """F of frames, by a named protocol.

    Sources: `Eval_Fmeasure` in AVSBench's ``utils/utility.py``, and `ForegroundDetect` with two
    classes in CAVP's ``utils/eval_utils.py``.

    Args:
        probabilities: (N, H, W) float in [0, 1].
        target: (N, H, W) bool or integer; whatever is not 0 is foreground.
        protocol: see `FProtocol`. In "dataset" a foreground that is neither predicted nor wanted in
            any frame is left out of the mean.
        frames_per_batch: of "avsbench" only, whose value depends on it; see `f_measure_of_curves`.
            With 1 it does not matter how frames are split. Published figures come from 5 to 20.

    Returns:
        Scalar float64 in [0, 1].

    Raises:
        CoPropError: what `region_counts` rejects, an unknown protocol, batches of fewer than one
            frame, or batches for "dataset".

    Example:
        >>> f_measure(torch.tensor([[[0.9, 0.1]]]), torch.tensor([[[1, 0]]]))
        tensor(1., dtype=torch.float64)
    """
    check_choice("protocol", protocol, get_args(FProtocol))
    if protocol == "dataset":
        check_no_batches(frames_per_batch)
        return binary_class_counts(probabilities, target).mean_f_measure()
    return f_measure_of_curves(f_curves(probabilities, target), frames_per_batch=frames_per_batch)


def check_no_batches(frames_per_batch: int | None) -> None:
    """What counts pixels over a whole dataset has no batches."""
    if frames_per_batch != 1:
        raise CoPropError(
            f"frames_per_batch is of the protocol 'avsbench', got {frames_per_batch} with "
            "'dataset'; leave it out."
        )
