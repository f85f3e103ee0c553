"""Scores of masks, of what they align with, and of control points."""
