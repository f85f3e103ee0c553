"""Predictions as COCO's JSON: masks in run-length encoding, several to a picture.

Codes are decoded here, since pycocotools (2.0.11) fills what a code is too short for with whatever
lies in memory.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coprop.errors import PredictionError
from coprop.keyframes.predictions.times import slots_of
from coprop.keyframes.predictions.values import VOID, Raw
from coprop.storage.files import read_json
from coprop.utils.brief import first_line
from coprop.utils.checks import stored_whole

_LEAST_SCORE = 0.5  # as probabilities are thresholded; detectors write what they hardly believe too
_LARGEST_SIDE = 16_384  # pixels; no video is wider
_LARGEST_NUMBER = 10**12  # of a picture
_FORM = (
    'a list of {"image_id", "category_id", "segmentation": {"size": [h, w], "counts": ...}}, with '
    '"score" where there is one, or an object with "images" and "annotations"'
)


@dataclass(frozen=True)
class _Mask:
    """One annotation: its label, its score, and its code."""

    label: int
    score: float
    counts: str | list[int]


class CocoMasks:
    """The label map of each picture that a JSON file in COCO's form has masks of.

    Masks of one picture are painted over one another by their score, the highest last; those with
    a score below 0.5 are left out. Labels are the category ids.

    Args:
        path: results, a list of annotations, or a data set, with ``images`` and ``annotations``.

    Raises:
        PredictionError: another form, or category ids beyond 1 to 254.

    Attributes:
        numbers: of the pictures: that at the end of the ``file_name``, or else the id.
        name, slots, times_s, padded: see `coprop.keyframes.predictions.sources.Source`.
    """

    times_s = None
    padded = False

    def __init__(self, path: Path) -> None:
        self._path, self.name = path, str(path)
        self._masks: dict[int, list[_Mask]] = defaultdict(list)
        self._size = (0, 0)
        try:
            content = read_json(path)
        except (OSError, ValueError) as error:
            raise PredictionError(
                f"{path} cannot be read as JSON: {first_line(error)}. Write it again; it must be "
                f"{_FORM}."
            ) from error
        where = ""
        try:
            numbers = _numbers(content)
            entries = content["annotations"] if isinstance(content, dict) else content
            for place, entry in enumerate(entries, 1):
                where = f", annotation {place},"
                number = _number(numbers.setdefault(entry["image_id"], entry["image_id"]))
                self._add(number, entry)
            self.numbers = tuple(sorted({_number(number) for number in numbers.values()}))
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise PredictionError(
                f"{path}{where} is not of COCO's form ({reason}); it must be {_FORM}."
            ) from error
        if 0 in self._size:
            raise PredictionError(f"{path} holds no mask; it must be {_FORM}.")
        self.slots = slots_of(self.numbers)

    def __getitem__(self, index: int) -> Raw:
        number = self.numbers[index]
        labels: NDArray[np.uint8] = np.zeros(self._size, dtype=np.uint8)
        for mask in sorted(self._masks[number], key=lambda mask: mask.score):
            try:
                labels[decoded(mask.counts, self._size)] = mask.label
            except (TypeError, ValueError, OverflowError) as error:
                raise PredictionError(
                    f"the run-length code of a mask of picture {number} in {self._path} cannot be "
                    f"decoded: {error}; write the masks again."
                ) from error
        return Raw(labels, f"picture {number} of {self._path}", ids=True)

    def _add(self, number: int, entry: dict[str, Any]) -> None:
        code = entry["segmentation"]
        height, width = (stored_whole("a mask's side", side) for side in code["size"])
        if not (1 <= height <= _LARGEST_SIDE and 1 <= width <= _LARGEST_SIDE):
            raise ValueError(f"a mask has the size {height} x {width}")
        if self._size not in ((0, 0), (height, width)):
            raise ValueError(f"masks have the sizes {self._size} and {(height, width)}, not one")
        self._size = height, width
        label = stored_whole("category_id", entry["category_id"])
        score = float(entry.get("score", 1.0))
        if not 1 <= label < VOID:
            raise ValueError(f"category_id is {label}, not 1 to 254")
        if score >= _LEAST_SCORE:
            self._masks[number].append(_Mask(label, score, code["counts"]))


def decoded(counts: str | list[int], size: tuple[int, int]) -> NDArray[np.bool_]:
    """(H, W) where the mask of a run-length code is.

    Args:
        counts: lengths of runs down the columns, the first of background; as numbers, or as the
            text that they are compressed to.
        size: height and width.

    Raises:
        ValueError: they do not fill the size.

    Example:
        >>> decoded([2, 1, 1], (2, 2)).astype(int).tolist()
        [[0, 1], [0, 0]]
    """
    if isinstance(counts, str):
        runs = _from_text(counts)
    else:
        runs = [stored_whole("a run's length", count) for count in counts]
    if sum(runs) != size[0] * size[1] or min(runs) < 0:
        raise ValueError(f"it has {len(runs)} runs of {sum(runs)} pixels for {size[0]} x {size[1]}")
    values = np.arange(len(runs)) % 2 == 1
    return np.asarray(np.repeat(values, runs).reshape(size[1], size[0]).T)


def _from_text(text: str) -> list[int]:
    """Five bits to a character, the lowest first, and a sixth where more follow.

    From the fourth on, a run is told by how much longer it is than the last but one.
    """
    runs: list[int] = []
    value = bits = 0
    for character in text:
        part = ord(character) - 48
        if not 0 <= part < 64:
            raise ValueError(f"{character!r} is no character of such a code")
        value |= (part & 31) << bits
        bits += 5
        if part & 32:
            continue
        if part & 16:  # the highest bit of a negative number
            value -= 1 << bits
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = bits = 0
    if bits:
        raise ValueError("it breaks off")
    return runs


def _number(value: Any) -> int:
    number = stored_whole("a picture's number", value)
    if not 0 <= number <= _LARGEST_NUMBER:
        raise ValueError(f"a picture has the number {number}")
    return number


def _numbers(content: Any) -> dict[Any, int]:
    """The pictures' numbers by their ids, those without a mask too, where the file lists them."""
    numbers: dict[Any, int] = {}
    for image in content.get("images", ()) if isinstance(content, dict) else ():
        stem = Path(str(image.get("file_name", ""))).stem
        digits = stem[len(stem.rstrip("0123456789")) :]
        numbers[image["id"]] = _number(digits or image["id"])
    if len(set(numbers.values())) < len(numbers):
        raise ValueError("two pictures have one number in their file_name")
    return numbers
