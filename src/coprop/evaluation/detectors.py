"""How well detectors of control points find the annotated changes of a dataset."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coprop.control_points.rcpg import RCPGDetector
from coprop.control_points.rcpg.example_building import true_flags
from coprop.data.labelled import LabelledDataset
from coprop.errors import DatasetError
from coprop.metrics.functional import ControlPointCounts, control_point_counts
from coprop.types import Audio, Progress, WindowDetector
from coprop.utils.checks import whole


@dataclass(frozen=True)
class DetectorRow:
    """How a detector did.

    Args:
        name: of the detector.
        exact: its changes against the annotated ones, in the very window.
        near: the same, where one window earlier or later is right too.
        instead: of how many clips windows had to be taken from the novelty detector.
    """

    name: str
    exact: ControlPointCounts
    near: ControlPointCounts
    instead: int = 0


@dataclass(frozen=True)
class Comparison:
    """All detectors on one dataset.

    Args:
        dataset: its name.
        clips: how many tell their changes; others are left out.
        changes: how many changes they have, without the beginnings.
        windows: how many windows, without each clip's first.
        rows: the detectors.
    """

    dataset: str
    clips: int
    changes: int
    windows: int
    rows: tuple[DetectorRow, ...]


def compare_detectors(
    dataset: LabelledDataset,
    detectors: Mapping[str, WindowDetector],
    rcpg: Mapping[str, RCPGDetector] | None = None,
    *,
    limit: int | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Counts what detectors find, window by window.

    The first window of each clip is left out, since its flag is always set. Two detectors that
    hear nothing come first, to compare with: "all ones" and "first only".

    Args:
        dataset: the clips; dense video is divided into windows of about a second.
        detectors: by name.
        rcpg: those that ask a language model, by name; they are asked about many clips at once.
        limit: only so many of the first clips; None for all.
        progress: called as ``progress(name, clips so far, clips in all)``.

    Raises:
        DatasetError: no clip tells its changes.
        CoPropError: a clip that cannot be read, or what the detectors raise.
    """
    total = len(dataset)
    if limit is not None:
        wanted = "a whole number, 1 or more, or None for all clips"
        total = min(total, whole("limit", limit, wanted, low=1, high=sys.maxsize))
    truth, found = _heard(dataset, total, detectors, progress)
    if not truth:
        raise DatasetError(
            f"no clip of {dataset.name} tells where its sounding objects change, so there is "
            "nothing to compare with. Give the dataset its control points, or take another split."
        )
    instead: dict[str, int] = {}
    for name, asked in (rcpg or {}).items():
        found[name], instead[name] = _ask(dataset, truth, name, asked, progress)
    true = list(truth.values())
    rows = [
        DetectorRow(name, _counts(own, true, 0), _counts(own, true, 1), instead.get(name, 0))
        for name, own in found.items()
    ]
    return Comparison(
        dataset=dataset.name,
        clips=len(truth),
        changes=sum(int(own[1:].sum()) for own in true),
        windows=sum(len(own) - 1 for own in true),
        rows=tuple(rows),
    )


def _heard(
    dataset: LabelledDataset,
    total: int,
    detectors: Mapping[str, WindowDetector],
    progress: Progress | None,
) -> tuple[dict[int, NDArray[np.bool_]], dict[str, list[NDArray[np.bool_]]]]:
    """True flags of the clips that have some, by number, and those that each detector finds."""
    truth: dict[int, NDArray[np.bool_]] = {}
    found: dict[str, list[NDArray[np.bool_]]] = {"all ones": [], "first only": []}
    found |= {name: [] for name in detectors}
    for index in range(total):
        clip = dataset[index]
        flags = true_flags(clip)
        if flags is not None:
            truth[index] = flags
            found["all ones"].append(np.ones(len(flags), dtype=np.bool_))
            found["first only"].append(np.eye(1, len(flags), dtype=np.bool_)[0])
            for name, detector in detectors.items():
                found[name].append(detector(clip.audio, windows=len(flags)).flags)
        if progress is not None:
            progress(", ".join(detectors) or "clips", index + 1, total)
    return truth, found


def _ask(
    dataset: LabelledDataset,
    truth: Mapping[int, NDArray[np.bool_]],
    name: str,
    detector: RCPGDetector,
    progress: Progress | None,
) -> tuple[list[NDArray[np.bool_]], int]:
    """Flags of each clip, and of how many some are not the model's."""

    def sounds() -> Iterator[Audio]:
        for index in truth:
            yield dataset[index].audio

    found, instead = [], 0
    windows = [len(flags) for flags in truth.values()]
    for points, trace in detector.explain_all(sounds(), windows=windows):
        found.append(points.flags)
        instead += any(step.problem for chunk in trace.chunks for step in chunk.steps[-1:])
        if progress is not None:
            progress(name, len(found), len(truth))
    return found, instead


def _counts(
    found: list[NDArray[np.bool_]], truth: list[NDArray[np.bool_]], tolerance: int
) -> ControlPointCounts:
    counts = [
        control_point_counts(_changes(own), _changes(true), float(tolerance))
        for own, true in zip(found, truth, strict=True)
    ]
    return ControlPointCounts(*(sum(column) for column in zip(*counts, strict=True)))


def _changes(flags: NDArray[np.bool_]) -> list[float]:
    return [float(index) for index in np.flatnonzero(flags) if index]
