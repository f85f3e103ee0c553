"""The composed clips of the benchmark as a labelled dataset."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from coprop.data.labelled import FrameTruth, LabelledClip
from coprop.errors import DatasetError
from coprop.media.reader import Frame
from coprop.utils.paths import AnyPath
from tools.benchmark.composer import ComposedClip, compose_clip
from tools.benchmark.library import Library


class ComposedClips:
    """Clips of 8 s, each made of pictures and recordings when it is asked for.

    The same seed and sources give the same clips. The frames and masks of a clip are rendered when
    they are first asked for.

    Args:
        library: a sources folder made by ``tools/sources``, or one that is read
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
        library: Library | AnyPath,
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
        rendered = _Rendered(clip)
        categories = _categories(clip, frozenset().union(*clip.schedule.sounding))
        return LabelledClip(
            name=f"composed-{number:04d}",
            frames=_Frames(rendered),
            audio=clip.audio,
            truth=_Truths(rendered),
            change_times_s=clip.schedule.change_times_s,
            categories=categories,
            heard=tuple(_categories(clip, sounding) for sounding in clip.schedule.sounding),
            silent=tuple(g for g in clip.scene.groups if g is not None and g not in categories),
            off_screen=clip.off_screen,
        )


class _Rendered:
    """A clip's frames and what is true of them, rendered once, when they are first asked for.

    A clip is gone through many times where methods are compared, and takes some 30 MB.
    """

    def __init__(self, clip: ComposedClip) -> None:
        self.clip = clip

    @cached_property
    def frames(self) -> list[Frame]:
        return [Frame(i, time_s, image) for i, (time_s, image, _) in enumerate(self._all)]

    @cached_property
    def truth(self) -> list[FrameTruth]:
        return [self._truth(time_s, objects) for time_s, _, objects in self._all]

    @cached_property
    def _all(self) -> list[tuple[float, NDArray[np.uint8], NDArray[np.bool_]]]:
        return list(self.clip.frames())

    def _truth(self, time_s: float, objects: NDArray[np.bool_]) -> FrameTruth:
        sounding = self.clip.sounding(time_s)
        labels = np.asarray(objects[sounding].any(axis=0), dtype=np.uint8)
        return FrameTruth(labels, objects, sounding, self.clip.sounds_off_screen(time_s))


@dataclass(frozen=True, eq=False)
class _Frames:
    rendered: _Rendered

    def __len__(self) -> int:
        return self.rendered.clip.num_frames

    def __iter__(self) -> Iterator[Frame]:
        return iter(self.rendered.frames)


@dataclass(frozen=True, eq=False)
class _Truths:
    rendered: _Rendered

    def __len__(self) -> int:
        return self.rendered.clip.num_frames

    def __iter__(self) -> Iterator[FrameTruth]:
        return iter(self.rendered.truth)


def _categories(clip: ComposedClip, sounding: frozenset[int]) -> tuple[str, ...]:
    """The groups of the visible objects among the sources that sound."""
    groups = clip.scene.groups[: clip.num_sounding]
    return tuple(g for i, g in enumerate(groups) if i in sounding and g is not None)
