"""Parts of datasets: their key frames (paper section 3.3), and the clips that change (MOC)."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from itertools import zip_longest

import numpy as np

from coprop.data.labelled import LabelledClip, LabelledDataset, note_name
from coprop.errors import DatasetError
from coprop.types import SAME_S, WindowDetector
from coprop.utils.checks import shown


class Subset:
    """Some clips of a dataset, in the given order; itself a `LabelledDataset`.

    Args:
        dataset: what they are taken from.
        indices: their numbers in it, from 0.
        name: of the subset, as reports name it.

    Raises:
        DatasetError: no index, no whole number, or one that the dataset does not have.
    """

    def __init__(self, dataset: LabelledDataset, indices: Iterable[int], name: str) -> None:
        self.dataset = dataset
        try:
            self.indices = tuple(map(operator.index, indices))
        except TypeError as error:
            raise DatasetError(f"indices must be whole numbers, got {shown(indices)}.") from error
        self.name = name
        outside = [index for index in self.indices if not 0 <= index < len(dataset)]
        if outside or not self.indices:
            raise DatasetError(
                f"the subset {name!r} of {dataset.name} needs one or more indices from 0 to "
                f"{len(dataset) - 1}, got {outside or 'none'}."
            )

    @property
    def num_classes(self) -> int:
        return self.dataset.num_classes

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int, /) -> LabelledClip:
        return self.dataset[self.indices[index]]


def moc(dataset: LabelledDataset, names: Iterable[str] | None = None) -> Subset:
    """The clips in which what sounds changes: multiple-sound source conversion (paper 4).

    The paper picked its 17 clips of MS3's test split by hand. Its list is not public, so figures on
    this subset are not those of the paper's table.

    Args:
        dataset: every clip of it is read once.
        names: the clips' names; by default all whose ``change_times_s`` is not empty. MS3's masks
            tell only where all falls silent or begins; give it ``control_points`` for the others.

    Returns:
        A dataset named as the given one, with " moc".

    Raises:
        DatasetError: a name that the dataset does not have, or two clips have; or no clip at all.
    """
    wanted = None if names is None else set(names)
    kept: list[int] = []
    index_of: dict[str, int] = {}
    for index in range(len(dataset)):
        clip = dataset[index]
        note_name(index_of, clip.name, index, dataset.name)
        if clip.name in wanted if wanted is not None else clip.change_times_s:
            kept.append(index)
            if wanted is not None:
                wanted.discard(clip.name)
    if wanted:
        raise DatasetError(f"{dataset.name} has no clip {', '.join(sorted(wanted)[:5])}.")
    if not kept:
        raise DatasetError(
            f"in no clip of {dataset.name} is the sounding set known to change. Binary masks tell "
            "only where all falls silent or begins; give the names of clips, or the dataset "
            "a file of control points."
        )
    return Subset(dataset, kept, f"{dataset.name} moc")


def key_frames(
    dataset: LabelledDataset, detector: WindowDetector | None = None
) -> tuple[tuple[int, int], ...]:
    """The key frames of a dataset: those at which what sounds changes, and each clip's first.

    The subset on which the paper fine-tunes its keyframe processor (section 3.3); only annotated
    frames are in it. Frames and masks of all clips are read once.

    Args:
        dataset: where they are looked for.
        detector: finds the changes in the sound, as in the paper: called as
            ``detector(audio, windows=N)``, with None for N in dense video. By default the
            annotation is asked; where it does not tell, the clip's first frame is its only one.

    Returns:
        Pairs of a clip's index and a frame's index in it, in increasing order.

    Raises:
        DatasetError: a clip that cannot be read, or with more or fewer truths than frames.
    """
    return tuple(
        (index, frame)
        for index in range(len(dataset))
        for frame in _key_frames(dataset[index], detector)
    )


def _key_frames(clip: LabelledClip, detector: WindowDetector | None) -> list[int]:
    times_s, annotated = [], []
    for frame, truth in zip_longest(clip.frames, clip.truth):
        if frame is None or truth is None:
            raise DatasetError(
                f"{clip.name} has {'more' if frame is None else 'fewer'} truths than frames; give "
                "one for each."
            )
        times_s.append(frame.time_s)
        annotated.append(truth.labels is not None)
    if detector is None:
        starts_s = (0.0, *(clip.change_times_s or ()))
    else:
        points = detector(clip.audio, windows=clip.windows)
        if clip.windows is not None:
            return [int(i) for i in np.flatnonzero(points.flags & np.array(annotated))]
        starts_s = (0.0, *points.change_times_s)
    # As in the pipeline: the first frame at the change or after it.
    first = {int(i) for i in np.searchsorted(times_s, np.array(starts_s) - SAME_S)}
    return sorted(i for i in first if i < len(times_s) and annotated[i])
