"""Finding and reading the files of AVSBench: folders, csv, pictures and sound.

Whatever is missing or damaged is named in the error, with the official layout.
"""

from __future__ import annotations

import csv
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from coprop.data.labelled import FrameTruth
from coprop.errors import AudioError, DatasetError
from coprop.media.painting import voc_palette
from coprop.media.reader import Frame
from coprop.types import Audio
from coprop.utils.brief import first_line
from coprop.utils.paths import AnyPath, as_path

if TYPE_CHECKING:
    from PIL.Image import Image

NUM_AVSS_CLASSES = 71  # the background and 70 things

ReadLabels = Callable[[Path], NDArray[np.uint8]]
"""A mask file's labels, (H, W) uint8."""

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Column:
    """A column of a csv: by one of its names, or else, where that is given, by its position."""

    names: tuple[str, ...]
    position: int | None = None

    def find(self, header: list[str]) -> int | None:
        """Its position in a header, or None."""
        for name in self.names:
            if name in header:
                return header.index(name)
        if self.position is not None and self.position < len(header):
            return self.position
        return None


@dataclass(frozen=True)
class ClipFiles:
    """Where the parts of one clip lie.

    Args:
        name: of the clip.
        frames: (N,) pictures.
        masks: (N,) masks of these; None where a frame has none.
        audio: the sound.
        layout: how the dataset's folder officially looks, for errors.
    """

    name: str
    frames: tuple[Path, ...]
    masks: tuple[Path | None, ...]
    audio: Path
    layout: str

    def check(self) -> None:
        """Refuses files that are missing, and masks of another size than their frame's.

        Raises:
            DatasetError: naming what is wrong.
        """
        self._check_present("frames", self.frames)
        self._check_present("masks", tuple(mask for mask in self.masks if mask is not None))
        self._check_present("sounds", (self.audio,))
        for frame, mask in zip(self.frames, self.masks, strict=True):
            sizes = [picture_size(path) for path in (frame, mask) if path is not None]
            if len(set(sizes)) > 1:
                shown = [f"{width}x{height}" for width, height in sizes]
                raise DatasetError(
                    f"the frame {frame} is {shown[0]}, its mask {mask} is {shown[1]}; both must "
                    "have one size, as in the official release. Resize one of them (masks with "
                    "nearest neighbours)."
                )

    def _check_present(self, kind: str, paths: tuple[Path, ...]) -> None:
        missing = [path for path in paths if not path.is_file()]
        if not missing:
            return
        nearest = next((p for p in missing[0].parents if p.is_dir()), missing[0].anchor)
        raise DatasetError(
            f"clip {self.name!r}: {missing[0]} does not exist; {len(paths) - len(missing)} of "
            f"{len(paths)} {kind} are there, and the last folder on the way that exists is "
            f"{nearest}. The official layout is",
            self.layout,
        )


@dataclass(frozen=True, eq=False)
class ByNumber(ABC, Generic[_Item]):
    """What there is of each of a clip's frames, read when its number is asked for."""

    paths: tuple[Path | None, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def __iter__(self) -> Iterator[_Item]:
        return map(self.__getitem__, range(len(self)))

    @abstractmethod
    def __getitem__(self, index: int, /) -> _Item: ...


@dataclass(frozen=True, eq=False)
class Pictures(ByNumber[Frame]):
    """The frames of a clip, read while one iterates; frame i of N stands for second i."""

    paths: tuple[Path, ...]

    def __getitem__(self, index: int, /) -> Frame:
        return Frame(index, index + 0.5, _pixels(self.paths[index], "RGB"))


@dataclass(frozen=True, eq=False)
class Truths(ByNumber[FrameTruth]):
    """What is known of a clip's frames, read while one iterates."""

    read: ReadLabels

    def __getitem__(self, index: int, /) -> FrameTruth:
        path = self.paths[index]
        return FrameTruth(None if path is None else self.read(path))


def find_folder(root: AnyPath, table: str, layout: str) -> Path:
    """The dataset's folder: the one that holds its csv, ``root`` or a folder right in it.

    Raises:
        DatasetError: none does, or several do.
    """
    root = as_path("root", root, error=DatasetError)
    if (root / table).is_file():
        return root
    inner = sorted(p for p in root.iterdir() if (p / table).is_file()) if root.is_dir() else []
    if len(inner) == 1:
        return inner[0]
    if inner:
        raise DatasetError(
            f"{table} lies in several folders of {root}: {', '.join(p.name for p in inner)}; "
            "give one of these."
        )
    what = f"holds no {table}, nor does a folder in it" if root.is_dir() else "is not a folder"
    raise DatasetError(
        f"{root} {what} (looked for {root / table}). Give the dataset's folder; the official "
        "layout is",
        layout,
    )


def read_table(path: Path, *columns: Column) -> list[tuple[str, ...]]:
    """The cells of some columns of a csv with a header, for each row.

    Raises:
        DatasetError: a csv without one of the columns, with a row that is too short, or that is
            no text.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [(number, row) for number, row in enumerate(csv.reader(file), 1) if any(row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(
            f"{path} cannot be read as a csv: {first_line(error)}. Get the dataset's own again, or "
            "write it as text in UTF-8."
        ) from error
    header = [cell.strip() for cell in lines[0][1]] if lines else []
    positions: list[int] = []
    for column in columns:
        position = column.find(header)
        if position is None:
            raise DatasetError(
                f"{path} has no column {' or '.join(map(repr, column.names))}; its header is "
                f"{header}. Its first line must name the columns, as in the official csv."
            )
        positions.append(position)
    rows: list[tuple[str, ...]] = []
    for number, row in lines[1:]:
        if len(row) <= max(positions):
            raise DatasetError(
                f"{path}, line {number} has {len(row)} cells, the header {len(header)}: {row}."
            )
        rows.append(tuple(row[position].strip() for position in positions))
    return rows


def picture_size(path: Path) -> tuple[int, int]:
    """(width, height) as the file's header states it."""
    with _opened(path) as image:
        return image.width, image.height


def read_binary_mask(path: Path) -> NDArray[np.uint8]:
    """(H, W) 1 wherever the picture is not black, in any of the forms that masks come in."""
    return np.asarray(_pixels(path, "RGB").any(axis=2), dtype=np.uint8)


def read_colour_mask(path: Path) -> NDArray[np.uint8]:
    """(H, W) class ids of AVSS by the exact colour; a colour of no class is background."""
    palette = voc_palette()[:NUM_AVSS_CLASSES]
    table = np.zeros(512, dtype=np.uint8)
    table[_high_bits(palette)] = np.arange(NUM_AVSS_CLASSES)
    pixels = _pixels(path, "RGB")
    labels = table[_high_bits(pixels)]
    labels[(palette[labels] != pixels).any(axis=2)] = 0
    return labels


def read_sound(path: Path) -> Audio:
    """The sound of a wav file at its own sample rate, mono (the mean of the channels).

    Raises:
        DatasetError: a file that is damaged, empty or no sound.
    """
    import soundfile

    try:
        path.stat()  # of a file that is not there, libsndfile says "System error"
        samples, sample_rate = soundfile.read(path, dtype="float32", always_2d=True)
        if not len(samples):
            raise AudioError("there is no sample in it")
        return Audio(samples.mean(axis=1), sample_rate)
    except (RuntimeError, OSError, AudioError) as error:  # soundfile's errors are RuntimeErrors
        raise DatasetError(
            f"the sound {path} cannot be read: {first_line(error)}. Get the file again, or "
            "make it anew from the clip's video."
        ) from error


def _high_bits(rgb: NDArray[np.uint8]) -> NDArray[np.intp]:
    """The three high bits of each channel as one number; 71 classes differ in these alone."""
    high = (rgb >> 5).astype(np.intp)
    return np.asarray(high[..., 0] << 6 | high[..., 1] << 3 | high[..., 2])


def _pixels(path: Path, mode: str) -> NDArray[np.uint8]:
    with _opened(path) as image:
        try:
            return np.asarray(image.convert(mode), dtype=np.uint8)
        except Exception as error:  # Pillow raises many kinds of error for damaged pictures
            raise _damaged(path, error) from error


def _opened(path: Path) -> Image:
    import PIL.Image

    try:
        return PIL.Image.open(path)
    except Exception as error:  # as above
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> DatasetError:
    return DatasetError(
        f"the picture {path} cannot be read: {first_line(error)}. Get the file again, it is "
        "damaged or no picture."
    )
