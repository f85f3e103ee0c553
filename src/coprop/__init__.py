"""Audio-visual video segmentation that keeps time: masks of the objects that make sound.

from coprop import CoProp

result = CoProp.from_pretrained()("clip.mp4")
result.save("out")
"""

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from coprop.control_points.detector import ControlPointDetector
    from coprop.errors import CoPropError
    from coprop.keyframes.predictions import Predictions
    from coprop.keyframes.process.model import ProcessModel
    from coprop.keyframes.segmenter import KeyframeSegmenter
    from coprop.pipeline import CoProp
    from coprop.propagation.propagator import AudioInsertPropagator
    from coprop.result import Result
    from coprop.types import Audio, ControlPoints, FrameMask, Segment
    from coprop.values.categories import Category

__version__ = "0.1.0"

__all__ = [
    "Audio",
    "AudioInsertPropagator",
    "Category",
    "CoProp",
    "CoPropError",
    "ControlPointDetector",
    "ControlPoints",
    "FrameMask",
    "KeyframeSegmenter",
    "Predictions",
    "ProcessModel",
    "Result",
    "Segment",
]

# Loaded when they are asked for: PyTorch takes seconds, in which ``coprop --help`` is long done
# and Ctrl-C should already be answered.
_HOMES = {
    "Audio": "coprop.types",
    "AudioInsertPropagator": "coprop.propagation.propagator",
    "Category": "coprop.values.categories",
    "CoProp": "coprop.pipeline",
    "CoPropError": "coprop.errors",
    "ControlPointDetector": "coprop.control_points.detector",
    "ControlPoints": "coprop.types",
    "FrameMask": "coprop.types",
    "KeyframeSegmenter": "coprop.keyframes.segmenter",
    "Predictions": "coprop.keyframes.predictions",
    "ProcessModel": "coprop.keyframes.process.model",
    "Result": "coprop.result",
    "Segment": "coprop.types",
}


logging.getLogger(__name__).addHandler(logging.NullHandler())  # quiet until somebody listens


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'coprop' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
