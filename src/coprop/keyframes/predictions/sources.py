"""Where predictions lie: folders of pictures, arrays in files and in memory, COCO's JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coprop.errors import PredictionError
from coprop.keyframes.predictions.coco import CocoMasks
from coprop.keyframes.predictions.pictures import SUFFIXES, numbers_of, read_picture
from coprop.keyframes.predictions.times import slots_of
from coprop.keyframes.predictions.values import Raw
from coprop.storage.files import visible
from coprop.utils.brief import first_line
from coprop.utils.checks import array_of, shown
from coprop.utils.paths import AnyPath, as_path, is_path

TIMES = "times_s"
"""The name of the array with the predictions' times, beside that with the predictions."""

_CLASSES = (1, 2, 3, 71)  # usual numbers of channels, AVSS's last; no picture is as narrow
_ARRAYS = (".npy", ".npz", ".safetensors")
_ACCEPTED = (
    f"a folder of pictures ({', '.join(SUFFIXES)}), a file {', '.join(_ARRAYS)} or .json, or an "
    "array"
)


class Source(Protocol):
    """Predictions in order of time, each read when it is asked for."""

    @property
    def name(self) -> str:
        """Where they lie; empty for what is in memory."""

    @property
    def slots(self) -> NDArray[np.int64]:
        """(T,) increasing, of which second or frame each is, from 0, as far as files tell."""

    @property
    def times_s(self) -> NDArray[Any] | None:
        """(T,) when they are shown, where that is stored with them."""

    @property
    def padded(self) -> bool:
        """Whether a clip may be shorter than its predictions."""

    def __getitem__(self, index: int, /) -> Raw: ...


class Pictures:
    """Predictions that are a picture each, in the order of the numbers that their names end with.

    Args:
        paths: of the pictures, of one clip.
        name: of the folder, or of the clip in it.
        first: the number of the clip's first one; see `slots_of`.
        padded: see `Source`.

    Raises:
        PredictionError: two have one number.
    """

    times_s = None

    def __init__(
        self, paths: Sequence[Path], name: str, *, first: int | None = None, padded: bool = False
    ) -> None:
        numbers = numbers_of(paths)
        order = sorted(range(len(paths)), key=lambda i: numbers[i] if numbers else paths[i].name)
        self.paths = tuple(paths[i] for i in order)
        self.name, self.padded = name, padded
        self.slots = np.arange(len(paths))
        if numbers is not None:
            self.slots = slots_of(tuple(numbers[i] for i in order), first)

    def __getitem__(self, index: int) -> Raw:
        return read_picture(self.paths[index])


class Array:
    """Predictions along the first axis of an array.

    Args:
        values: (T, h, w), (T, C, h, w); indexed one by one.
        name: of the file; empty for an array in memory.
        times_s: (T,) when they are shown, where that is stored with them.

    Raises:
        PredictionError: another shape or type.
    """

    padded = False

    def __init__(self, values: Any, name: str = "", times_s: NDArray[Any] | None = None) -> None:
        self.name, self.times_s = name, times_s
        self._values, self._told = values, name or "the array of predictions"
        shape = tuple(values.shape)
        if len(shape) not in (3, 4) or 0 in shape:
            raise PredictionError(
                f"{self._told} has the shape {shape}; predictions are (T, h, w) or (T, C, h, w)."
            )
        if len(shape) == 4 and shape[3] in _CLASSES and min(shape[1:3]) > shape[3]:
            raise PredictionError(
                f"{self._told} has the shape {shape}, with channels last; predictions are (T, h, "
                "w) or (T, C, h, w): give values.transpose(0, 3, 1, 2)."
            )
        self.slots = np.arange(shape[0])

    def __getitem__(self, index: int) -> Raw:
        values = array_of(self._told, self._values[index], error=PredictionError)
        one = values.ndim == 3 and len(values) == 1
        return Raw(values[0] if one else values, f"prediction {index} of {self._told}")


def open_source(given: AnyPath | ArrayLike | Pictures) -> Source:
    """What is given as predictions, whatever form it has; pictures that are known as they are.

    Raises:
        PredictionError: nothing is there, or nothing that is known.
    """
    if isinstance(given, Pictures):
        return given
    if not is_path(given):
        if not hasattr(given, "shape"):
            raise PredictionError(f"predictions are {_ACCEPTED}, got {shown(given)}.")
        array = given if hasattr(given, "detach") else np.asarray(given)
        return Array(array)
    path = as_path("predictions", given, error=PredictionError)
    if path.is_dir():
        return Pictures(pictures_in(path), str(path))
    if not path.is_file():
        raise PredictionError(f"there are no predictions at {path}: no such file or folder.")
    if path.suffix.lower() == ".json":
        return CocoMasks(path)
    if path.suffix.lower() not in _ARRAYS:
        raise PredictionError(f"predictions are {_ACCEPTED}, got the file {path}.")
    values, times_s = _read_arrays(path)
    return Array(values, str(path), times_s)


def holds_folders(folder: Path) -> bool:
    """Whether it is a folder in whose folders there are pictures, and in which there are none."""
    pictures = _pictures_below(folder) if folder.is_dir() else []
    return bool(pictures) and all(path.parent != folder for path in pictures)


def pictures_in(folder: Path) -> list[Path]:
    """The pictures right in a folder.

    Raises:
        PredictionError: there are none.
    """
    pictures = _pictures_below(folder)
    own = [path for path in pictures if path.parent == folder]
    if own:
        return own
    if pictures:
        raise PredictionError(
            f"{folder} holds no pictures itself, but folders with {len(pictures)} do, such as "
            f"{pictures[0].parent}; give the folder of one clip. (coprop eval and coprop retime "
            "take whole runs.)"
        )
    raise PredictionError(f"{folder} holds no pictures; predictions are {_ACCEPTED}.")


def _pictures_below(folder: Path) -> list[Path]:
    try:
        return [path for path in visible(folder) if path.suffix.lower() in SUFFIXES]
    except OSError as error:
        raise PredictionError(
            f"{folder} cannot be read: {first_line(error)}. Check its permissions."
        ) from error


def _read_arrays(path: Path) -> tuple[Any, NDArray[Any] | None]:
    """The predictions of a file, and their times, where they are there too."""
    try:
        if path.suffix.lower() == ".npy":
            return np.load(path, mmap_mode="r", allow_pickle=False), None
        if path.suffix.lower() == ".npz":
            with np.load(path, allow_pickle=False) as stored:
                arrays: dict[str, Any] = {name: stored[name] for name in stored.files}
        else:
            from safetensors.torch import load_file

            arrays = dict(load_file(path))
    except Exception as error:  # their readers raise many kinds of error for damaged files
        raise PredictionError(
            f"the array {path} cannot be read: {first_line(error)}. Write it again, it is damaged "
            "or holds something else than numbers."
        ) from error
    times_s = arrays.pop(TIMES, None)
    if len(arrays) != 1:
        raise PredictionError(
            f"{path} holds {sorted(arrays) or 'no arrays'}; it must hold one array of predictions, "
            f"(T, h, w) or (T, C, h, w), and beside it at most {TIMES}, (T,)."
        )
    ((_, values),) = arrays.items()
    return values, None if times_s is None else array_of(TIMES, times_s, error=PredictionError)
