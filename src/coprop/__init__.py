"""Audio-visual video segmentation that keeps time: masks of the objects that make sound.

from coprop import CoProp

result = CoProp.from_pretrained()("clip.mp4")
result.save("out")
"""

from coprop.control_points.detector import ControlPointDetector
from coprop.errors import CoPropError
from coprop.keyframes.segmenter import KeyframeSegmenter
from coprop.pipeline import CoProp
from coprop.propagation.propagator import AudioInsertPropagator
from coprop.result import Result
from coprop.types import Audio, ControlPoints, FrameMask, Segment

__version__ = "0.1.0"

__all__ = [
    "Audio",
    "AudioInsertPropagator",
    "CoProp",
    "CoPropError",
    "ControlPointDetector",
    "ControlPoints",
    "FrameMask",
    "KeyframeSegmenter",
    "Result",
    "Segment",
]
