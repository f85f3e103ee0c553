"""Scores of masks, of what they align with, and of when they change.

The classes here gather clips one after another, in one process or several (torchmetrics), and take
the keywords of `torchmetrics.Metric` beside their own. The same scores as plain
functions are in `coprop.metrics.functional`, which need torch alone.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

# Loaded when they are asked for, so that the functions do without torchmetrics.
_HOMES = {
    **dict.fromkeys(("FrameSelection",), "base"),
    **dict.fromkeys(("FMeasure", "Jaccard", "JaccardNearChanges"), "regions"),
    **dict.fromkeys(("SemanticFMeasure", "SemanticJaccard"), "semantic"),
    **dict.fromkeys(("AlignmentForm", "AlignmentRate", "FalseArea"), "sound"),
    **dict.fromkeys(("MuteDrop", "SilentArea", "SoundingJaccard"), "sound"),
    **dict.fromkeys(("ControlPointScore", "OffsetError", "OnsetError"), "timing"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'coprop.metrics' has no attribute {name!r}")
    value = getattr(import_module(f"coprop.metrics.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
