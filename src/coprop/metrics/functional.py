"""How well masks, their changes and the sounding objects are found: plain functions of tensors."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from coprop.errors import CoPropError

TIME_SLACK_S = 1e-9
"""Times of this difference count as equal, so that 0.3 lies within 0.1 of 0.2 in floating point."""


class ControlPointScores(NamedTuple):
    """Shares in [0, 1] of the control points found and wanted that match each other."""

    precision: float
    recall: float
    f1: float


def jaccard(prediction: Tensor, target: Tensor) -> Tensor:
    """Jaccard index (intersection over union) of the foreground, for every frame.

    A frame in which neither has foreground scores 1; one in which only one of them has, 0. This is
    the definition of video object segmentation (DAVIS). AVSBench's own scripts count frames without
    a target differently: see `avsbench_jaccard`.

    Args:
        prediction: (..., H, W) bool or integer; whatever is not 0 is foreground.
        target: the same shape.

    Returns:
        (...) float32 in [0, 1].

    Raises:
        CoPropError: shapes that differ, fewer than two dimensions, or floats, which would need a
            threshold.
    """
    predicted, wanted = _foreground(prediction, "prediction"), _foreground(target, "target")
    _check_same_shape(predicted, wanted)
    intersection = (predicted & wanted).sum((-2, -1))
    union = (predicted | wanted).sum((-2, -1))
    return torch.where(union == 0, 1.0, intersection / union.clamp(min=1))


def avsbench_jaccard(probabilities: Tensor, target: Tensor) -> Tensor:
    """The per-frame score that AVSBench's evaluation averages into its mean Jaccard index.

    It is `jaccard` of the probabilities above 0.5, but in a frame without target it is the share of
    pixels left to the background: a prediction that should be empty is credited for whatever it
    leaves out. From `mask_iou` in the benchmark's ``utils/utility.py``.

    Args:
        probabilities: (..., H, W) float in [0, 1]; the sigmoid of a network's logits.
        target: (..., H, W) bool or integer; whatever is not 0 is foreground.

    Returns:
        (...) float32 in [0, 1].

    Raises:
        CoPropError: shapes that differ, fewer than two dimensions, an integer or bool prediction,
            values outside [0, 1] (logits, or NaN), or a float target.
    """
    if not probabilities.is_floating_point():
        raise CoPropError(
            f"avsbench_jaccard takes float probabilities, got {probabilities.dtype}; convert masks "
            "with .float()."
        )
    if not bool(((probabilities >= 0) & (probabilities <= 1)).all()):
        raise CoPropError(
            "probabilities must lie in [0, 1]; apply torch.sigmoid() to logits, and look for NaN."
        )
    wanted = _foreground(target, "target")
    _check_same_shape(probabilities, wanted)
    predicted = probabilities > 0.5
    left_out = (~predicted).float().mean((-2, -1))
    return torch.where(wanted.any(-1).any(-1), jaccard(predicted, wanted), left_out)


def alignment(
    prediction: Tensor,
    objects: Tensor,
    sounding: Tensor,
    *,
    covered: float = 0.5,
    outside: float = 0.2,
) -> bool:
    """Whether a frame's prediction marks the sounding objects, all of them and no others.

    It does if the visible objects of which at least the share `covered` is predicted are the
    visible objects that sound, and if no more than the share `outside` of the predicted area lies
    off the sounding objects. So an empty prediction is right where nothing visible sounds, and
    only an empty one is.

    Args:
        prediction: (H, W) bool or integer; whatever is not 0 is foreground.
        objects: (O, H, W) bool or integer, a mask for each object; an object with an empty mask is
            not visible and does not count.
        sounding: (O,) bool.
        covered: in (0, 1].
        outside: in [0, 1).

    Raises:
        CoPropError: shapes that do not belong together, floats, or thresholds out of range.
    """
    if not (0 < covered <= 1 and 0 <= outside < 1):
        raise CoPropError(
            f"alignment needs covered in (0, 1] and outside in [0, 1), got {covered} and {outside}."
        )
    predicted, masks = _foreground(prediction, "prediction"), _foreground(objects, "objects")
    if predicted.ndim != 2 or masks.shape != (len(sounding), *predicted.shape):
        raise CoPropError(
            "alignment takes a prediction (H, W), objects (O, H, W) and sounding (O,), got shapes "
            f"{tuple(prediction.shape)}, {tuple(objects.shape)} and {tuple(sounding.shape)}."
        )
    areas = masks.sum((-2, -1))
    heard = sounding.bool() & (areas > 0)
    marked = (areas > 0) & ((masks & predicted).sum((-2, -1)) >= covered * areas)
    stray = (predicted & ~masks[heard].any(0)).sum()
    return bool((marked == heard).all() and stray <= outside * predicted.sum())


def alignment_rate(
    predictions: Tensor,
    objects: Tensor,
    sounding: Tensor,
    *,
    covered: float = 0.5,
    outside: float = 0.2,
) -> float:
    """Share of a clip's frames for which `alignment` holds.

    Args:
        predictions: (T, H, W) bool or integer.
        objects: (T, O, H, W) bool or integer.
        sounding: (T, O) bool.
        covered: see `alignment`.
        outside: see `alignment`.

    Raises:
        CoPropError: no frames, numbers of frames that differ, or what `alignment` rejects.
    """
    if not len(predictions) == len(objects) == len(sounding) > 0:
        raise CoPropError(
            "alignment_rate needs T >= 1 frames of predictions, objects and sounding, got "
            f"{len(predictions)}, {len(objects)} and {len(sounding)}."
        )
    frames = zip(predictions, objects, sounding, strict=True)
    aligned = [alignment(*frame, covered=covered, outside=outside) for frame in frames]
    return sum(aligned) / len(aligned)


def control_point_scores(
    predicted_times: Sequence[float], true_times: Sequence[float], tolerance_s: float = 0.25
) -> ControlPointScores:
    """Precision, recall and F1 of control points, each matched with at most one other.

    A prediction and a true control point may match if they are no further apart than the tolerance;
    the most pairs that can be formed are counted. Where nothing is predicted, the precision is 1 if
    there was nothing to find and else 0; where there is nothing to find, the recall is 1 if nothing
    is predicted and else 0. So two empty sets score 1 throughout, and one empty set 0.

    Args:
        predicted_times: seconds, in any order; without the beginning, which is no change.
        true_times: likewise.
        tolerance_s: seconds, at least 0.

    Raises:
        CoPropError: times that are not finite, or a negative tolerance.
    """
    predicted, true = sorted(map(float, predicted_times)), sorted(map(float, true_times))
    if not all(map(isfinite, [*predicted, *true])):
        raise CoPropError("control point times must be finite numbers of seconds.")
    if not (isfinite(tolerance_s) and tolerance_s >= 0):
        raise CoPropError(f"tolerance_s must be a number of seconds >= 0, got {tolerance_s}.")
    if not predicted or not true:
        score = float(not predicted and not true)
        return ControlPointScores(score, score, score)
    matched = int(match_times(predicted, true, tolerance_s + TIME_SLACK_S).sum())
    precision, recall = matched / len(predicted), matched / len(true)
    return ControlPointScores(precision, recall, 2 * matched / (len(predicted) + len(true)))


def match_times(
    found_s: Sequence[float] | NDArray[np.float64],
    true_s: Sequence[float] | NDArray[np.float64],
    tolerance_s: float,
) -> NDArray[np.bool_]:
    """Which found times are paired with a true one, one to one, in as many pairs as possible.

    Taking the earliest pair that fits is optimal on a line: of two pairs that cross, the ends can
    be exchanged, and of two points out of reach of each other the earlier one is out of reach of
    all that follow.

    Args:
        found_s: (F,) increasing seconds.
        true_s: (N,) increasing seconds.
        tolerance_s: how far apart the two of a pair may be.

    Returns:
        (F,) True where a found time has a partner.
    """
    matched = np.zeros(len(found_s), dtype=bool)
    i = j = 0
    while i < len(found_s) and j < len(true_s):
        if abs(found_s[i] - true_s[j]) <= tolerance_s:
            matched[i] = True
            i, j = i + 1, j + 1
        elif found_s[i] < true_s[j]:
            i += 1
        else:
            j += 1
    return matched


def _foreground(mask: Tensor, name: str) -> Tensor:
    if mask.is_floating_point() or mask.is_complex():
        raise CoPropError(
            f"{name} must be a bool or integer mask, got {mask.dtype}; threshold it first, for "
            "instance with > 0.5."
        )
    if mask.ndim < 2:
        raise CoPropError(f"{name} must have the shape (..., H, W), got {tuple(mask.shape)}.")
    return mask != 0


def _check_same_shape(prediction: Tensor, target: Tensor) -> None:
    if prediction.shape != target.shape:
        raise CoPropError(
            f"prediction and target must have one shape, got {tuple(prediction.shape)} and "
            f"{tuple(target.shape)}; resize the prediction to the target's size."
        )
