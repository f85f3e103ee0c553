"""Control points from a dialogue with a language model that hears (paper section 3.2)."""

from coprop.control_points.rcpg.detector import RCPGDetector

__all__ = ["RCPGDetector"]
