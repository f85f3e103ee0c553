"""What each frame holds as the arguments of supervision's ``Detections``."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib import format as numpy_format

from coprop.errors import CoPropError
from coprop.export.recording import Recording
from coprop.storage.files import replacing

if TYPE_CHECKING:
    from coprop.result import Result


def detections(
    result: Result, *, names: Mapping[int, str] | None = None
) -> Iterator[dict[str, Any]]:
    """Yields for each frame the arguments of ``supervision.Detections``; nothing is imported. ::

        import supervision

        for arguments in detections(result):
            found = supervision.Detections(**arguments)

    Args:
        result: whose frames.
        names: names of labels, in place of those that are heard.

    Yields:
        ``xyxy`` (n, 4) float32 in pixels, ``mask`` (n, H, W) bool, ``class_id`` (n,) and
        ``tracker_id`` (n,) int, and ``data`` with ``class_name`` (n,) text; n may be 0.

    Raises:
        CoPropError: a result without frames, or names that are none.
    """
    from coprop.export.targets import checked_names

    if not len(result.masks):
        raise CoPropError("the result has no frame; there is nothing to tell of.")
    return _of(Recording(result, names=checked_names(names)))


def _of(recording: Recording) -> Iterator[dict[str, Any]]:
    for mask in recording.masks():
        seen = recording.objects.seen(mask)
        boxes = np.array([each.box for each in seen], dtype=np.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        yield {
            "xyxy": boxes,
            "mask": np.array([each.mask for each in seen], dtype=bool).reshape(-1, *recording.size),
            "class_id": np.array([each.category_id for each in seen], dtype=np.int64),
            "tracker_id": np.array([each.track_id for each in seen], dtype=np.int64),
            "data": {"class_name": np.array([each.name for each in seen], dtype=np.str_)},
        }


def write_detections(recording: Recording, path: Path) -> None:
    """An archive of numpy's: ``000012/xyxy``, ``000012/mask`` and so on for frame 12.

    Beside the arguments it holds ``times_s`` (T,). Frames without an object have arrays of none.
    """
    with (
        replacing(path) as part,
        zipfile.ZipFile(part, "w", compression=zipfile.ZIP_DEFLATED) as archive,
    ):
        _put(archive, "times_s", np.array([head.time_s for head in recording.heads]))
        for head, arguments in zip(recording.heads, _of(recording), strict=True):
            arguments |= arguments.pop("data")
            for name, array in arguments.items():
                _put(archive, f"{head.index:06d}/{name}", array)


def _put(archive: zipfile.ZipFile, name: str, array: Any) -> None:
    # A time of its own would make equal results differ.
    entry = zipfile.ZipInfo(f"{name}.npy")
    entry.compress_type = zipfile.ZIP_DEFLATED
    with archive.open(entry, "w", force_zip64=True) as file:
        numpy_format.write_array(file, array, allow_pickle=False)
