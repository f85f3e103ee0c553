"""What is in the masks, as objects with names and with numbers that stay."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coprop.results.saved_result import Head
from coprop.types import SAME_S, FrameMask, Segment

SOUNDING = "sounding"
"""The name of what sounds where nobody has named it."""


@dataclass(frozen=True, eq=False)
class SeenObject:
    """An object in one frame.

    Args:
        track_id: its number through the whole video, from 1.
        category_id: its name's number, from 1.
        name: what it is.
        label: its label in the mask.
        mask: (H, W) bool, not empty.
    """

    track_id: int
    category_id: int
    name: str
    label: int
    mask: NDArray[np.bool_]

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, width and height of the smallest box around it, in pixels."""
        rows = np.flatnonzero(self.mask.any(axis=1))
        columns = np.flatnonzero(self.mask.any(axis=0))
        left, top = int(columns[0]), int(rows[0])
        return left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top


class Objects:
    """Names and numbers of a result's objects.

    An object is what has one label and one name. With a model that tells "sounding" from silent
    alone, the name is the best of the segment, so that the guitar and the dog that sounds after it
    are two objects, and a guitar that sounds again is the first one again. With a model of several
    classes each class is an object, and has the model's name for it or "class 5".

    Args:
        heads: of all masks.
        segments: of the result.
        names: names of labels, which stand before all others.
    """

    def __init__(
        self, heads: Sequence[Head], segments: Sequence[Segment], names: Mapping[int, str]
    ) -> None:
        self._classes = any(label > 1 for head in heads for label in head.labels)
        self._segments = tuple(segments)
        self._starts = [segment.start_s for segment in segments]
        self._given = dict(names)
        self.categories: dict[str, int] = {}
        self._tracks: dict[tuple[int, str], int] = {}
        # All of them are known before the first mask is asked for, in the order they appear.
        for head in heads:
            for label in head.labels:
                name = self.name(label, head.time_s)
                self.categories.setdefault(name, len(self.categories) + 1)
                self._tracks.setdefault((label, name), len(self._tracks) + 1)

    @property
    def tracks(self) -> dict[int, str]:
        """The name of each object, by its number."""
        return {number: name for (_, name), number in self._tracks.items()}

    def name(self, label: int, time_s: float) -> str:
        """What a label stands for at a time."""
        if label in self._given:
            return self._given[label]
        segment = self._segment_at(time_s)
        named = dict(segment.label_names) if segment is not None else {}
        if label in named:
            return named[label]
        if self._classes:
            return f"class {label}"
        return SOUNDING if segment is None else name_of(segment)

    def track_of(self, label: int, time_s: float) -> int:
        """The number of the object that has a label at a time."""
        return self._tracks[label, self.name(label, time_s)]

    def seen(self, mask: FrameMask) -> list[SeenObject]:
        """The objects in a mask, in the order of their labels."""
        labels = [int(label) for label in np.unique(mask.labels) if label]
        return [self._seen(mask, label) for label in labels]

    def _seen(self, mask: FrameMask, label: int) -> SeenObject:
        name = self.name(label, mask.time_s)
        track, category = self._tracks[label, name], self.categories[name]
        return SeenObject(track, category, name, label, mask.labels == label)

    def _segment_at(self, time_s: float) -> Segment | None:
        """The segment that a masked frame belongs to: the one it lies in, or else the nearest.

        A sound that is too short for a frame of its own is shown in the next one, which is later
        than its end.
        """
        if not self._segments:
            return None
        begun = max(bisect_right(self._starts, time_s + SAME_S) - 1, 0)
        near = self._segments[begun : begun + 2]
        return min(near, key=lambda s: max(s.start_s - time_s, time_s - s.end_s, 0.0))


def name_of(segment: Segment) -> str:
    """The best name of what sounds in a segment."""
    return segment.categories[0].name if segment.categories else SOUNDING
