"""Audio-visual video segmentation that keeps time."""

__version__ = "0.1.0"
