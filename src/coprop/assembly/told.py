"""Segmenters that are told words in place of sound, and what that asks of the detector."""

from __future__ import annotations

from typing import Any

from coprop.control_points.detector import ControlPointDetector
from coprop.keyframes.naming import naming


def is_told(segmenter: object) -> bool:
    """Whether a keyframe model has to be told words for what sounds."""
    return hasattr(segmenter, "guided_by")


def usual_detector(segmenter: object, words: object) -> str:
    """The name of the detector that fits where none is named.

    Args:
        segmenter: the keyframe model; None for the default's.
        words: what is to be listened for; None where nobody says.
    """
    return "novelty" if words is None and not is_told(segmenter) else "events"


def with_words(detector: Any, segmenter: object) -> Any:
    """The detector, with AudioSet's names for what sounds if the segmenter needs words.

    Detectors by words and language models have their own.
    """
    scored = isinstance(detector, ControlPointDetector)
    return naming(detector) if scored and is_told(segmenter) else detector
