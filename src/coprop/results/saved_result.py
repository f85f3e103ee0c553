"""A result folder read back: its masks one by one, as they are asked for."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, overload

import numpy as np

from coprop.errors import CoPropError, MediaError
from coprop.storage.files import read_json
from coprop.types import ControlPoints, FrameMask, Segment
from coprop.utils.brief import first_line
from coprop.utils.checks import stored_whole
from coprop.values.categories import Category

_SCHEMAS = (1, 2)  # of result.json; in 1 a segment had one keyframe
_MASKS, _RESULT = "masks", "result.json"


@dataclass(frozen=True)
class Head:
    """What is known of a frame's mask without its picture.

    Args:
        index: the frame's number, from 0.
        time_s: when it is shown.
        labels: those in the mask, without 0.
        is_keyframe: see `FrameMask`.
    """

    index: int
    time_s: float
    labels: tuple[int, ...]
    is_keyframe: bool


class LazyMasks(Sequence[FrameMask]):
    """Masks that are made when they are asked for."""

    @overload
    def __getitem__(self, index: int) -> FrameMask: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[FrameMask, ...]: ...

    def __getitem__(self, index: int | slice) -> FrameMask | tuple[FrameMask, ...]:
        if isinstance(index, slice):
            return tuple(map(self.mask_at, range(*index.indices(len(self)))))
        return self.mask_at(range(len(self))[index])

    @abstractmethod
    def mask_at(self, place: int) -> FrameMask:
        """The mask at a place, from 0 on."""


class StoredMasks(LazyMasks):
    """The masks of a result folder; each is read when it is asked for, and not kept.

    Args:
        folder: the result folder.
        heads: one for each mask.
        size: height and width that each has.

    Raises:
        MediaError: when a mask is asked for that is not there or not as result.json says.
    """

    def __init__(self, folder: Path, heads: Sequence[Head], size: tuple[int, int]) -> None:
        self.heads = tuple(heads)
        self._folder, self._size = folder, size
        seen = {label for head in heads for label in head.labels}
        self._classes = (0, *sorted(seen | {1}))

    @property
    def folder(self) -> Path:
        """Where the masks' files are."""
        return self._folder / _MASKS

    def __len__(self) -> int:
        return len(self.heads)

    def mask_at(self, place: int) -> FrameMask:
        from PIL import Image, UnidentifiedImageError

        head = self.heads[place]
        path = self.folder / f"{head.index:06d}.png"
        try:
            with Image.open(path) as picture:
                labels = np.asarray(picture)
        except (OSError, UnidentifiedImageError, ValueError, SyntaxError) as error:
            raise MediaError(f"{path} cannot be read as a mask; run the pipeline again.") from error
        found = tuple(int(label) for label in np.unique(labels) if label)
        if labels.dtype != np.uint8 or labels.shape != self._size or found != head.labels:
            raise MediaError(
                f"{path} is not the mask that {self._folder / _RESULT} tells of; it has changed "
                "since. Run the pipeline again."
            )
        return FrameMask(head.index, head.time_s, labels, None, self._classes, head.is_keyframe)


def masks_folder(masks: Sequence[FrameMask]) -> Path | None:
    """Where masks are read from as they are asked for; None where all are in memory."""
    return getattr(masks, "folder", None)


def heads_of(masks: Sequence[FrameMask]) -> tuple[Head, ...]:
    """What is known of each mask without its picture; masks on disk stay there."""
    if isinstance(masks, StoredMasks):
        return masks.heads
    return tuple(
        Head(
            mask.index,
            mask.time_s,
            tuple(int(label) for label in np.unique(mask.labels) if label),
            mask.is_keyframe,
        )
        for mask in masks
    )


def read_result(
    folder: Path,
) -> tuple[str, StoredMasks, ControlPoints, tuple[Segment, ...]]:
    """The video's name, masks, control points and segments of a result folder.

    Raises:
        MediaError: the folder has no complete result, or one that cannot be used.
    """
    path = folder / _RESULT
    try:
        content = read_json(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MediaError(
            f"{folder} holds no complete result: there is no {_RESULT}. Give a folder that "
            "result.save() or coprop run has written."
        ) from error
    except (OSError, ValueError) as error:
        raise MediaError(
            f"{path} cannot be read: {first_line(error)}. Run the pipeline again."
        ) from error
    if not isinstance(content, Mapping) or content.get("schema") not in _SCHEMAS:
        raise MediaError(
            f"{path} is no result of schema {' or '.join(map(str, _SCHEMAS))}; run the pipeline "
            "again with this version."
        )
    try:
        return _parsed(folder, content)
    except (
        KeyError,
        TypeError,
        ValueError,
        IndexError,
        AttributeError,
    ) as error:  # CoPropError among them
        kind = "" if isinstance(error, CoPropError) else f"{type(error).__name__}: "
        raise MediaError(
            f"{path} is not as coprop writes it ({kind}{error}); run the pipeline again."
        ) from error


def _parsed(
    folder: Path, content: Mapping[str, Any]
) -> tuple[str, StoredMasks, ControlPoints, tuple[Segment, ...]]:
    heads = [_head(row) for row in content["frames"]]
    if not heads:
        raise ValueError("there is no frame in it")
    if len(heads) != stored_whole("num_frames", content["num_frames"]):
        raise ValueError(f"it tells of {len(heads)} frames, and of {content['num_frames']}")
    if any(b.index <= a.index or b.time_s <= a.time_s for a, b in pairwise(heads)):
        raise ValueError("its frames are out of order")
    height, width = (stored_whole(name, content[name]) for name in ("height", "width"))
    points = content["control_points"]
    times = np.array([float(point["time_s"]) for point in points])
    scores = np.array([float(point["score"]) for point in points])
    return (
        str(content["video"]),
        StoredMasks(folder, heads, (height, width)),
        ControlPoints(times, scores, np.ones(len(times), dtype=bool)),
        tuple(_segment(row) for row in content["segments"]),
    )


def _head(row: Mapping[str, Any]) -> Head:
    index, time_s = stored_whole("a frame's index", row["index"]), float(row["time_s"])
    name = f"a label of frame {index}"
    labels = tuple(sorted(stored_whole(name, each) for each in row["labels"]))
    if not math.isfinite(time_s) or any(not 0 < label < 256 for label in labels):
        raise ValueError(f"frame {index} has a time or a label that no frame has")
    if index < 0:
        raise ValueError(f"there is a frame {index}")
    return Head(index, time_s, labels, bool(row["keyframe"]))


def _segment(row: Mapping[str, Any]) -> Segment:
    named = row.get("categories", ())
    categories = tuple(Category(each["name"], each["probability"]) for each in named)
    labels = tuple((int(label), name) for label, name in dict(row.get("labels", {})).items())
    return Segment(float(row["start_s"]), float(row["end_s"]), categories, labels)
