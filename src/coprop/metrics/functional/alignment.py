"""The paper's Alignment Rate: in how many frames what is masked is what sounds.

The paper (section 4, evaluation metrics) calls it the share of frames in which the identified
object aligns with the ground truth, and says no more. Two exact forms are given here.
"""

from __future__ import annotations

from torch import Tensor

from coprop.errors import CoPropError
from coprop.metrics.functional.checks import (
    BoolSeries,
    as_tensor,
    check_frames,
    check_same_shape,
    foreground,
    series_of,
)
from coprop.utils.checks import number


def aligned_by_identity(
    prediction: Tensor,
    objects: Tensor,
    sounding: Tensor,
    *,
    covered: float = 0.5,
    outside: float = 0.2,
) -> Tensor:
    """Whether each frame's prediction marks the sounding objects, all of them and no others.

    It does if the visible objects of which at least the share `covered` is predicted are those that
    sound, and if no more than the share `outside` of the predicted area lies off the sounding ones.
    So an empty prediction, and no other, is right where nothing visible sounds.

    Args:
        prediction: (N, H, W) bool or integer; whatever is not 0 is foreground.
        objects: (N, O, H, W) bool or integer; an empty mask is an object that cannot be seen.
        sounding: (N, O) bool.
        covered: in (0, 1]; the paper gives none. Half tells an object that is marked from one that
            is touched.
        outside: in [0, 1); likewise. A fifth leaves room for masks that spill over edges.

    Returns:
        (N,) bool.

    Raises:
        CoPropError: shapes that do not belong together, floats, no frames, thresholds out of range.

    Example:
        >>> import torch
        >>> objects = torch.eye(2, dtype=torch.bool)[None, :, None]  # two, of a pixel each
        >>> aligned_by_identity(torch.tensor([[[1, 0]]]), objects, torch.tensor([[True, False]]))
        tensor([True])
    """
    covered = number("covered", covered, "in (0, 1]", above=0, high=1)
    outside = number("outside", outside, "in [0, 1)", low=0, high=1)
    if outside == 1:
        raise CoPropError("outside must be in [0, 1), got 1; at 1 every mask would be aligned.")
    predicted, masks = foreground(prediction, "prediction"), foreground(objects, "objects", 4)
    sounding = as_tensor(sounding, "sounding")
    check_frames(predicted, "prediction")
    frames, *size = predicted.shape
    if masks.shape != (frames, *sounding.shape[1:], *size) or len(sounding) != frames:
        raise CoPropError(
            "alignment takes a prediction (N, H, W), objects (N, O, H, W) and sounding (N, O), got "
            f"shapes {tuple(predicted.shape)}, {tuple(masks.shape)} and {tuple(sounding.shape)}."
        )
    areas = masks.sum((2, 3))
    heard = sounding.bool() & (areas > 0)
    marked = (areas > 0) & ((masks & predicted[:, None]).sum((2, 3)) >= covered * areas)
    stray = (predicted & ~(masks & heard[:, :, None, None]).any(1)).sum((1, 2))
    return (marked == heard).all(1) & (stray <= outside * predicted.sum((1, 2)))


def aligned_by_mask(prediction: Tensor, target: Tensor, *, iou: float = 0.5) -> Tensor:
    """Whether each frame's prediction lies on what sounds, where objects are not told apart.

    It does if intersection over union with the target is at least `iou`; where nothing sounds, if
    the prediction is empty.

    Args:
        prediction: (N, H, W) bool or integer; whatever is not 0 is foreground.
        target: (N, H, W) bool or integer.
        iou: in (0, 1]; one half is what detection takes for a hit (PASCAL VOC).

    Returns:
        (N,) bool.

    Raises:
        CoPropError: shapes that differ, floats, no frames, or a threshold out of range.

    Example:
        >>> import torch
        >>> aligned_by_mask(torch.tensor([[[1, 0]]]), torch.tensor([[[1, 1]]]))
        tensor([True])
    """
    iou = number("iou", iou, "in (0, 1]", above=0, high=1)
    predicted, wanted = foreground(prediction, "prediction"), foreground(target, "target")
    check_frames(predicted, "prediction")
    check_same_shape(predicted, wanted, "prediction and target")
    intersection, union = (predicted & wanted).sum((1, 2)), (predicted | wanted).sum((1, 2))
    return intersection >= iou * union


def alignment_rate(aligned: BoolSeries) -> float:
    """The share of frames that are aligned, in either form.

    Args:
        aligned: (N,) bool: `aligned_by_identity` of each frame, or `aligned_by_mask`.

    Returns:
        In [0, 1].

    Raises:
        CoPropError: no frames, or other than bool.

    Example:
        >>> alignment_rate([True, True, False, True])
        0.75
    """
    return float(series_of(aligned, "aligned").double().mean())
