"""Clips whose truth is known, as evaluation and training take them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from coprop.errors import DatasetError
from coprop.types import Audio
from coprop.utils.brief import Brief
from coprop.utils.checks import shown

if TYPE_CHECKING:
    from coprop.media.reader import Frame


@dataclass(frozen=True, eq=False, repr=False)
class FrameTruth(Brief):
    """What is known of one frame.

    Args:
        labels: (H, W) uint8, 0 for background; 1 for "sounding" in binary datasets, the class id
            in semantic ones. None where the frame has no annotation.
        objects: (O, H, W) bool, a mask for each object that can be seen, whether it sounds or
            not; None where only what sounds is annotated.
        sounding: (O,) bool, which of the objects sound; None where ``objects`` is.
        off_screen: whether something sounds that is not in the picture; None where the annotation
            does not tell.
    """

    labels: NDArray[np.uint8] | None
    objects: NDArray[np.bool_] | None = None
    sounding: NDArray[np.bool_] | None = None
    off_screen: bool | None = None


@dataclass(frozen=True, eq=False, repr=False)
class LabelledClip(Brief):
    """A clip with its truth; frames and masks are read while one iterates, as often as one does.

    Training looks at few frames of a clip, and takes them by number where ``frames`` and ``truth``
    have ``__getitem__``; others are gone through.

    Args:
        name: of no other clip of the dataset; sounds and predictions are found by it.
        frames: the frames, in order of time.
        audio: the sound.
        truth: one for each frame.
        change_times_s: where the sounding objects change, in seconds, increasing; without the
            beginning. None where the annotation does not tell.
        windows: N where the dataset counts time in N equal windows, one frame each; None for
            dense video.
        categories: what sounds, in words; empty where the dataset does not name it.
        heard: which of them from each control point to the next, the beginning being the first;
            None where the dataset knows of the whole clip alone.
        silent: what is in the picture and never sounds, in words; empty where the dataset does
            not name it.
        off_screen: what is heard and is not in the picture, likewise.

    Raises:
        DatasetError: a name that is no text, or sound that is no track.
    """

    name: str
    frames: Iterable[Frame]
    audio: Audio
    truth: Iterable[FrameTruth]
    change_times_s: tuple[float, ...] | None
    windows: int | None = None
    categories: tuple[str, ...] = ()
    heard: tuple[tuple[str, ...], ...] | None = None
    silent: tuple[str, ...] = ()
    off_screen: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):  # it is written into files, and read back
            raise DatasetError(f"the name of a clip must be text, got {shown(self.name)}.")
        if not hasattr(self.audio, "resampled"):
            raise DatasetError(
                f"the sound of {self.name} must be an Audio, got {shown(self.audio)}."
            )


def note_name(index_of: dict[str, int], name: str, index: int, dataset: str) -> None:
    """Notes a clip's number by its name.

    Args:
        index_of: what has been noted so far.
        name: of the clip.
        index: its number in the dataset.
        dataset: the dataset's name, for the error.

    Raises:
        DatasetError: another clip has this name.
    """
    first = index_of.setdefault(name, index)
    if first != index:
        raise DatasetError(
            f"the clips {first} and {index} of {dataset}, counted from 0, are both called "
            f"{shown(name)}; give each a name of its own."
        )


class LabelledDataset(Protocol):
    """A sequence of labelled clips, each read when it is asked for."""

    @property
    def name(self) -> str:
        """Of the dataset and its split, as reports name it."""
        ...

    @property
    def num_classes(self) -> int:
        """1 for binary masks; with background, for semantic ones."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> LabelledClip: ...
