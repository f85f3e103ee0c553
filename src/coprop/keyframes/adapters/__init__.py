"""Adapters: other people's networks, and plain functions, as keyframe models.

None of the networks' code is here or imported; an adapter takes the network that its user built.
"""

from coprop.keyframes.adapters.avsegformer import AVSegFormerAdapter
from coprop.keyframes.adapters.callable import CallableSegmenter
from coprop.keyframes.adapters.catr import CATRAdapter
from coprop.keyframes.adapters.cavp import CAVPAdapter
from coprop.keyframes.adapters.combo import COMBOAdapter
from coprop.keyframes.adapters.registry import adapter_for, how_to_adapt
from coprop.keyframes.adapters.tpavi import TPAVIAdapter

__all__ = [
    "AVSegFormerAdapter",
    "CATRAdapter",
    "CAVPAdapter",
    "COMBOAdapter",
    "CallableSegmenter",
    "TPAVIAdapter",
    "adapter_for",
    "how_to_adapt",
]
