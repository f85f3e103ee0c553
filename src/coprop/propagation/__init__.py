"""Carrying masks from a keyframe to the frames after it, led by sound (paper section 3.4)."""

from __future__ import annotations

from coprop.propagation.config import PropagatorConfig
from coprop.propagation.memory import PropagationState
from coprop.propagation.propagator import AudioInsertPropagator, Propagator

__all__ = ["AudioInsertPropagator", "PropagationState", "Propagator", "PropagatorConfig"]
