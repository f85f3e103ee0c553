"""Predictions as COCO's JSON: masks in run-length encoding, several to a picture."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coprop.errors import PredictionError
from coprop.extras import needs
from coprop.files import parse_json
from coprop.keyframes.predictions.times import slots_of
from coprop.keyframes.predictions.values import VOID, Raw

_LEAST_SCORE = 0.5  # as probabilities are thresholded; detectors write what they hardly believe too
_FORM = (
    'a list of {"image_id", "category_id", "segmentation": {"size": [h, w], "counts": ...}}, with '
    '"score" where there is one, or an object with "images" and "annotations"'
)


class CocoMasks:
    """The label map of each picture that a JSON file in COCO's form has masks of.

    Masks of one picture are painted over one another by their score, the highest last; those with
    a score below 0.5 are left out. Labels are the category ids.

    Args:
        path: results, a list of annotations, or a data set, with ``images`` and ``annotations``.

    Raises:
        PredictionError: another form, or category ids beyond 1 to 254.
        MissingPackageError: pycocotools is not installed.

    Attributes:
        numbers: of the pictures: that at the end of the ``file_name``, or else the id.
        name, slots, times_s, padded: see `coprop.keyframes.predictions.sources.Source`.
    """

    times_s = None
    padded = False

    def __init__(self, path: Path) -> None:
        with needs("pycocotools", "coprop[coco]", "COCO's run-length encoding"):
            import pycocotools.mask
        self._codec = pycocotools.mask
        self._path, self.name = path, str(path)
        content = _read(path)
        annotations = content["annotations"] if isinstance(content, dict) else content
        self._masks: dict[int, list[dict[str, Any]]] = defaultdict(list)
        sizes: set[tuple[int, ...]] = set()
        try:
            numbers = _numbers(content)
            for entry in annotations:
                code = entry["segmentation"]
                sizes.add(tuple(int(side) for side in code["size"]))
                if not 1 <= int(entry["category_id"]) < VOID:
                    raise ValueError(f"category_id is {entry['category_id']}, not 1 to 254")
                if float(entry.get("score", 1.0)) >= _LEAST_SCORE:
                    number = numbers.setdefault(int(entry["image_id"]), int(entry["image_id"]))
                    self._masks[number].append(entry)
                else:
                    numbers.setdefault(int(entry["image_id"]), int(entry["image_id"]))
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise PredictionError(
                f"{path} is not COCO's form: {type(error).__name__}: {error}. It must be {_FORM}."
            ) from error
        if len(sizes) != 1 or len(next(iter(sizes))) != 2:
            raise PredictionError(
                f"{path} must hold masks of one size, has {sorted(sizes) or 'none at all'}."
            )
        self.numbers = tuple(sorted(set(numbers.values())))
        self.slots = slots_of(self.numbers)
        self._size = next(iter(sizes))

    def __getitem__(self, index: int) -> Raw:
        number = self.numbers[index]
        labels: NDArray[np.uint8] = np.zeros(self._size, dtype=np.uint8)
        entries = sorted(self._masks[number], key=lambda entry: float(entry.get("score", 1.0)))
        for entry in entries:
            labels[self._decoded(entry["segmentation"]) > 0] = int(entry["category_id"])
        return Raw(labels, f"picture {number} of {self._path}", ids=True)

    def _decoded(self, code: dict[str, Any]) -> NDArray[np.uint8]:
        try:
            if isinstance(code["counts"], list):
                code = self._codec.frPyObjects(code, *self._size)
            return np.asarray(self._codec.decode(code), dtype=np.uint8)
        except Exception as error:  # its compiled code raises what it meets
            raise PredictionError(
                f"a run-length code in {self._path} cannot be decoded: {error}; it must be "
                '{"size": [h, w], "counts": ...} as pycocotools writes it.'
            ) from error


def _read(path: Path) -> Any:
    try:
        return parse_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise PredictionError(f"{path} cannot be read as JSON: {error}.") from error


def _numbers(content: Any) -> dict[int, int]:
    """The pictures' numbers by their ids, those without a mask too, where the file lists them."""
    numbers: dict[int, int] = {}
    for image in content.get("images", ()) if isinstance(content, dict) else ():
        stem = Path(str(image.get("file_name", ""))).stem
        digits = stem[len(stem.rstrip("0123456789")) :]
        numbers[int(image["id"])] = int(digits) if digits.isascii() and digits else int(image["id"])
    if len(set(numbers.values())) < len(numbers):
        raise ValueError("two pictures have one number in their file_name")
    return numbers
