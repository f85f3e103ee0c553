"""The pictures and recordings that clips are composed from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coprop.errors import CoPropError, DatasetError
from coprop.utils.paths import AnyPath, as_path
from tools.benchmark.manifest import KINDS, MANIFEST, is_inside, read_rows
from tools.benchmark.mixing import shorten_pauses

SOURCE_RATE = 44_100


@dataclass(frozen=True)
class Source:
    """One picture or recording of a sources folder.

    Args:
        path: the file: RGBA PNG with the object's mask as alpha, or mono 44.1 kHz sound.
        group: what it shows or what sounds (a name of `coprop.keyframes.groups`), or None for
            things that make no sound and sounds that show nowhere.
        origin: the collection it comes from.
    """

    path: Path
    group: str | None
    origin: str


class Library:
    """A sources folder: ``manifest.jsonl`` and the files it names.

    Args:
        folder: made by `tools.sources`. Rows of the kind "music" are recordings that
            may play softly behind others.
        split: "train", "validation" or "test"; no two share a file.
        shipping: leave out what may not train weights that are passed on.

    Raises:
        CoPropError: no manifest there, or nothing of that split in it.
    """

    def __init__(self, folder: AnyPath, split: str, *, shipping: bool = False) -> None:
        manifest = as_path("folder", folder, error=DatasetError) / MANIFEST
        if not manifest.is_file():
            raise CoPropError(
                f"{manifest} does not exist; build the sources with python -m tools.sources."
            )
        kinds: dict[str, dict[str | None, list[Source]]] = defaultdict(lambda: defaultdict(list))
        for row in _rows(manifest):
            if row["split"] == split and (row["ships"] or not shipping):
                source = Source(manifest.parent / row["path"], row["group"], row["source"])
                kinds[row["kind"]][row["group"]].append(source)
        self.pictures = dict(kinds["picture"])
        self.sounds = dict(kinds["sound"])
        self.music = [s for sources in kinds["music"].values() for s in sources]
        self.backgrounds = [s for sources in kinds["background"].values() for s in sources]
        self.photographs = [
            s
            for sources in self.pictures.values()
            for s in sources
            if s.origin.lower().startswith("caltech")  # the others are cut out of their background
        ]
        self.groups = sorted(g for g in self.pictures if g is not None and g in self.sounds)
        if not self.groups or not self.backgrounds:
            raise CoPropError(
                f"{manifest} has no {split} backgrounds, or no group with both pictures and sounds."
            )

    def half_of_sounds(self, half: int) -> Library:
        """The same pictures with the first or second half of each group's recordings.

        Recordings of one collection stand together, so that the halves have few in common.

        Args:
            half: 0 or 1.
        """
        other = copy(self)
        other.sounds = {
            group: sounds[: len(sounds) // 2] if half == 0 else sounds[len(sounds) // 2 :]
            for group, sounds in self.sounds.items()
        }
        other.sounds = {group: sounds for group, sounds in other.sounds.items() if sounds}
        return other

    def without(self, paths: Collection[Path]) -> Library:
        """The same library without some of its files.

        Raises:
            CoPropError: no background, or no group with both pictures and sounds, is left.
        """

        def kept(sources: list[Source]) -> list[Source]:
            return [source for source in sources if source.path not in paths]

        other = copy(self)
        for name in ("pictures", "sounds"):
            groups = {group: kept(own) for group, own in getattr(self, name).items()}
            setattr(other, name, {group: own for group, own in groups.items() if own})
        for name in ("backgrounds", "music", "photographs"):
            setattr(other, name, kept(getattr(self, name)))
        other.groups = [g for g in self.groups if g in other.pictures and g in other.sounds]
        if not other.groups or not other.backgrounds:
            raise CoPropError(
                f"without {len(paths)} files that are left out there is no background, or no group "
                "with both pictures and sounds. Add to the sources."
            )
        return other


def _rows(manifest: Path) -> list[dict[str, Any]]:
    """The lines of a sources folder's manifest, each checked to be one.

    Raises:
        DatasetError: it cannot be read, or a line of it, which is named by its number.
    """
    rows = []
    for number, row in read_rows(manifest, ("kind", "path", "split", "source")):
        right = isinstance(row.get("ships"), bool)
        if not (right and row["kind"] in KINDS and is_inside(row["path"])):
            raise DatasetError(
                f"{manifest}, line {number} is no line of a manifest; build the sources anew with "
                "python -m tools.sources."
            )
        rows.append(row)
    return rows


def random_picture(library: Library, rng: np.random.Generator, group: str | None) -> Source:
    """A picture of a group; of a thing that makes no sound for None."""
    sources = library.pictures[group]
    return sources[rng.integers(len(sources))]


def random_recording(
    library: Library, rng: np.random.Generator, group: str | None
) -> NDArray[np.float32]:
    """A recording of a group, (n,) at 44.1 kHz; of what shows nowhere for None."""
    sources = library.sounds[group]
    return load_sound(sources[rng.integers(len(sources))].path)


@lru_cache(maxsize=512)
def load_picture(path: Path) -> NDArray[np.uint8]:
    """(H, W, 4) RGBA."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return np.asarray(picture.convert("RGBA"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DatasetError(f"{path} cannot be read as a picture: {error}; get it again.") from error


@lru_cache(maxsize=2048)
def load_sound(path: Path) -> NDArray[np.float32]:
    """(n,) mono at 44.1 kHz, without long pauses."""
    import soundfile

    try:
        samples, sample_rate = soundfile.read(path, dtype="float32")
    except (OSError, RuntimeError) as error:
        raise DatasetError(f"{path} cannot be read as sound: {error}; get it again.") from error
    if sample_rate != SOURCE_RATE or samples.ndim != 1:
        raise CoPropError(f"{path} is not mono at {SOURCE_RATE} Hz; rebuild the sources folder.")
    return shorten_pauses(samples, sample_rate).astype(np.float32)
