"""Control points as annotation: read off masks, or given by hand (paper appendix A.1).

A list of flags says for each of N frames whether it is a key frame: 1 where what sounds is not what
sounded in the frame before. The first frame always is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coprop.errors import CoPropError, DatasetError, OutputError, ShapeError
from coprop.storage.files import parse_json
from coprop.storage.json_lines import JsonLines
from coprop.utils.brief import first_line
from coprop.utils.checks import array_of, number, shown
from coprop.utils.paths import AnyPath, as_path

MIN_AREA = 0.0005
"""Share of the frame below which a class does not count: 25 pixels of 224 x 224, a slip of the
annotator's brush."""

_FORM = 'each line must be {"clip": name, "flags": [1, 0, ...]}, with one flag for each frame'


def key_frame_flags(
    labels: Iterable[NDArray[Any]], *, min_area: float = MIN_AREA, min_overlap: float | None = None
) -> NDArray[np.bool_]:
    """Which frames are key frames: the set of classes differs from the previous frame's.

    Binary masks tell only whether something sounds. That one object falls silent while another
    begins cannot be seen in them, unless both come with a pause between. ``min_overlap`` guesses
    it from the place of the mask; an object that moves fast is then taken for another one.

    Args:
        labels: the N frames' label maps, (H, W) bool or integer of one size, 0 for background.
        min_area: share of the frame, in [0, 1]; a class that covers less does not count.
        min_overlap: in [0, 1]; where two consecutive frames both have classes, and the
            intersection over union of all that sounds is below this, it counts as a change too.
            None for the classes alone, as in the paper.

    Returns:
        (N,) bool, the first True.

    Raises:
        DatasetError: no label map, or a threshold outside its range.
        ShapeError: label maps of another form, or of several sizes.
    """
    min_area = _share("min_area", min_area)
    if min_overlap is not None:
        min_overlap = _share("min_overlap", min_overlap)
    flags: list[bool] = []
    before: tuple[frozenset[int], NDArray[np.bool_]] | None = None
    for place, frame in enumerate(labels):
        now = _sounding(frame, place, min_area)
        if before is None:
            flags.append(True)
        else:
            if now[1].shape != before[1].shape:
                raise ShapeError(
                    f"label map {place} is {now[1].shape}, the one before it {before[1].shape}; "
                    "all of a clip must have one size."
                )
            moved = min_overlap is not None and _overlap(before[1], now[1]) < min_overlap
            flags.append(before[0] != now[0] or moved)
        before = now
    if not flags:
        raise DatasetError("key frames need at least one label map, got none.")
    return np.array(flags)


def control_points_from_flags(flags: ArrayLike, duration_s: float) -> tuple[float, ...]:
    """The times at which the sounding objects change: where the flagged windows begin.

    Args:
        flags: (N,) bool or 0 and 1, one for each of N equal windows; the first must be set.
        duration_s: of the N windows together, in seconds; N for one frame a second.

    Returns:
        Seconds, increasing, without the beginning.

    Raises:
        DatasetError: flags of another form, or a duration that is not positive.
    """
    checked = _as_flags(flags)
    wanted = "a positive number of seconds"
    duration_s = number("duration_s", duration_s, wanted, above=0, error=DatasetError)
    step_s = duration_s / len(checked)
    return tuple(float(i * step_s) for i in np.flatnonzero(checked)[1:])


def read_control_points(path: AnyPath) -> dict[str, NDArray[np.bool_]]:
    """Annotated flags from a JSON-lines file: ``{"clip": name, "flags": [1, 0, 0, 1, 0]}`` a line.

    Returns:
        For each clip's name its flags, (N,) bool.

    Raises:
        DatasetError: no such file, a line of another form, or a clip that comes twice.
    """
    path = as_path("path", path, error=DatasetError)
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(
            f"control points cannot be read from {path}: {first_line(error)}; give a "
            f"JSON-lines file, {_FORM}."
        ) from error
    found: dict[str, NDArray[np.bool_]] = {}
    for count, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{path}, line {count}"
        try:
            row = parse_json(line)
        except ValueError as error:
            raise DatasetError(f"{where} is not JSON ({error}); {_FORM}.") from error
        if not (isinstance(row, dict) and isinstance(row.get("clip"), str) and "flags" in row):
            raise DatasetError(f"{where} is {line.strip()[:80]}; {_FORM}.")
        if row["clip"] in found:
            raise DatasetError(f"{where} has the clip {row['clip']!r} a second time; keep one.")
        found[row["clip"]] = _as_flags(row["flags"], f"{where}: ")
    return found


def write_control_points(path: AnyPath, flags: Mapping[str, ArrayLike]) -> None:
    """Writes flags as `read_control_points` reads them; the file appears whole or not at all.

    Args:
        path: the file; one that is there is replaced.
        flags: for each clip's name (N,) bool or 0 and 1, the first set.

    Raises:
        DatasetError: flags of another form.
        OutputError: the file cannot be written.
    """
    unnamed = [clip for clip in flags if not isinstance(clip, str)]
    if unnamed:
        raise DatasetError(f"clips must be named by text, got {shown(unnamed[0])}.")
    rows = [
        {"clip": clip, "flags": _as_flags(own, f"clip {clip!r}: ").astype(int).tolist()}
        for clip, own in flags.items()
    ]
    JsonLines(as_path("path", path, error=OutputError), remedy="Write it anew.").replace(rows)


def _share(name: str, value: float) -> float:
    return number(name, value, "a share, in [0, 1]", low=0, high=1, error=DatasetError)


def _sounding(
    frame: NDArray[Any], place: int, min_area: float
) -> tuple[frozenset[int], NDArray[np.bool_]]:
    """The classes that count in a frame, and where they are."""
    array = array_of(f"label map {place}", frame, error=ShapeError)
    if array.ndim != 2 or not array.size or array.dtype.kind not in "bui":
        raise ShapeError(
            f"label map {place} is {array.dtype} of shape {array.shape}; label maps are (H, W) "
            "bool or integer, 0 for background."
        )
    values, counts = np.unique(array, return_counts=True)
    kept = values[(values != 0) & (counts >= min_area * array.size)]
    return frozenset(int(value) for value in kept), np.isin(array, kept)


def _overlap(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Intersection over union; 1 where either is empty, since the classes tell that apart."""
    if not (first.any() and second.any()):
        return 1.0
    return float((first & second).sum() / (first | second).sum())


def _as_flags(flags: ArrayLike, where: str = "") -> NDArray[np.bool_]:
    try:
        array = array_of("flags", flags)
    except CoPropError:
        array = np.empty(0)
    if array.ndim != 1 or not array.size or array.dtype.kind not in "bui":
        raise DatasetError(f"{where}flags must be a list of 0 and 1, one for each frame.")
    if not np.isin(array, (0, 1)).all():
        raise DatasetError(f"{where}flags are 0 or 1, got {array.tolist()}.")
    if not array[0]:
        raise DatasetError(
            f"{where}the first flag must be 1, since the first frame always is a key frame."
        )
    return array.astype(bool)
