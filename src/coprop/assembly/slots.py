"""What the slots and numbers of a pipeline take, and what is said of anything else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from coprop.assembly.defaults import SHORTEST_SEGMENT_S
from coprop.inference.turns import MOST
from coprop.keyframes.adapters.inference import network_of
from coprop.keyframes.model import check_keyframe_model
from coprop.propagation.checks import check_propagator
from coprop.utils.checks import check_function, number, whole
from coprop.utils.precision import checked_device


def _longest(value: object) -> float | None:
    wanted = f"a number of seconds, at least {SHORTEST_SEGMENT_S}, or None for no limit"
    if value is None:
        return None
    return number("max_segment_s", value, wanted, low=SHORTEST_SEGMENT_S)


def _edge(value: object) -> int:
    return whole("working_edge", value, "at least 1 pixel, a whole number", low=1, high=2**31)


def _at_once(value: object) -> object:
    if value == "auto":
        return value
    wanted = f'"auto" or a whole number of segments from 1 to {MOST}'
    return whole("segments_at_once", value, wanted, low=1, high=MOST)


def _segmenter(value: Any) -> Any:
    check_keyframe_model(value)
    return value


def _propagator(value: Any) -> Any:
    check_propagator(value)
    return value


def _detector(value: Any) -> Any:
    wanted = "a function of the sound that returns ControlPoints"
    check_function("the detector", value, ("audio",), wanted)
    return value


def _namer(value: Any) -> Any:
    wanted = (
        "a function of the sound and a segment of it that returns a tuple of Category, or None for "
        "no names"
    )
    if value is not None:
        check_function("the namer", value, ("audio", "segment"), wanted)
    return value


def device_of(*parts: object) -> torch.device:
    """Where the parameters of the first of some parts that has any are; else the CPU."""
    for part in parts:
        network = network_of(part)
        for parameter in network.parameters() if network is not None else ():
            return parameter.device
    return torch.device("cpu")


CHECKS: dict[str, Callable[[Any], Any]] = {
    "max_segment_s": _longest,
    "working_edge": _edge,
    "segments_at_once": _at_once,
    "segmenter": _segmenter,
    "propagator": _propagator,
    "detector": _detector,
    "namer": _namer,
    "device": checked_device,
}
"""What becomes of each argument of `CoProp`, and what is said of one that cannot be used."""
