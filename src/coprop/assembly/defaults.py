"""What pipelines do where nobody says otherwise; apart, so that help texts load nothing else."""

DEFAULT_MAX_SEGMENT_S = 1.0
"""Masks drift, and what comes into view must be found; at 2 seconds real videos lose 0.02 of J."""

SHORTEST_SEGMENT_S = 0.001
"""The least that ``max_segment_s`` may be: no video shows more frames in a second."""

DEFAULT_WORKING_EDGE = 1040
"""AOT's own, in pixels."""
