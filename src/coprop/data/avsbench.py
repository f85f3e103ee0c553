"""What the readers of AVSBench have in common: clips that are read when they are asked for.

The readers are in `coprop.data.avsbench_object` (S4, MS3) and `coprop.data.avsbench_semantic`
(AVSS). Frame i of a clip's N is the last of second i, and stands for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from coprop.data.avsbench_files import (
    ClipFiles,
    Column,
    Pictures,
    Truths,
    read_binary_mask,
    read_sound,
)
from coprop.data.control_point_labels import (
    control_points_from_flags,
    key_frame_flags,
    read_control_points,
)
from coprop.data.labelled import LabelledClip
from coprop.errors import DatasetError
from coprop.utils.paths import AnyPath

NAME = Column(("name", "video_id"), 0)
SPLIT = Column(("split",))


@dataclass(frozen=True)
class Entry:
    """A row of the csv.

    Args:
        name: of the clip.
        part: of the dataset in which it lies: S4's category, AVSS's label.
        num_frames: N, one a second.
    """

    name: str
    part: str = ""
    num_frames: int = 5


class AVSBench:
    """What the three have in common: entries, and clips that are read when asked for.

    Args:
        name: of the dataset and its split.
        entries: the clips.
        control_points: a file of flags to be used instead of the masks.
        all_names: the clips of all splits, which may have flags in that file.

    Raises:
        DatasetError: flags that do not fit.
    """

    num_classes = 1

    def __init__(
        self,
        name: str,
        entries: Sequence[Entry],
        control_points: AnyPath | None,
        all_names: Iterable[str],
    ) -> None:
        self.name = name
        self._entries = tuple(entries)
        self._flags: dict[str, NDArray[np.bool_]] | None = None
        if control_points is not None:
            self._flags = read_control_points(control_points)
            _check_flags(control_points, self._flags, self._entries, set(all_names))

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int, /) -> LabelledClip:
        """Reads the clip's sound and masks; its frames are read while one iterates.

        Raises:
            IndexError: no such clip.
            DatasetError: a file of it is missing, damaged or of another size than its frame.
        """
        entry = self._entries[index]
        files = self._files(entry)
        files.check()
        truth = Truths(files.masks, self._read_labels)
        labels = [frame.labels for frame in truth if frame.labels is not None]
        return LabelledClip(
            name=files.name,
            frames=Pictures(files.frames),
            audio=read_sound(files.audio),
            truth=truth,
            change_times_s=self._changes(entry, labels),
            windows=entry.num_frames,
            categories=self._categories(entry, labels),
        )

    def _changes(self, entry: Entry, labels: list[NDArray[np.uint8]]) -> tuple[float, ...] | None:
        if self._flags is not None:
            flags = self._flags.get(entry.name)
        else:
            flags = key_frame_flags(labels) if len(labels) == entry.num_frames else None
        return None if flags is None else control_points_from_flags(flags, entry.num_frames)

    def _files(self, entry: Entry) -> ClipFiles:
        raise NotImplementedError

    def _read_labels(self, path: Path) -> NDArray[np.uint8]:
        return read_binary_mask(path)

    def _categories(self, entry: Entry, labels: list[NDArray[np.uint8]]) -> tuple[str, ...]:
        return ()


def inner_folder(folder: Path, name: str, layout: str) -> Path:
    """A folder that must be beside the csv.

    Raises:
        DatasetError: it is not there.
    """
    if not (folder / name).is_dir():
        raise DatasetError(
            f"{folder / name} is not a folder; it belongs beside the csv in {folder}. The "
            "official layout is",
            layout,
        )
    return folder / name


def first_at_least(masks: list[Path]) -> tuple[Path | None, ...]:
    """Masks of training clips of which only the first is sure to be there."""
    return (masks[0], *(mask if mask.is_file() else None for mask in masks[1:]))


def check_split(table: Path, split: str, splits: list[str]) -> None:
    """Refuses a split of which the csv has no clip.

    Raises:
        DatasetError: listing those it has.
    """
    if split not in splits:
        raise DatasetError(
            f"{table} has no clip of the split {split!r}; it has {sorted(set(splits))}."
        )


def _check_flags(
    path: AnyPath,
    flags: dict[str, NDArray[np.bool_]],
    entries: Iterable[Entry],
    all_names: set[str],
) -> None:
    unknown = sorted(flags.keys() - all_names)
    if unknown:
        raise DatasetError(
            f"{path} has flags of clips that the dataset does not have: {', '.join(unknown[:5])}."
        )
    for entry in entries:
        own = flags.get(entry.name)
        if own is not None and len(own) != entry.num_frames:
            raise DatasetError(
                f"{path} has {len(own)} flags for the clip {entry.name!r} of {entry.num_frames} "
                "frames; give one for each frame."
            )
