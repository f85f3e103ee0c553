"""The open benchmark as a labelled dataset, read from the folder it was composed into."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from coprop.data.avsbench import SPLIT, check_split
from coprop.data.avsbench_files import (
    ByNumber,
    ClipFiles,
    Column,
    find_folder,
    read_sound,
    read_table,
)
from coprop.data.benchmark_record import RECORD, ClipRecord, read_record
from coprop.data.labelled import FrameTruth, LabelledClip
from coprop.errors import DatasetError
from coprop.media.reader import Frame
from coprop.utils.brief import first_line
from coprop.utils.checks import check_choice
from coprop.utils.paths import AnyPath

Classes = Literal["all", "seen", "unseen"]

_LAYOUT = """\
<folder>/benchmark.json
<folder>/metadata.csv
<folder>/<train, validation or test>/<clip>/clip.json
<folder>/<train, validation or test>/<clip>/frames/{00000..}.png
<folder>/<train, validation or test>/<clip>/masks/{00000..}.png
<folder>/<train, validation or test>/<clip>/audio.wav
as python -m tools.benchmark compose writes it, in a checkout of the project."""


class ComposedBenchmark:
    """Clips of the open benchmark, with the masks of all objects, whether they sound or not.

    Args:
        root: the folder that ``python -m tools.benchmark compose`` wrote, or the folder around it.
        split: "train", "validation", AVSBench's "val", or "test".
        subset: "s4", "m3" or "moc"; None for all that are there.
        classes: "seen" for the clips whose sounding objects are all of groups that training clips
            have, "unseen" for the others, "all" for both.

    Raises:
        DatasetError: no such folder, or no clip of what was asked for.
    """

    num_classes = 1

    def __init__(
        self,
        root: AnyPath,
        split: str = "test",
        subset: str | None = None,
        classes: Classes = "all",
    ) -> None:
        check_choice("classes", classes, get_args(Classes), error=DatasetError)
        self._folder = find_folder(root, "benchmark.json", _LAYOUT)
        table = self._folder / "metadata.csv"
        if not table.is_file():
            raise DatasetError(
                f"{table} does not exist: the work that wrote {self._folder} was stopped. Repeat "
                "python -m tools.benchmark compose with the same arguments; it goes on where it "
                "ended."
            )
        seen = Column(("seen_in_training",))
        rows = read_table(table, Column(("uid",)), Column(("label",)), SPLIT, seen)
        splits = [row[2] for row in rows]
        split = "validation" if split == "val" and "validation" in splits else split
        check_split(table, split, splits)
        self._split = split
        self._names = [
            name
            for name, label, own_split, known in rows
            if own_split == split
            and subset in (None, label)
            and (classes == "all" or (known == "1") == (classes == "seen"))
        ]
        if not self._names:
            labels = sorted({row[1] for row in rows if row[2] == split})
            raise DatasetError(
                f"{table} has no clip of {split!r} with subset={subset!r} and classes={classes!r}; "
                f"its subsets are {labels}."
            )
        parts = ("benchmark", split, subset, None if classes == "all" else classes)
        self.name = " ".join(part for part in parts if part is not None)

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, index: int, /) -> LabelledClip:
        """Reads the clip's record and sound; frames and masks are read while one iterates.

        Raises:
            IndexError: no such clip.
            DatasetError: a file of it is missing, damaged or of another size than its frame.
        """
        name = self._names[index]
        folder = self._folder / self._split / name
        record = read_record(folder / RECORD)
        pictures = [f"{i:05d}.png" for i in range(record.num_frames)]
        frames, masks = (
            tuple(folder / kind / picture for picture in pictures) for kind in ("frames", "masks")
        )
        audio = folder / "audio.wav"
        ClipFiles(name, frames, masks, audio, _LAYOUT).check()
        return LabelledClip(
            name=name,
            frames=_Frames(frames, record.fps),
            audio=read_sound(audio),
            truth=_Truths(masks, record),
            change_times_s=record.change_times_s,
            categories=record.categories,
            heard=record.heard,
            silent=record.silent,
            off_screen=record.hidden,
        )


@dataclass(frozen=True, eq=False)
class _Frames(ByNumber[Frame]):
    paths: tuple[Path, ...]
    fps: float

    def __getitem__(self, index: int, /) -> Frame:
        return Frame(index, index / self.fps, _pixels(self.paths[index], ("RGB",)))


@dataclass(frozen=True, eq=False)
class _Truths(ByNumber[FrameTruth]):
    paths: tuple[Path, ...]
    record: ClipRecord

    def __getitem__(self, index: int, /) -> FrameTruth:
        time_s = index / self.record.fps
        sounding = np.array([o.sounds_at(time_s) for o in self.record.objects], dtype=bool)
        numbers = np.arange(1, len(sounding) + 1)[:, None, None]
        objects = np.asarray(_labels(self.paths[index], len(sounding)) == numbers)
        labels = objects[sounding].any(axis=0).astype(np.uint8)
        hidden = any(source.sounds_at(time_s) for source in self.record.off_screen)
        return FrameTruth(labels, objects, sounding, hidden)


def _labels(path: Path, objects: int) -> NDArray[np.uint8]:
    """(H, W) numbers of the objects, 0 for the background."""
    labels = _pixels(path, ("P", "L"))
    if labels.max(initial=0) > objects:
        raise DatasetError(
            f"the mask {path} has the label {labels.max()}, and {RECORD} lists {objects} objects. "
            "Check the folder with coprop data verify, and compose it anew."
        )
    return labels


def _pixels(path: Path, modes: tuple[str, ...]) -> NDArray[np.uint8]:
    import PIL.Image

    try:
        with PIL.Image.open(path) as picture:
            mode, pixels = picture.mode, np.asarray(picture, dtype=np.uint8)
    except Exception as error:  # Pillow raises many kinds of error for damaged pictures
        raise DatasetError(
            f"the picture {path} cannot be read: {first_line(error)}. Check the folder with "
            "coprop data verify, and compose it anew."
        ) from error
    if mode not in modes:
        raise DatasetError(
            f"the picture {path} has Pillow's mode {mode}, and must have {' or '.join(modes)}. "
            "Check the folder with coprop data verify."
        )
    return pixels
