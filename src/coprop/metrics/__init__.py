"""Scores of masks, of what they align with, and of when they change.

The classes here gather clips one after another, in one process or several (torchmetrics). The same
scores as plain functions are in `coprop.metrics.functional`.
"""

from __future__ import annotations

from coprop.metrics.base import FrameSelection
from coprop.metrics.regions import FMeasure, Jaccard, JaccardNearChanges
from coprop.metrics.semantic import SemanticFMeasure, SemanticJaccard
from coprop.metrics.sound import (
    AlignmentForm,
    AlignmentRate,
    FalseArea,
    MuteDrop,
    SilentArea,
    SoundingJaccard,
)
from coprop.metrics.timing import ControlPointScore, OffsetError, OnsetError

__all__ = [
    "AlignmentForm",
    "AlignmentRate",
    "ControlPointScore",
    "FMeasure",
    "FalseArea",
    "FrameSelection",
    "Jaccard",
    "JaccardNearChanges",
    "MuteDrop",
    "OffsetError",
    "OnsetError",
    "SemanticFMeasure",
    "SemanticJaccard",
    "SilentArea",
    "SoundingJaccard",
]
