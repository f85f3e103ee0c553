"""Folders of pictures and palette PNGs, as video object segmentation has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from coprop.errors import CoPropError
from coprop.export.folders import new_export
from coprop.export.recording import Recording
from coprop.storage.files import write_text

if TYPE_CHECKING:
    from coprop.types import FrameMask

JPEG_QUALITY = 95
"""Hardly to be told from the frame; these layouts know no other pictures than JPEG."""

_MOST_OBJECTS = 255  # numbers of 8 bits, without the background's
_RESOLUTION = "Full-Resolution"  # what DAVIS calls pictures at their own size


def write_youtube_vos(recording: Recording, path: Path) -> None:
    """``JPEGImages/NAME/00000.jpg``, ``Annotations/NAME/00000.png`` and ``meta.json``.

    The values in a PNG are numbers of objects. ``meta.json`` has each object's category and the
    frames that it is in, and beside what YouTube-VOS has, ``times_s``, the time of each frame.
    """
    name = recording.sequence
    with new_export(path) as part:
        _write_pictures(recording, part / "JPEGImages" / name, part / "Annotations" / name)
        heads = recording.heads
        frames: dict[int, list[str]] = {number: [] for number in recording.objects.tracks}
        for head in heads:
            for label in head.labels:
                number = recording.objects.track_of(label, head.time_s)
                frames[number].append(recording.frame_name(head.index))
        objects = {
            str(number): {"category": category, "frames": frames[number]}
            for number, category in recording.objects.tracks.items()
        }
        times = {recording.frame_name(head.index): head.time_s for head in heads}
        content = {"videos": {name: {"objects": objects, "times_s": times}}}
        write_text(part / "meta.json", json.dumps(content, indent=1, allow_nan=False) + "\n")


def write_davis(recording: Recording, path: Path) -> None:
    """The layout of DAVIS 2017, with the one sequence in its set ``val``.

    ``davis_semantics.json`` has each object's category.
    """
    name = recording.sequence
    with new_export(path) as part:
        _write_pictures(
            recording,
            part / "JPEGImages" / _RESOLUTION / name,
            part / "Annotations" / _RESOLUTION / name,
        )
        sets = part / "ImageSets" / "2017"
        sets.mkdir(parents=True)
        write_text(sets / "val.txt", f"{name}\n")
        semantics = {name: {str(n): category for n, category in recording.objects.tracks.items()}}
        write_text(part / "davis_semantics.json", json.dumps(semantics, indent=1) + "\n")


def write_frames(recording: Recording, folder: Path) -> None:
    """The frames alone, as JPEG."""
    folder.mkdir(parents=True)
    with recording.result.clip() as clip:
        for frame, _ in recording.pairs(clip):
            path = folder / f"{recording.frame_name(frame.index)}.jpg"
            Image.fromarray(frame.image).save(path, quality=JPEG_QUALITY, subsampling=0)


def _write_pictures(recording: Recording, pictures: Path, annotations: Path) -> None:
    from coprop.media.writer import save_labels

    if len(recording.objects.tracks) > _MOST_OBJECTS:
        raise CoPropError(
            f"there are {len(recording.objects.tracks)} objects, but this layout numbers them from "
            f"1 to {_MOST_OBJECTS}; export coco, or a shorter part of the video."
        )
    pictures.mkdir(parents=True)
    annotations.mkdir(parents=True)
    with recording.result.clip() as clip:
        for frame, mask in recording.pairs(clip):
            name = recording.frame_name(frame.index)
            picture = Image.fromarray(frame.image)
            picture.save(pictures / f"{name}.jpg", quality=JPEG_QUALITY, subsampling=0)
            save_labels(annotations / f"{name}.png", _numbered(recording, mask))


def _numbered(recording: Recording, mask: FrameMask) -> NDArray[np.uint8]:
    """The mask with the objects' numbers in place of their labels."""
    numbers = np.zeros(256, dtype=np.uint8)
    for label in np.unique(mask.labels):
        if label:
            numbers[label] = recording.objects.track_of(int(label), mask.time_s)
    return numbers[mask.labels]
