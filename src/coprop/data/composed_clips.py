"""The composed clips of the benchmark as a labelled dataset."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

import numpy as np

from coprop.data.composer import ComposedClip, compose_clip
from coprop.data.labelled import FrameTruth, LabelledClip
from coprop.data.library import Library
from coprop.errors import DatasetError
from coprop.media.reader import Frame


class ComposedClips:
    """Clips of 8 s, each made of pictures and recordings when it is asked for.

    The same seed gives the clips of ``benchmarks/composed_clips.py``, so that figures can be
    compared. Frames and masks are rendered while one iterates.

    Args:
        library: a sources folder made by ``scripts/build_sources.py``, or one that is read
            already.
        count: how many clips.
        seed: of all randomness, 0 or more.
        fps: frames per second.
        split: of the folder, "train" or "test"; of a library the split that it was read with.

    Raises:
        CoPropError: no such folder, or nothing of the split in it.
        DatasetError: a number out of range.
    """

    num_classes = 1

    def __init__(
        self,
        library: Library | str | Path,
        count: int = 40,
        seed: int = 2024,
        fps: float = 5.0,
        split: str = "test",
    ) -> None:
        if count < 1 or seed < 0 or not (isfinite(fps) and fps > 0):
            raise DatasetError(
                "composed clips need count >= 1, seed >= 0 and a positive number of frames a "
                f"second, got count={count}, seed={seed} and fps={fps}."
            )
        self.name = f"composed {split}"
        self._library = library if isinstance(library, Library) else Library(library, split)
        self._count, self._seed, self._fps = count, seed, fps

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int, /) -> LabelledClip:
        """Composes the clip: its sound now, its pictures while one iterates.

        Raises:
            IndexError: no such clip.
        """
        number = range(self._count)[index]
        rng = np.random.default_rng((self._seed, number))
        clip = compose_clip(self._library, rng, fps=self._fps)
        return LabelledClip(
            name=f"composed-{number:04d}",
            frames=_Frames(clip),
            audio=clip.audio,
            truth=_Truths(clip),
            change_times_s=clip.schedule.change_times_s,
            categories=_categories(clip),
        )


@dataclass(frozen=True, eq=False)
class _Frames:
    clip: ComposedClip

    def __len__(self) -> int:
        return self.clip.num_frames

    def __iter__(self) -> Iterator[Frame]:
        for index, (time_s, image, _) in enumerate(self.clip.frames()):
            yield Frame(index, time_s, image)


@dataclass(frozen=True, eq=False)
class _Truths:
    clip: ComposedClip

    def __len__(self) -> int:
        return self.clip.num_frames

    def __iter__(self) -> Iterator[FrameTruth]:
        for time_s, _, objects in self.clip.frames():
            sounding = self.clip.sounding(time_s)
            labels = np.asarray(objects[sounding].any(axis=0), dtype=np.uint8)
            yield FrameTruth(labels, objects, sounding)


def _categories(clip: ComposedClip) -> tuple[str, ...]:
    """The groups of the visible objects that sound at some time."""
    heard = frozenset[int]().union(*clip.schedule.sounding)
    groups = clip.scene.groups[: clip.num_sounding]
    return tuple(g for i, g in enumerate(groups) if i in heard and g is not None)
