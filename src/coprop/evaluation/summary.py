"""Figures of a dataset from the rows of its clips, the same in whatever order they came."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from coprop.evaluation.disturbances import DISTURBANCES
from coprop.evaluation.scores import ScoreOptions
from coprop.metrics.functional import (
    ClassCounts,
    ControlPointCounts,
    f_measure_of_curves,
    sums_of_counts,
)

ClipScores = dict[str, Any]
"""What `coprop.evaluation.scores.score` says of one clip."""

FrameScores = dict[str, Any]
"""The same of one frame."""

_MEANS = (
    "jaccard_avsbench",
    "f_measure_avsbench",
    "jaccard_strict",
    "alignment_identity",
    "alignment_mask",
    "silent_area",
    "off_screen_area",
)


def summarise(
    clips: Sequence[ClipScores], options: ScoreOptions, num_classes: int
) -> dict[str, dict[str, Any]]:
    """The figures of all frames, of key frames and of normal frames (paper A.3); None for no value.

    Sums are exact before they are rounded once, so neither the order of the clips nor who scored
    them matters. Key frames are those of the truth, the same for every method.
    """
    frames = [frame for clip in clips for frame in _rows(clip["frames"])]
    key_frames = [f for f in frames if f.get("key") is True]
    normal_frames = [f for f in frames if f.get("key") is False]
    figures = {
        "all frames": _regions(frames, options, num_classes),
        "key frames": _regions(key_frames, options, num_classes),
        "normal frames": _regions(normal_frames, options, num_classes),
    }
    figures["all frames"] |= {
        "jaccard_near_changes": mean(f["jaccard_strict"] for f in frames if f.get("near")),
        **_disturbed(frames),
        **_events(clips, "onset"),
        **_events(clips, "offset"),
        **_control_points([c["control_points"] for c in clips if c["control_points"]]),
        "keyframes_per_frame": _ratio(
            sum(c["num_keyframes"] for c in clips), sum(c["num_frames"] for c in clips)
        ),
    }
    return figures


def mean(values: Iterable[float | None]) -> float | None:
    """The mean of the values that are there, exactly rounded; None where there are none."""
    known = [float(value) for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def _rows(columns: dict[str, list[Any]]) -> list[FrameScores]:
    return [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]


def _regions(
    frames: Sequence[FrameScores], options: ScoreOptions, num_classes: int
) -> dict[str, Any]:
    figures: dict[str, Any] = {"frames": len(frames)}
    figures |= {name: mean(f.get(name) for f in frames) for name in _MEANS}
    if not frames:
        return figures
    if options.frames_per_batch > 1:
        figures["f_measure_avsbench"] = _batched_f_measure(frames, options.frames_per_batch)
    totals = _two_classes(torch.tensor([f["counts"] for f in frames], device="cpu").sum(0))
    figures["jaccard_dataset"] = float(totals.mean_jaccard())
    figures["f_measure_dataset"] = float(totals.mean_f_measure())
    if num_classes > 1:
        figures |= _classes([f["classes"] for f in frames], num_classes)
    return figures


def _batched_f_measure(frames: Sequence[FrameScores], frames_per_batch: int) -> float:
    size = max(len(f["f_curve"] or ()) for f in frames) or 1
    nothing = [math.nan] * size  # a frame without target has no curve
    curves = torch.from_numpy(np.array([f["f_curve"] or nothing for f in frames], np.float64))
    return float(f_measure_of_curves(curves, frames_per_batch=frames_per_batch))


def _two_classes(counts: Tensor) -> ClassCounts:
    """Background and foreground, from the foreground's intersection, prediction, target; pixels."""
    both, predicted, target, pixels = counts
    neither = pixels - (predicted + target - both)
    return ClassCounts(
        torch.stack([neither, both]),
        torch.stack([pixels - predicted, predicted]),
        torch.stack([pixels - target, target]),
    )


def _classes(frames: Sequence[dict[str, list[int]]], num_classes: int) -> dict[str, Any]:
    table = np.zeros((len(frames), num_classes, 3), dtype=np.int64)
    for i, frame in enumerate(frames):
        for label, row in frame.items():
            table[i, int(label)] = row
    counts = torch.from_numpy(table)
    sums, totals = sums_of_counts(*counts.unbind(2)), ClassCounts(*counts.sum(0).unbind(1))
    return {
        "class_jaccard_avsbench": float(sums.mean_jaccard()),
        "class_f_measure_avsbench": float(sums.mean_f_measure()),
        "class_jaccard_avsbench_last_dropped": float(sums.mean_jaccard(classes="last_dropped")),
        "class_f_measure_avsbench_last_dropped": float(sums.mean_f_measure(classes="last_dropped")),
        "class_jaccard_dataset": float(totals.mean_jaccard()),
        "class_f_measure_dataset": float(totals.mean_f_measure()),
    }


def _disturbed(frames: Sequence[FrameScores]) -> dict[str, Any]:
    """How far the masks follow the sound: J where something sounds, with it and with others."""
    sounding = [f for f in frames if f["counts"][2]]
    figures = {"sounding_jaccard": mean(f["jaccard_avsbench"] for f in sounding)}
    for sound in DISTURBANCES:
        figures[f"{sound}_jaccard"] = mean(f.get(f"{sound}_jaccard") for f in sounding)
        figures[f"{sound}_false_area"] = mean(f.get(f"{sound}_false_area") for f in frames)
    figures["mute_drop"] = mean(
        f["jaccard_avsbench"] - f["muted_jaccard"] for f in sounding if "muted_jaccard" in f
    )
    return figures


def _events(clips: Sequence[ClipScores], kind: str) -> dict[str, Any]:
    events = [clip["events"][kind] for clip in clips]
    errors = [error for found in events for error in found["errors_s"]]
    missed, false = (sum(found[name] for found in events) for name in ("missed", "false"))
    return {
        f"{kind}_error_s": mean(errors),
        f"{kind}s_missed": _ratio(missed, missed + len(errors)),
        f"{kind}s_false": _ratio(false, false + len(errors)),
    }


def _control_points(counts: Sequence[dict[str, int]]) -> dict[str, Any]:
    if not counts:
        return {}
    total = ControlPointCounts(*(sum(c[name] for c in counts) for name in counts[0]))
    return {f"control_point_{name}": v for name, v in total.scores()._asdict().items()}


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
