"""One clip's scores: what each frame adds to the figures, as plain numbers that a file can hold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat, zip_longest
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from coprop.data.labelled import FrameTruth, LabelledClip
from coprop.errors import CoPropError, DatasetError
from coprop.evaluation.methods import Prediction
from coprop.metrics.functional import (
    FOREGROUND_ABOVE,
    TIME_SLACK_S,
    EventKind,
    aligned_by_identity,
    aligned_by_mask,
    control_point_counts,
    event_errors,
    f_curves,
    false_area,
    frame_class_counts,
    frame_jaccard,
    near_changes,
    region_counts,
    silent_area,
)
from coprop.metrics.functional.checks import as_tensor
from coprop.types import FrameMask
from coprop.utils.checks import number, whole

_MOST_FRAMES = 1_000_000_000  # more than any dataset has, and far from what overflows
_COVERED = 0.5  # share of an object's area from which it counts as marked, as in alignment


@dataclass(frozen=True)
class ScoreOptions:
    """What the figures depend on; docs/metrics.md defines them.

    Args:
        tolerance_s: how far a control point may be from the true one, in seconds.
        near_frames: frames on either side of a change that count as near it.
        event_limit_s: how far a mask's onset or offset may be from the true one, in seconds.
        frames_per_batch: frames over which the threshold of F is chosen.
    """

    tolerance_s: float = 0.25
    near_frames: int = 1
    event_limit_s: float = 1.0
    frames_per_batch: int = 1

    def __post_init__(self) -> None:
        for name in ("tolerance_s", "event_limit_s"):
            value = number(name, getattr(self, name), "a number of seconds >= 0", low=0)
            object.__setattr__(self, name, value)
        for name, low in (("near_frames", 0), ("frames_per_batch", 1)):
            wanted = f"a whole number, {low} or more"
            value = whole(name, getattr(self, name), wanted, low=low, high=_MOST_FRAMES)
            object.__setattr__(self, name, value)


@contextmanager
def told_with(clip: LabelledClip) -> Iterator[None]:
    """Puts the clip's name before errors of those who do not know it."""
    try:
        yield
    except CoPropError as error:
        sentence, *below = error.args or ("",)
        if clip.name in str(sentence).split():
            raise
        raise type(error)(f"{clip.name}: {sentence}", *below) from error


def score(
    prediction: Prediction, clip: LabelledClip, options: ScoreOptions, num_classes: int
) -> dict[str, Any]:
    """The scores of a clip, frame by frame where figures are means over frames.

    Args:
        prediction: the masks, in the order of the clip's frames.
        clip: the clip; frames without annotation do not count.
        options: of the scores.
        num_classes: of the dataset; above 1, the scores of the classes come too.

    Raises:
        CoPropError: a clip without any annotated frame.
        DatasetError: a clip with more or fewer truths than frames.
    """
    seen = _Frames(options, num_classes)
    for mask, truth in zip_longest(prediction.masks, clip.truth):
        if mask is None or truth is None:
            raise DatasetError(
                f"{clip.name} has {'more' if mask is None else 'fewer'} truths than masks; give "
                "one for each frame, FrameTruth(None) where nothing is annotated."
            )
        seen.add(mask, truth)
    if not any(seen.annotated):
        raise CoPropError(
            f"{clip.name} has no annotated frame; leave it out, or choose another split."
        )
    frames = dict(seen.columns)
    changes = _changes(clip, seen)
    if changes is not None:
        # The first frame begins a segment, so it is a key frame, though nothing changes there.
        frames["key"] = [bool(change) or i == 0 for i, change in enumerate(changes)]
        frames["near"] = near_changes(changes, options.near_frames).tolist()
    return {
        "num_frames": len(seen.times_s),
        "num_keyframes": seen.num_keyframes,
        "frames": frames,
        "events": {kind: seen.events(kind) for kind in get_args(EventKind)},
        "control_points": _control_points(prediction, clip, options.tolerance_s),
    }


def disturbed_columns(
    prediction: Prediction | None, clip: LabelledClip, sound: str
) -> dict[str, list[float | None]]:
    """What each annotated frame adds to the figures of masks predicted from another sound.

    Args:
        prediction: the masks, in the order of the clip's frames; None where there is no such sound
            for the clip.
        clip: with the truth of its own sound.
        sound: the name of what was heard.

    Returns:
        J against the clip's own truth, and the share of the frame that is masked; None without a
        prediction.
    """
    jaccards: list[float | None] = []
    areas: list[float | None] = []
    masks = repeat(None) if prediction is None else prediction.masks
    for truth, mask in zip(clip.truth, masks, strict=prediction is not None):
        if truth.labels is None:
            continue
        if mask is None:
            jaccards.append(None)
            areas.append(None)
            continue
        soft, wanted = _tensors(mask, truth.labels)
        jaccards.append(float(frame_jaccard(soft, wanted)))
        areas.append(float(false_area(soft > FOREGROUND_ABOVE)))
    return {f"{sound}_jaccard": jaccards, f"{sound}_false_area": areas}


class _Frames:
    """Collects the columns of figures while masks and truth pass by, one frame at a time."""

    def __init__(self, options: ScoreOptions, num_classes: int) -> None:
        self.columns: dict[str, list[Any]] = {}
        self.times_s: list[float] = []
        self.annotated: list[bool] = []
        self.num_keyframes = 0
        self._options = options
        self._num_classes = num_classes
        self._shown: list[tuple[bool, ...]] = []
        self._wanted: list[tuple[bool, ...]] = []

    def add(self, mask: FrameMask, truth: FrameTruth) -> None:
        self.times_s.append(mask.time_s)
        self.annotated.append(truth.labels is not None)
        self.num_keyframes += mask.is_keyframe
        if truth.labels is None:
            return
        soft, wanted = _tensors(mask, truth.labels)
        found = soft > FOREGROUND_ABOVE
        counts = region_counts(soft, wanted)
        sums = [counts.intersection, counts.predicted, counts.target]
        self._put("counts", [*(int(n) for n in sums), wanted.numel()])
        self._put("jaccard_avsbench", float(frame_jaccard(soft, wanted)))
        self._put("jaccard_strict", float(frame_jaccard(soft, wanted, empty="strict")))
        curve = f_curves(soft, wanted)[0]
        if self._options.frames_per_batch > 1:  # the threshold is chosen over several frames
            self._put("f_curve", curve.tolist() if wanted.any() else None)
        else:
            self._put("f_measure_avsbench", float(curve.max().nan_to_num()))
        self._put("alignment_mask", bool(aligned_by_mask(found, wanted)))
        area = next(iter(silent_area(found, wanted).tolist()), None)
        self._put("silent_area", area)
        if truth.off_screen is not None:
            self._put("off_screen_area", area if truth.off_screen else None)
        self._add_objects(found[0], wanted[0], truth)
        if self._num_classes > 1:
            self._put("classes", _class_counts(mask, truth.labels, self._num_classes))

    def events(self, kind: EventKind) -> dict[str, Any]:
        """The onsets or offsets of all objects, or of the whole mask where no objects are known."""
        known = np.array(self.annotated, dtype=bool)
        times_s = np.array(self.times_s)[known]
        errors: list[float] = []
        missed = false = 0
        series = (np.array(x, dtype=bool).T for x in (self._shown, self._wanted))
        for shown, wanted in zip(*series, strict=True):
            found = event_errors(
                shown, wanted, times_s, kind=kind, limit_s=self._options.event_limit_s
            )
            errors += found.errors_s
            missed, false = missed + found.missed, false + found.false
        return {"errors_s": errors, "missed": missed, "false": false}

    def _add_objects(self, found: Tensor, wanted: Tensor, truth: FrameTruth) -> None:
        if truth.objects is None or truth.sounding is None:
            self._shown.append((bool(found.any()),))
            self._wanted.append((bool(wanted.any()),))
            return
        objects = as_tensor(truth.objects, "objects")
        sounding = as_tensor(truth.sounding, "sounding")
        aligned = aligned_by_identity(found[None], objects[None], sounding[None])
        self._put("alignment_identity", bool(aligned))
        areas = objects.sum((1, 2))
        marked = (areas > 0) & ((objects & found).sum((1, 2)) >= _COVERED * areas)
        self._shown.append(tuple(marked.tolist()))
        self._wanted.append(tuple((sounding & (areas > 0)).tolist()))

    def _put(self, name: str, value: Any) -> None:
        self.columns.setdefault(name, []).append(value)


def _tensors(mask: FrameMask, labels: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
    """(1, H, W) each: the probability that anything sounds, and where something does."""
    soft = torch.from_numpy(sounding_probability(mask))
    return soft.unsqueeze(0), torch.from_numpy(labels > 0).unsqueeze(0)


def sounding_probability(mask: FrameMask) -> NDArray[np.float32]:
    """(H, W) that anything sounds; from the labels where soft masks were not kept."""
    if mask.probabilities is None:
        return (mask.labels > 0).astype(np.float32)
    # Rounding may leave a sum of one slightly beyond it.
    return np.asarray(np.clip(1 - mask.probabilities[0], 0, 1))


def _class_counts(
    mask: FrameMask, labels: NDArray[np.uint8], num_classes: int
) -> dict[str, list[int]]:
    """Pixels of each class that is there: predicted rightly, predicted, wanted."""
    found, wanted = (torch.from_numpy(x.astype(np.int64))[None] for x in (mask.labels, labels))
    counts = torch.stack(frame_class_counts(found, wanted, num_classes), dim=2)[0]
    return {str(c): row for c, row in enumerate(counts.tolist()) if any(row)}


def _changes(clip: LabelledClip, seen: _Frames) -> NDArray[np.bool_] | None:
    """Which annotated frame is the first at or after a true change; None where none are known."""
    if clip.change_times_s is None:
        return None
    times_s = np.array(seen.times_s)
    first = np.searchsorted(times_s, np.array(clip.change_times_s) - TIME_SLACK_S)
    flags = np.zeros(len(times_s), dtype=bool)
    flags[first[(first > 0) & (first < len(times_s))]] = True
    return np.asarray(flags[np.array(seen.annotated)])


def _control_points(
    prediction: Prediction, clip: LabelledClip, tolerance_s: float
) -> dict[str, int] | None:
    if prediction.change_times_s is None or clip.change_times_s is None:
        return None
    counts = control_point_counts(prediction.change_times_s, clip.change_times_s, tolerance_s)
    return {name: int(value) for name, value in counts._asdict().items()}
