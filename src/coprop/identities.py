"""Which objects of later segments are those of earlier ones, by place and by looks.

A mask says what sounds from control point to control point; whether the dog that barks again is the
first dog, nobody asked. Here it is told afterwards, by label, place and colours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from coprop.media.painting import labels_in
from coprop.result import Result, check_result
from coprop.types import SAME_S
from coprop.utils.checks import number

OVERLAP = 0.2
"""Intersection over union of where an object was last and where one of its label comes back."""

ALIKE = 0.5
"""Intersection of their histograms of colours, each of sum 1."""

_BINS = 4  # of each of red, green and blue


@dataclass(eq=False)
class _Seen:
    """An object in one segment, or what is known of an identity."""

    label: int
    first: NDArray[np.bool_]
    last: NDArray[np.bool_]
    colours: NDArray[np.float64] = field(default_factory=lambda: np.zeros(_BINS**3))

    def add(self, image: NDArray[np.uint8], mask: NDArray[np.bool_]) -> None:
        """One more frame of it."""
        self.last = mask
        pixels = image[mask].astype(np.intp) * _BINS // 256
        cells = (pixels[:, 0] * _BINS + pixels[:, 1]) * _BINS + pixels[:, 2]
        self.colours += np.bincount(cells, minlength=_BINS**3)

    def match(self, other: _Seen) -> tuple[float, float]:
        """How far ``other``, which comes later, is in its place, and how far it looks like it."""
        union = int(np.count_nonzero(self.last | other.first))
        overlap = int(np.count_nonzero(self.last & other.first)) / max(union, 1)
        shares = [x.colours / max(x.colours.sum(), 1) for x in (self, other)]
        return overlap, float(np.minimum(*shares).sum())


def identities(
    result: Result, *, overlap: float = OVERLAP, alike: float = ALIKE
) -> tuple[Mapping[int, int], ...]:
    """Of each segment, the identity of each label that is masked in it.

    An object is one that was there before if both have one label, it comes where that one was last
    seen, and both have like colours; of several, that which fits best. Two labels of one segment
    are never one. Nothing in the result changes.

    Args:
        result: with its video, which is read once.
        overlap: least intersection over union of the two masks, in [0, 1].
        alike: least intersection of their histograms of colours, in [0, 1].

    Returns:
        As many mappings from label to identity as there are segments; identities count from 1.

    Raises:
        CoPropError: no result, or a share outside [0, 1].
        MediaError: the video is not there, or not what it was.
    """
    check_result(result)
    overlap = number("overlap", overlap, "a share in [0, 1]", low=0, high=1)
    alike = number("alike", alike, "a share in [0, 1]", low=0, high=1)
    known: list[_Seen] = []
    told: list[Mapping[int, int]] = []
    for objects in _by_segment(result):
        free = set(range(len(known)))
        pairs = sorted(
            (
                (sum(fit), number_, label)
                for label, seen in objects.items()
                for number_ in free
                if known[number_].label == label
                and (fit := known[number_].match(seen))[0] >= overlap
                and fit[1] >= alike
            ),
            reverse=True,
        )
        found: dict[int, int] = {}
        for _, number_, label in pairs:
            if number_ in free and label not in found:
                free.remove(number_)
                found[label] = number_ + 1
                known[number_] = objects[label]
        for label, seen in sorted(objects.items()):
            if label not in found:
                known.append(seen)
                found[label] = len(known)
        told.append(found)
    return tuple(told)


def _by_segment(result: Result) -> Iterator[dict[int, _Seen]]:
    """Yields what is seen in each segment, by label, when it has been gone through.

    So masks of the identities alone are held, however long the video is.
    """
    starts = [segment.start_s for segment in result.segments]
    found: dict[int, _Seen] = {}
    begun = 0  # segments
    with result.clip() as clip:
        for frame, mask in result.pairs(clip):
            while begun < len(starts) and mask.time_s + SAME_S >= starts[begun]:
                if begun:
                    yield found
                found, begun = {}, begun + 1
            for label in labels_in(mask.labels) if begun else ():
                where = mask.labels == label
                seen = found.setdefault(label, _Seen(label, where, where))
                seen.add(frame.image, where)
    if begun:
        yield found
    yield from ({} for _ in starts[begun:])
