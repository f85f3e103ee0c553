"""AVSBench-object in its official folders: S4 and MS3.

Layouts as the loaders and preparation scripts of github.com/OpenNLPLab/AVSBench have them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from coprop.data.avsbench import (
    NAME,
    SPLIT,
    AVSBench,
    Entry,
    check_split,
    first_at_least,
    inner_folder,
)
from coprop.data.avsbench_files import ClipFiles, Column, find_folder, read_table
from coprop.utils.paths import AnyPath

_S4_LAYOUT = """\
Single-source/s4_meta_data.csv
Single-source/s4_data/visual_frames/<split>/<category>/<name>/<name>_{1..5}.png
Single-source/s4_data/gt_masks/<split>/<category>/<name>/<name>_{1..5}.png (train: only _1)
Single-source/s4_data/audio_wav/<split>/<category>/<name>.wav"""
_MS3_LAYOUT = """\
Multi-sources/ms3_meta_data.csv
Multi-sources/ms3_data/visual_frames/<name>/<name>.mp4_{1..5}.png
Multi-sources/ms3_data/gt_masks/<split>/<name>/<name>_{1..5}.png
Multi-sources/ms3_data/audio_wav/<split>/<name>.wav"""


class S4(AVSBench):
    """The single-source part of AVSBench-object: clips of 5 s in which one thing sounds.

    Only the first frame of training clips is annotated; their ``change_times_s`` is None. A clip's
    category is its only one in ``categories``.

    Args:
        root: ``Single-source``, which holds ``s4_meta_data.csv`` and ``s4_data``, or the folder
            around it.
        split: "train", "val" or "test".
        control_points: a file of flags (see `read_control_points`) to be used instead of the
            masks; ``change_times_s`` is None for clips that are not in it.

    Raises:
        DatasetError: not such a folder, a csv without the columns or without clips of the split,
            or control points that do not fit.
    """

    def __init__(
        self, root: AnyPath, split: str = "test", *, control_points: AnyPath | None = None
    ) -> None:
        folder = find_folder(root, "s4_meta_data.csv", _S4_LAYOUT)
        self._data, self._split = inner_folder(folder, "s4_data", _S4_LAYOUT), split
        table = folder / "s4_meta_data.csv"
        rows = read_table(table, NAME, Column(("category",), 2), SPLIT)
        kept = [Entry(n, c) for n, c, s in rows if s == split]
        check_split(table, split, [s for *_, s in rows])
        super().__init__(f"S4 {split}", kept, control_points, (row[0] for row in rows))

    def _files(self, entry: Entry) -> ClipFiles:
        name, numbers = entry.name, range(1, entry.num_frames + 1)
        inner = Path(self._split, entry.part)
        folders = [self._data / kind / inner / name for kind in ("visual_frames", "gt_masks")]
        frames, masks = ([folder / f"{name}_{i}.png" for i in numbers] for folder in folders)
        return ClipFiles(
            name=name,
            frames=tuple(frames),
            masks=first_at_least(masks) if self._split == "train" else tuple(masks),
            audio=self._data / "audio_wav" / inner / f"{name}.wav",
            layout=_S4_LAYOUT,
        )

    def _categories(self, entry: Entry, labels: list[NDArray[np.uint8]]) -> tuple[str, ...]:
        return (entry.part.replace("_", " "),)


class MS3(AVSBench):
    """The multi-source part of AVSBench-object: clips of 5 s in which several things sound.

    Args:
        root: ``Multi-sources``, which holds ``ms3_meta_data.csv`` and ``ms3_data``, or the folder
            around it.
        split: "train", "val" or "test".
        control_points: see `S4`. The masks alone tell only where all falls silent or begins.

    Raises:
        DatasetError: see `S4`.
    """

    def __init__(
        self, root: AnyPath, split: str = "test", *, control_points: AnyPath | None = None
    ) -> None:
        folder = find_folder(root, "ms3_meta_data.csv", _MS3_LAYOUT)
        self._data, self._split = inner_folder(folder, "ms3_data", _MS3_LAYOUT), split
        table = folder / "ms3_meta_data.csv"
        rows = read_table(table, NAME, SPLIT)
        kept = [Entry(n) for n, s in rows if s == split]
        check_split(table, split, [s for *_, s in rows])
        super().__init__(f"MS3 {split}", kept, control_points, (row[0] for row in rows))

    def _files(self, entry: Entry) -> ClipFiles:
        name, numbers = entry.name, range(1, entry.num_frames + 1)
        frames = self._data / "visual_frames" / name  # these lie in no folder of the split
        masks = self._data / "gt_masks" / self._split / name
        return ClipFiles(
            name=name,
            frames=tuple(frames / f"{name}.mp4_{i}.png" for i in numbers),
            masks=tuple(masks / f"{name}_{i}.png" for i in numbers),
            audio=self._data / "audio_wav" / self._split / f"{name}.wav",
            layout=_MS3_LAYOUT,
        )
