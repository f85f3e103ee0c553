"""AVSBench-semantic (AVSS) in its official folders.

Layout and colours as the loaders of github.com/OpenNLPLab/AVSBench and its successors have them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from coprop.data.avsbench import (
    SPLIT,
    AVSBench,
    Entry,
    check_split,
    first_at_least,
    inner_folder,
)
from coprop.data.avsbench_files import (
    NUM_AVSS_CLASSES,
    ClipFiles,
    Column,
    find_folder,
    read_colour_mask,
    read_table,
)
from coprop.errors import DatasetError
from coprop.storage.files import read_json
from coprop.utils.brief import first_line
from coprop.utils.checks import stored_whole
from coprop.utils.paths import AnyPath

AVSS_LABELS = ("v1s", "v1m", "v2")
_AVSS_FRAMES = {"v1s": 5, "v1m": 5, "v2": 10}

_AVSS_LAYOUT = """\
AVSBench_semantic/metadata.csv
AVSBench_semantic/label2idx.json
AVSBench_semantic/<v1s, v1m or v2>/<uid>/frames/{0..}.jpg (5 frames in v1s and v1m, 10 in v2)
AVSBench_semantic/<v1s, v1m or v2>/<uid>/labels_rgb/{0..}.png (v1s, train: only 0)
AVSBench_semantic/<v1s, v1m or v2>/<uid>/audio.wav"""


class AVSS(AVSBench):
    """AVSBench-semantic: clips of 5 s (labels v1s, v1m) and 10 s (v2) with 71 classes.

    Class 0 is the background. ``categories`` names the classes in a clip's masks, where
    ``label2idx.json`` is there. In training clips of v1s only the first frame is annotated.
    Clips are called by their uid; where two parts have the same one, by both, such as "v1s/uid".

    Args:
        root: the folder that holds ``metadata.csv`` and the folders ``v1s``, ``v1m`` and ``v2``,
            or the folder around it.
        split: "train", "val" or "test".
        labels: which of the three parts.
        control_points: see `S4`.

    Raises:
        DatasetError: see `S4`; or labels that are none of the three.
    """

    num_classes = NUM_AVSS_CLASSES

    def __init__(
        self,
        root: AnyPath,
        split: str = "test",
        labels: Collection[str] = AVSS_LABELS,
        *,
        control_points: AnyPath | None = None,
    ) -> None:
        listed = isinstance(labels, Collection) and not isinstance(labels, str)
        if not listed or not labels or not all(label in AVSS_LABELS for label in labels):
            raise DatasetError(
                f"labels must be one or more of {AVSS_LABELS}, as a tuple, got {labels!r}."
            )
        self._folder, self._split = find_folder(root, "metadata.csv", _AVSS_LAYOUT), split
        table = self._folder / "metadata.csv"
        rows = read_table(table, Column(("uid",)), Column(("label",)), SPLIT)
        kept = [
            Entry(n, label, _AVSS_FRAMES[label])
            for n, label, s in rows
            if s == split and label in labels
        ]
        check_split(table, split, [s for *_, s in rows])
        if not kept:
            raise DatasetError(f"{table} has no clip of {split!r} with the labels {labels!r}.")
        for label in {entry.part for entry in kept}:
            inner_folder(self._folder, label, _AVSS_LAYOUT)
        whole = set(labels) == set(AVSS_LABELS)
        name = f"AVSS {split}" if whole else f"AVSS {split} {'+'.join(labels)}"
        super().__init__(name, kept, control_points, (row[0] for row in rows))
        counts = Counter(entry.name for entry in kept)
        self._ambiguous = {uid for uid, count in counts.items() if count > 1}

    def _files(self, entry: Entry) -> ClipFiles:
        folder, numbers = self._folder / entry.part / entry.name, range(entry.num_frames)
        masks = [folder / "labels_rgb" / f"{i}.png" for i in numbers]
        partly = self._split == "train" and entry.part == "v1s"
        ambiguous = entry.name in self._ambiguous
        return ClipFiles(
            name=f"{entry.part}/{entry.name}" if ambiguous else entry.name,
            frames=tuple(folder / "frames" / f"{i}.jpg" for i in numbers),
            masks=first_at_least(masks) if partly else tuple(masks),
            audio=folder / "audio.wav",
            layout=_AVSS_LAYOUT,
        )

    def _read_labels(self, path: Path) -> NDArray[np.uint8]:
        return read_colour_mask(path)

    def _categories(self, entry: Entry, labels: list[NDArray[np.uint8]]) -> tuple[str, ...]:
        classes = {int(c) for frame in labels for c in np.unique(frame)} - {0}
        return tuple(self._class_names[c] for c in sorted(classes) if c in self._class_names)

    @cached_property
    def _class_names(self) -> dict[int, str]:
        path = self._folder / "label2idx.json"
        if not path.is_file():
            return {}
        try:
            numbers = read_json(path)
            return {
                stored_whole(f"the number of {name!r}", number): name.replace("_", " ")
                for name, number in numbers.items()
            }
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise DatasetError(
                f"{path} cannot be read: {first_line(error)}; it maps the 71 class names to "
                "their numbers. Without it the classes have no names."
            ) from error
