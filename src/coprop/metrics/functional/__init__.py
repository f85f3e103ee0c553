"""The metrics as plain functions: masks and their timing against what is known to sound."""

from __future__ import annotations

from coprop.metrics.functional.alignment import aligned_by_identity, aligned_by_mask, alignment_rate
from coprop.metrics.functional.counts import (
    ClassCounts,
    Classes,
    class_counts,
    frame_class_counts,
    mean_over_classes,
)
from coprop.metrics.functional.regions import (
    FOREGROUND_ABOVE,
    EmptyRule,
    JaccardProtocol,
    RegionCounts,
    binary_class_counts,
    frame_jaccard,
    jaccard,
    region_counts,
)
from coprop.metrics.functional.semantic import SemanticSums, semantic_sums, sums_of_counts
from coprop.metrics.functional.silence import false_area, mute_drop, silent_area, sounding_jaccard
from coprop.metrics.functional.thresholds import (
    NUM_THRESHOLDS,
    FProtocol,
    ThresholdCounts,
    batch_f_measures,
    f_curves,
    f_measure,
    f_measure_of_curves,
    frame_f_measure,
    threshold_counts,
)
from coprop.metrics.functional.timing import (
    TIME_SLACK_S,
    ControlPointCounts,
    ControlPointScores,
    EventErrors,
    EventKind,
    control_point_counts,
    control_point_scores,
    event_errors,
    match_times,
    near_changes,
)

__all__ = [
    "FOREGROUND_ABOVE",
    "NUM_THRESHOLDS",
    "TIME_SLACK_S",
    "ClassCounts",
    "Classes",
    "ControlPointCounts",
    "ControlPointScores",
    "EmptyRule",
    "EventErrors",
    "EventKind",
    "FProtocol",
    "JaccardProtocol",
    "RegionCounts",
    "SemanticSums",
    "ThresholdCounts",
    "aligned_by_identity",
    "aligned_by_mask",
    "alignment_rate",
    "batch_f_measures",
    "binary_class_counts",
    "class_counts",
    "control_point_counts",
    "control_point_scores",
    "event_errors",
    "f_curves",
    "f_measure",
    "f_measure_of_curves",
    "false_area",
    "frame_class_counts",
    "frame_f_measure",
    "frame_jaccard",
    "jaccard",
    "match_times",
    "mean_over_classes",
    "mute_drop",
    "near_changes",
    "region_counts",
    "semantic_sums",
    "silent_area",
    "sounding_jaccard",
    "sums_of_counts",
    "threshold_counts",
]
