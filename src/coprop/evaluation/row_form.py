"""What a finished clip's row must look like to be summed up: rows are read back from files."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from coprop.evaluation.disturbances import DISTURBANCES

_SHARES = frozenset(
    {
        *("jaccard_avsbench", "jaccard_strict", "f_measure_avsbench"),
        *("silent_area", "off_screen_area"),
        *(f"{sound}_{figure}" for sound in DISTURBANCES for figure in ("jaccard", "false_area")),
    }
)
_FLAGS = frozenset({"alignment_identity", "alignment_mask", "key", "near"})
_EVENTS = ("onset", "offset")


def fault_of(row: dict[str, Any]) -> str:
    """What is wrong with a row, in words that follow a colon; "" where nothing is."""
    if not (_is_count(row.get("index")) and isinstance(row.get("clip"), str)):
        return "it lacks index or clip"
    scores, seconds = row.get("scores"), row.get("seconds")
    if not isinstance(scores, dict) or not isinstance(seconds, dict) or set(scores) != set(seconds):
        return "it lacks scores or seconds"
    if not all(_is_real(each) and each >= 0 for each in seconds.values()):
        return "its seconds are no times"
    if not isinstance(row.get("other_clip"), str | None):
        return "its other_clip is no name"
    for method, of_clip in scores.items():
        if fault := _fault_of_scores(of_clip):
            return f"{fault} of {method!r}"
    return ""


def _fault_of_scores(scores: Any) -> str:
    if not isinstance(scores, dict):
        return "there are no scores"
    if not (_is_count(scores.get("num_frames")) and _is_count(scores.get("num_keyframes"))):
        return "there are no numbers of frames"
    points = scores.get("control_points", 0)
    if points is not None and not _holds(points, _is_count):
        return "there are no counts of control points"
    events = scores.get("events")
    if not isinstance(events, dict) or not all(_are_events(events.get(e)) for e in _EVENTS):
        return "there are no onsets and offsets"
    frames = scores.get("frames")
    if not isinstance(frames, dict) or "counts" not in frames:
        return "there are no frames"
    if not all(isinstance(column, list) for column in frames.values()):
        return "the frames are no lists"
    if len({len(column) for column in frames.values()}) != 1 or not frames["counts"]:
        return "the frames are not of one number"
    for name, column in frames.items():
        fits = _form(name)
        if not all(fits(value) for value in column):
            return f"the frames have damaged values for {name!r}"
    return ""


def _form(name: str) -> Callable[[Any], bool]:
    if name in _FLAGS:
        return lambda value: isinstance(value, bool)
    if name in _SHARES:
        return lambda value: value is None or _is_share(value)
    if name == "counts":
        return _are_region_counts
    if name == "classes":
        return lambda value: _holds(value, lambda row: _are_counts(row, 3))
    if name == "f_curve":
        return lambda value: (
            value is None
            or (isinstance(value, list) and bool(value) and all(map(_is_share, value)))
        )
    return lambda value: False


def _are_region_counts(value: Any) -> bool:
    if not _are_counts(value, 4):
        return False
    both, predicted, target, pixels = value
    return bool(both <= min(predicted, target) and predicted + target - both <= pixels)


def _are_events(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("errors_s"), list)
        and all(map(_is_real, value["errors_s"]))
        and _is_count(value.get("missed"))
        and _is_count(value.get("false"))
    )


def _holds(value: Any, fits: Callable[[Any], bool]) -> bool:
    return isinstance(value, dict) and all(map(fits, value.values()))


def _are_counts(value: Any, length: int) -> bool:
    return isinstance(value, list) and len(value) == length and all(map(_is_count, value))


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_real(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _is_share(value: Any) -> bool:
    # Rounding may leave [0, 1].
    return _is_real(value) and -1e-6 <= value <= 1 + 1e-6
